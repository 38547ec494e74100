//! The `ringmpi` command.

use super::trial;
use crate::job::Job;
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
    let others = [
        trial("ringmpi::bench::crowd", measure_crowd),
        trial("ringmpi::wrong_command_lines", wrong_command_lines),
    ];
    measures.chain(others).collect()
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

/// The JSON of a benchmark that has the library's figure and the bare machine's for each of these.
fn expect_report(job: Job, figures: &[&str], unit: &str) -> Value {
    let ended = job.run().expect(0);
    assert!(ended.stderr.is_empty(), "{ended}");
    let report: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}\n{ended}"));
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<&Value> = rows.iter().map(|row| &row["figure"]).collect();
    assert_eq!(names, figures, "{ended}");
    for row in rows {
        assert_eq!(row["unit"], unit, "{ended}");
        // Nothing in any time is no bandwidth.
        let least = if unit == "GB/s" && row["figure"] == "0" { 0.0 } else { f64::MIN_POSITIVE };
        for figure in ["median", "bare"] {
            assert!(row[figure].as_f64().is_some_and(|figure| figure >= least), "{figure}: {ended}");
        }
        assert!(row["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{ended}");
    }
    report
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
        (&["no-such-benchmark"], "'no-such-benchmark'"),
    ] {
        let ended = bench(arguments).run().expect(2);
        assert!(ended.stdout.is_empty() && ended.stderr.lines().count() == 1, "{ended}");
        ended.expect_one_line("error: ", &[fact, "--help"]);
    }
    let help = bench(&["--help"]).run().expect(0);
    assert!(help.stdout.contains("latency") && help.stderr.is_empty(), "{help}");
}
