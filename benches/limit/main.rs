//! Prints the bare machine's figures: what the library's are to be held against.

#[path = "mod.rs"]
mod limit;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use limit::{Buffers, CELL_BYTES, Crowd, MAX_BYTES, Machine, Size, Stats, Touch};

const USAGE: &str = "\
usage: limit [--touch] [--shared] [--survey] [--json] [--sizes BYTES,…] [--budget MS]
  --touch    senders rewrite each message, receivers read it (inside the time)
  --shared   send buffers lie in shared memory: one copy
  --survey   the best dozen schemes for each size, and both of an all-reduce, not only the best
  --json     one JSON object
  --sizes    message lengths in bytes, K or M (default: 0 to 4M)
  --budget   milliseconds for each figure (default: 40)";

const SIZES: [usize; 11] =
    [0, 8, CELL_BYTES, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, MAX_BYTES];

struct Options {
    touch: Touch,
    buffers: Buffers,
    survey: bool,
    json: bool,
    sizes: Vec<usize>,
    budget: Duration,
}

/// A figure: what it is of, and which scheme reached it.
struct Row {
    name: &'static str,
    scheme: String,
    stats: Stats,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match options(arguments.into_iter()) {
        Ok(options) => report(&options),
        Err(message) => {
            eprintln!("error: {message}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        touch: Touch::Untouched,
        buffers: Buffers::Private,
        survey: false,
        json: false,
        sizes: SIZES.to_vec(),
        budget: Duration::from_millis(40),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--touch" => options.touch = Touch::Rewritten,
            "--shared" => options.buffers = Buffers::Shared,
            "--survey" => options.survey = true,
            "--json" => options.json = true,
            "--sizes" => options.sizes = value()?.split(',').map(size).collect::<Result<_, _>>()?,
            "--budget" => options.budget = milliseconds(&value()?)?,
            _ => return Err(format!("unknown argument `{argument}`")),
        }
    }
    Ok(options)
}

fn size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M') => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let number: usize = digits.parse().map_err(|_| format!("`{text}` is not a number of bytes"))?;
    match number.checked_mul(unit) {
        Some(bytes) if bytes <= MAX_BYTES => Ok(bytes),
        _ => Err(format!("`{text}` is more than {MAX_BYTES} bytes")),
    }
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(number @ 1..=60_000) => Ok(Duration::from_millis(number)),
        _ => Err(format!("`{text}` is not a number of milliseconds from 1 to 60000")),
    }
}

fn report(options: &Options) -> ExitCode {
    let printed = Machine::start(options.budget).and_then(|mut machine| {
        let mut rows = rows(&mut machine, options);
        rows.extend(crowd(options.budget)?);
        let shared = machine.shares_a_cpu();
        let text = if options.json { json(&rows, options, shared) } else { table(&rows, options, shared) };
        io::stdout().write_all(text.as_bytes())
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the bare machine could not be measured: {error}");
            ExitCode::FAILURE
        }
    }
}

fn rows(machine: &mut Machine, options: &Options) -> Vec<Row> {
    let bare = |name, stats| Row { name, scheme: String::new(), stats };
    let mut rows = vec![bare("cache line", machine.cache_line())];
    for &bytes in &options.sizes {
        rows.extend(latencies(machine, options, bytes));
    }
    for &bytes in &options.sizes {
        let (stats, scheme) = machine.stream(bytes, options.touch, options.buffers);
        rows.push(Row { name: "stream", scheme, stats });
    }
    rows.push(bare("futex hand-over", machine.futex_handover()));
    rows.push(bare("futex wake-up", machine.futex_wake_up()));
    rows.push(bare("futex wake call", machine.futex_wake_call()));
    rows.extend(collectives(machine, options));
    rows
}

/// Both processes do one thing together; payloads are rewritten whatever the options are.
fn collectives(machine: &mut Machine, options: &Options) -> Vec<Row> {
    let row = |name, (stats, scheme)| Row { name, scheme, stats };
    let mut rows = vec![row("barrier", machine.barrier())];
    for &bytes in options.sizes.iter().filter(|bytes| **bytes >= 8 && bytes.is_multiple_of(8)) {
        rows.push(row("broadcast", machine.broadcast(bytes)));
        let reductions = match options.survey {
            true => machine.all_reductions(bytes),
            false => vec![machine.all_reduce(bytes)],
        };
        rows.extend(reductions.into_iter().map(|figure| row("all-reduce", figure)));
    }
    rows
}

/// More processes than two.
fn crowd(budget: Duration) -> io::Result<Vec<Row>> {
    let row = |processes| {
        let stats = Crowd::start(processes, budget)?.barrier();
        Ok(Row { name: "barrier", scheme: format!("futex, {processes} processes"), stats })
    };
    [2, 4, 8, 16].map(row).into_iter().collect()
}

fn latencies(machine: &mut Machine, options: &Options, bytes: usize) -> Vec<Row> {
    let figures = if options.survey {
        machine.survey(bytes, options.touch, options.buffers)
    } else {
        vec![machine.latency(bytes, options.touch, options.buffers)]
    };
    figures.into_iter().map(|(stats, scheme)| Row { name: "ping-pong", scheme, stats }).collect()
}

fn describe(options: &Options) -> (&'static str, &'static str) {
    let touch = match options.touch {
        Touch::Untouched => "untouched",
        Touch::Rewritten => "rewritten",
    };
    let buffers = match options.buffers {
        Buffers::Private => "private",
        Buffers::Shared => "shared",
    };
    (touch, buffers)
}

fn table(rows: &[Row], options: &Options, shares_a_cpu: bool) -> String {
    let (touch, buffers) = describe(options);
    let mut text = format!("# payload {touch}, send buffers {buffers}\n");
    if shares_a_cpu {
        text += "# only one CPU is allowed: these are the scheduler's figures, not the machine's\n";
    }
    let _ = writeln!(
        text,
        "{:16} {:>6} {:>10} {:>23} {:>7}  {:16} scheme",
        "figure", "bytes", "median us", "quartiles us", "GB/s", "per"
    );
    for Row { name, scheme, stats } in rows {
        let [low, median, high] = [stats.low, stats.median, stats.high].map(|ns| ns / 1e3);
        let (size, rate, per) = (Size(stats.bytes), stats.gigabytes_per_second(), stats.per.name());
        let line =
            format!("{name:16} {size:>6} {median:10.4} {low:11.4} {high:11.4} {rate:7.1}  {per:16} {scheme}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn json(rows: &[Row], options: &Options, shares_a_cpu: bool) -> String {
    let (touch, buffers) = describe(options);
    let row = |Row { name, scheme, stats }: &Row| {
        let Stats { low, median, high, per, bytes } = stats;
        let per = per.name();
        format!(
            r#"{{"figure":"{name}","bytes":{bytes},"ns":{median:.1},"low":{low:.1},"high":{high:.1},"per":"{per}","scheme":"{scheme}"}}"#
        )
    };
    let rows = rows.iter().map(row).collect::<Vec<_>>().join(",\n");
    format!(
        "{{\"touch\":\"{touch}\",\"buffers\":\"{buffers}\",\"shares_a_cpu\":{shares_a_cpu},\"rows\":[\n{rows}\n]}}\n"
    )
}
