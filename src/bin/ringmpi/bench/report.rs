//! Tables for people, JSON for programs.

use super::{Result, exchange::Pattern, spread::Spread, while_doing};
use serde::Serialize;
use std::{fmt::Write as _, io::Write as _};

/// How messages were measured.
#[derive(Serialize)]
pub(super) struct Settings {
    pub(super) pattern: Pattern,
    /// Whether messages were rewritten and read.
    pub(super) touch: bool,
    /// Whether messages were sent from shared memory.
    pub(super) shared: bool,
    /// Figures are the scheduler's: there is only one CPU.
    pub(super) shares_a_cpu: bool,
}

/// One figure.
#[derive(Serialize)]
pub(super) struct Row {
    figure: String,
    /// Of a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranks: Option<usize>,
    unit: &'static str,
    median: f64,
    low: f64,
    high: f64,
    /// What it stands beside, the bare machine's as a rule, in the same unit, and what is the library's divided by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    bare: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    /// How the bare machine did it.
    #[serde(skip_serializing_if = "String::is_empty")]
    scheme: String,
    /// Whether it is the bare machine beside which it stands.
    #[serde(skip)]
    is_beside_bare: bool,
}

impl Row {
    pub(super) fn new(figure: impl Into<String>, unit: &'static str, spread: Spread) -> Self {
        let Spread { low, median, high } = spread;
        Self {
            figure: figure.into(),
            bytes: None,
            ranks: None,
            unit,
            median,
            low,
            high,
            bare: None,
            ratio: None,
            scheme: String::new(),
            is_beside_bare: false,
        }
    }

    pub(super) fn of_bytes(self, bytes: usize) -> Self {
        Self { bytes: Some(bytes), ..self }
    }

    pub(super) fn of_ranks(self, ranks: usize) -> Self {
        Self { ranks: Some(ranks), ..self }
    }

    pub(super) fn beside(self, bare: f64, ratio: f64) -> Self {
        Self { bare: Some(bare), ratio: Some(ratio), is_beside_bare: true, ..self }
    }

    /// Beside the library's own figure with another number of ranks.
    pub(super) fn beside_other_ranks(self, figure: f64, ratio: f64, ranks: usize) -> Self {
        Self { is_beside_bare: false, ..self.beside(figure, ratio) }.by(format!("{ranks} ranks"))
    }

    pub(super) fn by(self, scheme: impl Into<String>) -> Self {
        Self { scheme: scheme.into(), ..self }
    }

    pub(super) fn unit(&self) -> &'static str {
        self.unit
    }

    /// Whether it is of no message.
    pub(super) fn has_no_length(&self) -> bool {
        self.bytes.is_none()
    }

    /// The library's figure and the bare machine's: the name of its line in a picture, the length (or, without one, the number
    /// of ranks), the figure.
    pub(super) fn points(&self) -> impl Iterator<Item = (String, usize, f64)> {
        let bare = self.bare.filter(|_| self.is_beside_bare);
        let ranks = self.ranks.filter(|_| self.bytes.is_some()).map(|ranks| format!("{ranks} ranks"));
        let bare_name = ranks.as_ref().map_or_else(|| "bare".to_owned(), |ranks| format!("bare, {ranks}"));
        let name = ranks.unwrap_or_else(|| "ringmpi".to_owned());
        let figures = [(name, Some(self.median)), (bare_name, bare)];
        let place = self.bytes.or(self.ranks);
        figures.into_iter().filter_map(move |(name, figure)| Some((name, place?, figure?)))
    }
}

#[derive(Serialize)]
struct Report<'a, S> {
    version: &'static str,
    cpu: String,
    kernel: String,
    #[serde(flatten)]
    settings: &'a S,
    rows: &'a [Row],
}

/// What a benchmark's heading says beside the machine.
pub(super) trait Heading: Serialize {
    fn heading(&self) -> String;
}

impl Settings {
    pub(super) fn title(&self) -> String {
        let what = match self.pattern {
            Pattern::PingPong => "latency: half round trip",
            Pattern::Stream => "bandwidth: windows of 64 messages or 8 MiB",
            Pattern::Rate => "rate: nonblocking windows of 64 messages or 8 MiB",
        };
        let touch = if self.touch { "rewritten and read" } else { "untouched" };
        let buffers = if self.shared { "shared" } else { "private" };
        format!("{what}, payload {touch}, {buffers} send buffers")
    }
}

impl Heading for Settings {
    fn heading(&self) -> String {
        let mut text = format!("# {}\n", self.title());
        if self.shares_a_cpu {
            text += "# only one CPU is allowed: these are the scheduler's figures, not the library's\n";
        }
        text
    }
}

/// A benchmark without messages, by its name.
#[derive(Serialize)]
pub(super) struct Named {
    pub(super) benchmark: &'static str,
}

impl Heading for Named {
    fn heading(&self) -> String {
        format!("# {}\n", self.benchmark)
    }
}

pub(super) fn print(settings: &impl Heading, rows: &[Row], json: bool) -> Result<()> {
    let text = if json { to_json(settings, rows)? } else { settings.heading() + &table(rows) };
    std::io::stdout().write_all(text.as_bytes()).map_err(while_doing("writing to stdout"))
}

fn to_json(settings: &impl Serialize, rows: &[Row]) -> Result<String> {
    let report = Report { version: env!("CARGO_PKG_VERSION"), cpu: cpu(), kernel: kernel(), settings, rows };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

fn table(rows: &[Row]) -> String {
    let wide = rows.iter().map(|row| row.figure.len()).max().unwrap_or(0).max(6);
    let mut text = format!(
        "# ringmpi {}, {}, Linux {}\n{:wide$} {:>9} {:>20} {:>5} {:>9} {:>6}  scheme\n",
        env!("CARGO_PKG_VERSION"),
        cpu(),
        kernel(),
        "figure",
        "median",
        "quartiles",
        "",
        "bare",
        "ratio"
    );
    for row in rows {
        let number = |value: Option<f64>| value.map_or(String::new(), short);
        let quartiles = format!("{} to {}", short(row.low), short(row.high));
        let (bare, ratio) =
            (number(row.bare), row.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")));
        let line = format!(
            "{:wide$} {:>9} {quartiles:>20} {:5} {bare:>9} {ratio:>6}  {}",
            row.figure,
            short(row.median),
            row.unit,
            row.scheme
        );
        // A String takes everything.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// About four digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "an unknown CPU".to_owned(), |(_, name)| name.to_owned())
}

fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().to_owned()
}
