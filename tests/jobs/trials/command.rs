//! The `ringmpi` command.

use super::trial;
use crate::job::{Ended, Job};
use libtest_mimic::Trial;
use serde_json::Value;

const RINGMPI: &str = env!("CARGO_BIN_EXE_ringmpi");

pub(super) fn trials() -> Vec<Trial> {
    // The bare machine takes seconds to find its best way for long messages.
    let plans = [
        ("latency", "us", &["0", "8", "64K"][..], &[][..]),
        ("bandwidth", "GB/s", &["0", "8", "64K"], &["--touch"]),
        ("rate", "M/s", &["0", "8"], &[]),
    ];
    let measures = plans.into_iter().map(|(benchmark, unit, sizes, options)| {
        trial(format!("ringmpi::bench::{benchmark}"), move || measure(benchmark, unit, sizes, options))
    });
    let companies = [
        ("barrier", "us", &[][..]),
        ("bcast", "us", &["--shared"]),
        ("reduce", "us", &[]),
        ("allreduce", "us", &[]),
        ("allgather", "us", &[]),
        ("alltoall", "us", &[]),
        ("scan", "us", &[]),
        ("multi-pair", "M/s", &["--rate"]),
        ("bidirectional", "GB/s", &[]),
    ];
    let companies = companies.into_iter().map(|(benchmark, unit, options)| {
        trial(format!("ringmpi::bench::{benchmark}"), move || measure_company(benchmark, unit, options))
    });
    let others = [
        trial("ringmpi::bench::crowd", measure_crowd),
        trial("ringmpi::bench::plot", plot),
        trial("ringmpi::wrong_command_lines", wrong_command_lines),
    ];
    measures.chain(companies).chain(others).collect()
}

fn bench(arguments: &[&str]) -> Job {
    Job::new(RINGMPI).args(&["bench"]).args(arguments)
}

fn measure(benchmark: &str, unit: &str, sizes: &[&str], options: &[&str]) {
    let job = bench(&[benchmark, "--sizes", &sizes.join(","), "--budget", "5", "--json"]).args(options);
    let report = expect_report(job, sizes, unit);
    // The rate is of messages that are written and read in any case.
    assert_eq!(report["touch"], benchmark != "latency", "{report}");
}

fn measure_crowd() {
    // One number that does not divide the hops of a batch.
    let job = bench(&["crowd", "--ranks", "2,3", "--json"]);
    let report = expect_report(job, &["hop among 2 ranks", "hop among 3 ranks"], "us");
    assert_eq!(report["benchmark"], "crowd", "{report}");
}

/// Two numbers of ranks in turn. Not all have something to stand beside.
fn measure_company(benchmark: &str, unit: &str, options: &[&str]) {
    // More ranks than most machines here have CPUs, and bytes that fit a cell and do not.
    let job = bench(&[benchmark, "-n", "2,4", "--budget", "5", "--json"]).args(options);
    let (job, figures) = match benchmark {
        "barrier" => (job, &["2 ranks", "4 ranks"][..]),
        _ => {
            (job.args(&["--sizes", "8,1K"]), &["8, 2 ranks", "1K, 2 ranks", "8, 4 ranks", "1K, 4 ranks"][..])
        }
    };
    let (report, ended) = parse_report(job, figures, unit);
    assert_eq!(report["benchmark"], benchmark, "{ended}");
    let has_bare = !["reduce", "allgather", "alltoall", "scan"].contains(&benchmark);
    for row in report["rows"].as_array().unwrap() {
        assert!(row["median"].as_f64().is_some_and(|median| median > 0.0), "{ended}");
        let is_beside = has_bare || row["ranks"] == 4;
        assert_eq!(row["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), is_beside, "{row}: {ended}");
    }
}

fn plot() {
    let file = std::env::temp_dir().join(format!("ringmpi-plot-{}.svg", std::process::id()));
    let path = file.to_str().unwrap();
    let job = bench(&["allreduce", "-n", "1,2", "--sizes", "8,1K", "--budget", "5", "--plot", path]);
    let ended = job.run().expect(0);
    let svg = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}\n{ended}"));
    std::fs::remove_file(&file).unwrap();
    for text in ["allreduce", "1 ranks", "2 ranks", "bare, 2 ranks", "message [bytes]", "time [us]"] {
        assert!(svg.lines().any(|line| line == text), "no {text} in {svg}");
    }
    assert!(ended.stdout.starts_with("# allreduce: ") && ended.stdout.lines().count() == 7, "{ended}");
}

/// The JSON of a benchmark that has the library's figure and the bare machine's for each of these.
fn expect_report(job: Job, figures: &[&str], unit: &str) -> Value {
    let (report, ended) = parse_report(job, figures, unit);
    for row in report["rows"].as_array().unwrap() {
        // Nothing in any time is no bandwidth.
        let least = if unit == "GB/s" && row["figure"] == "0" { 0.0 } else { f64::MIN_POSITIVE };
        for figure in ["median", "bare"] {
            assert!(row[figure].as_f64().is_some_and(|figure| figure >= least), "{figure}: {ended}");
        }
        assert!(row["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{ended}");
    }
    report
}

/// The JSON of a benchmark that has these figures, in that unit.
fn parse_report(job: Job, figures: &[&str], unit: &str) -> (Value, Ended) {
    let ended = job.run().expect(0);
    assert!(ended.stderr.is_empty(), "{ended}");
    let report: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}\n{ended}"));
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<&Value> = rows.iter().map(|row| &row["figure"]).collect();
    assert_eq!(names, figures, "{ended}");
    assert!(rows.iter().all(|row| row["unit"] == unit), "{ended}");
    (report, ended)
}

fn wrong_command_lines() {
    for (arguments, fact) in [
        (&["latency", "--bogus"][..], "'--bogus'"),
        (&["latency", "--budget", "0"], "1..=60000"),
        (&["latency", "--budget", "x"], "'x'"),
        (&["bandwidth", "--sizes", "8,5G"], "'5G'"),
        (&["bandwidth", "--sizes", "64M"], "4194304"),
        (&["rate", "--shared"], "'--shared'"),
        (&["crowd", "--ranks", "1"], "2..=1024"),
        (&["bcast", "--sizes", "12"], "12 bytes"),
        (&["barrier", "--sizes", "8"], "'--sizes'"),
        (&["allreduce", "-n", "0"], "1..=1024"),
        (&["multi-pair", "-n", "3"], "'3'"),
        (&["no-such-benchmark"], "'no-such-benchmark'"),
    ] {
        let ended = bench(arguments).run().expect(2);
        assert!(ended.stdout.is_empty() && ended.stderr.lines().count() == 1, "{ended}");
        ended.expect_one_line("error: ", &[fact, "--help"]);
    }
    let help = bench(&["--help"]).run().expect(0);
    assert!(help.stdout.contains("latency") && help.stderr.is_empty(), "{help}");
}
