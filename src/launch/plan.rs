//! The command line, as a value. Pure: no file, variable or process is looked at.
//!
//! Option names of two or more letters may be written in any case and with any number of dashes;
//! names of one letter are case-sensitive. A value follows, or is joined with `=`. The first token
//! that is no option is the program, and what follows belongs to it.

use crate::types::RANKS_MAX;
use std::{
    ffi::{OsStr, OsString},
    fmt,
};

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Run(Job),
    Help,
    Version,
}

/// A program and how many ranks run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) ranks: RankCount,
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
}

/// How many ranks to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RankCount {
    Exactly(usize),
    /// One for every CPU that the launcher may use.
    Auto,
}

/// What is wrong with the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Ranks,
    Help,
    Version,
}

/// Every option: its name, lower case and without dashes.
const OPTIONS: &[(&str, Choice)] = &[
    ("n", Choice::Ranks),
    ("np", Choice::Ranks),
    ("h", Choice::Help),
    ("help", Choice::Help),
    ("V", Choice::Version),
    ("version", Choice::Version),
];

/// Reads the arguments after the command's own name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Plan, UsageError> {
    let mut tokens = arguments.into_iter();
    let mut ranks = RankCount::Exactly(1);
    while let Some(token) = tokens.next() {
        if token == "--" {
            let program = tokens.next().ok_or_else(no_program)?;
            return job(ranks, program, tokens);
        }
        let Some((name, joined)) = split_option(&token) else {
            return job(ranks, token, tokens);
        };
        match find(name).ok_or_else(|| unknown(&token))? {
            Choice::Help => return Ok(Plan::Help),
            Choice::Version => return Ok(Plan::Version),
            Choice::Ranks => {
                ranks = rank_count(&token, joined.map(OsString::from).or_else(|| tokens.next()))?
            }
        }
    }
    Err(no_program())
}

fn job(
    ranks: RankCount,
    program: OsString,
    rest: impl Iterator<Item = OsString>,
) -> Result<Plan, UsageError> {
    let arguments: Vec<_> = rest.collect();
    if program == ":" || arguments.iter().any(|argument| argument == ":") {
        return Err(UsageError(
            "':' starts another program; a job of several programs is not supported".into(),
        ));
    }
    Ok(Plan::Run(Job { ranks, program, arguments }))
}

/// The name without dashes and the value joined with `=`; `None` if the token is no option.
fn split_option(token: &OsStr) -> Option<(&str, Option<&str>)> {
    let token = token.to_str()?;
    let body = token.trim_start_matches('-');
    let is_option = body.len() < token.len() && !body.is_empty();
    is_option.then(|| body.split_once('=').map_or((body, None), |(name, value)| (name, Some(value))))
}

fn find(name: &str) -> Option<Choice> {
    let is_named =
        |known: &str| if name.len() == 1 { name == known } else { name.eq_ignore_ascii_case(known) };
    OPTIONS.iter().find(|(known, _)| is_named(known)).map(|&(_, choice)| choice)
}

fn rank_count(option: &OsStr, value: Option<OsString>) -> Result<RankCount, UsageError> {
    let option = option.display();
    let Some(value) = value else {
        return Err(UsageError(format!("{option} needs a number of ranks, as in `{option} 4`")));
    };
    if value.eq_ignore_ascii_case("auto") {
        return Ok(RankCount::Auto);
    }
    match value.to_str().and_then(|text| text.parse::<usize>().ok()) {
        Some(count @ 1..=RANKS_MAX) => Ok(RankCount::Exactly(count)),
        _ => Err(UsageError(format!(
            "{option}: '{}' is no number of ranks; allowed are 1 to {RANKS_MAX}, and 'auto' for one a CPU",
            value.display()
        ))),
    }
}

fn no_program() -> UsageError {
    UsageError("no program to run, as in `mpiexec -n 4 ./program`".into())
}

fn unknown(token: &OsStr) -> UsageError {
    UsageError(format!("unknown option '{}'; `mpiexec --help` lists the options", token.display()))
}

/// The text of `--help`.
pub(crate) fn help(name: &str) -> String {
    format!(
        "Runs a program as the ranks of an MPI job on this machine.\n\
         \n\
         Usage: {name} [-n RANKS] PROGRAM [ARGUMENT...]\n\
         \n\
         -n, -np RANKS   how many ranks: 1 to {RANKS_MAX}, or 'auto' for one a CPU; default 1\n\
         --help          prints this\n\
         --version       prints the version\n\
         \n\
         Exit code: that of the first rank that failed, 128 + signal if a signal ended it.\n\
         2: the command line is wrong; 125: the job can't be started; 126, 127: the program can't be run.\n"
    )
}

/// The command line of NUL-separated arguments is understood or refused, never misread: a job has an
/// allowed number of ranks, and its program and arguments are the command line's end, unchanged.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    use std::os::unix::ffi::OsStringExt;
    let typed: Vec<_> = data.split(|&byte| byte == 0).map(|bytes| OsString::from_vec(bytes.into())).collect();
    match parse(typed.clone()) {
        Ok(Plan::Run(job)) => {
            let end: Vec<_> = [&job.program].into_iter().chain(&job.arguments).collect();
            assert!(typed.iter().skip(typed.len() - end.len()).eq(end), "{job:?} from {typed:?}");
            let RankCount::Exactly(ranks) = job.ranks else { return };
            assert!((1..=RANKS_MAX).contains(&ranks), "{ranks} ranks from {typed:?}");
        }
        Ok(Plan::Help | Plan::Version) => {
            assert!(typed.iter().any(|token| token.as_encoded_bytes().starts_with(b"-")), "{typed:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty(), "{typed:?}"),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn plan(line: &str) -> Result<Plan, UsageError> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn run(ranks: usize, program: &str, arguments: &[&str]) -> Result<Plan, UsageError> {
        let arguments = arguments.iter().map(OsString::from).collect();
        Ok(Plan::Run(Job { ranks: RankCount::Exactly(ranks), program: program.into(), arguments }))
    }

    #[test]
    fn both_families_spellings_of_the_number_of_ranks_mean_the_same() {
        for option in ["-n 4", "--n 4", "-np 4", "--np 4", "-NP 4", "---Np 4", "-n=4", "--np=4"] {
            assert_eq!(plan(&format!("{option} prog")), run(4, "prog", &[]), "{option}");
        }
    }

    #[test]
    fn options_after_the_program_belong_to_it() {
        assert_eq!(plan("-n 2 prog -n 3 --help"), run(2, "prog", &["-n", "3", "--help"]));
        assert_eq!(plan("-n 2 -- --odd -n 3"), run(2, "--odd", &["-n", "3"]));
    }

    #[test]
    fn without_a_number_there_is_one_rank_and_the_last_number_counts() {
        assert_eq!(plan("prog"), run(1, "prog", &[]));
        assert_eq!(plan("-n 2 -np 3 prog"), run(3, "prog", &[]));
    }

    #[test]
    fn one_letter_names_are_case_sensitive() {
        assert_eq!(plan("-V"), Ok(Plan::Version));
        assert!(plan("-N 4 prog").is_err());
        assert_eq!(plan("--HELP"), Ok(Plan::Help));
    }

    #[test]
    fn errors_name_what_was_typed_and_what_is_allowed() {
        for (line, facts) in [
            ("-n 4097 prog", ["4097", "4096"]),
            ("-n 0 prog", ["'0'", "1 to"]),
            ("-np four prog", ["-np", "'four'"]),
            ("-n", ["-n", "number"]),
            ("--frobnicate prog", ["--frobnicate", "--help"]),
            ("-n 4", ["no program", "mpiexec"]),
            ("-n 1 a : -n 1 b", ["':'", "not supported"]),
        ] {
            let error = plan(line).unwrap_err().to_string();
            for fact in facts {
                assert!(error.contains(fact), "'{fact}' is missing in: {error}");
            }
        }
    }

    #[test]
    fn arguments_that_are_not_utf8_reach_the_program_unchanged() {
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(vec![b'-', 0xff]);
        let Ok(Plan::Run(job)) = parse(["prog".into(), odd.clone()]) else { panic!("no job") };
        assert_eq!(job.arguments, [odd]);
    }

    #[test]
    fn auto_is_left_to_the_launcher() {
        let Ok(Plan::Run(job)) = plan("-n auto prog") else { panic!("no job") };
        assert_eq!(job.ranks, RankCount::Auto);
    }

    #[test]
    fn random_command_lines_are_understood_or_refused_but_never_misread() {
        const WORDS: [&[u8]; 14] = [
            b"-n", b"--np", b"-np=3", b"4", b"0", b"4097", b"auto", b"--", b":", b"-V", b"-", b"prog",
            b"\xff", b"",
        ];
        let mut state = 1_u64;
        let mut below = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % limit
        };
        for _ in 0..20_000 {
            let words: Vec<_> = (0..below(7)).map(|_| WORDS[below(WORDS.len())]).collect();
            fuzz(&words.join(&0));
        }
    }
}
