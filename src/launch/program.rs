//! Finding the program before anything is started, so that a wrong name is one line and not N.

use super::LaunchError;
use crate::sys::io::check_executable;
use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

/// Where programs are looked for if PATH is not set, as `execvp` does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The file that `name` means: itself if it has a slash, else the first of that name in PATH.
///
/// # Errors
/// Exit code 127 if there is none, 126 if it can't be executed.
pub(super) fn find(name: &OsStr) -> Result<PathBuf, LaunchError> {
    if Path::new(name).components().count() != 1 || name.as_encoded_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return check(&path).map(|()| path).map_err(|error| cannot_run(name, &error, ""));
    }
    let searched = std::env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH));
    search(name, &searched)
}

fn search(name: &OsStr, searched: &OsStr) -> Result<PathBuf, LaunchError> {
    let mut first_error = io::Error::from_raw_os_error(libc::ENOENT);
    for directory in std::env::split_paths(searched) {
        let path = Path::new(".").join(directory).join(name);
        match check(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => first_error = error,
            Err(_) => {}
        }
    }
    let here = if Path::new(name).exists() {
        format!("; did you mean ./{}?", name.display())
    } else {
        String::new()
    };
    let where_searched = format!(" (searched PATH={}{here})", searched.display());
    Err(cannot_run(name, &first_error, &where_searched))
}

fn check(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path)?.is_file() {
        true => check_executable(path),
        false => Err(io::Error::from_raw_os_error(libc::EACCES)),
    }
}

/// The error of a program that was found, but that the kernel did not run.
pub(super) fn not_run(name: &OsStr, error: &io::Error) -> LaunchError {
    let why = match error.raw_os_error() {
        Some(libc::ENOENT) => " (help: the interpreter named in its #! line, or its loader, is missing)",
        Some(libc::ENOEXEC) => " (help: a script needs a #! line, a binary must be built for this machine)",
        _ => "",
    };
    LaunchError { code: 126, ..cannot_run(name, error, why) }
}

/// The error of a program that can't be run, with the exit codes that shells use.
fn cannot_run(name: &OsStr, error: &io::Error, more: &str) -> LaunchError {
    let missing = error.kind() == io::ErrorKind::NotFound;
    LaunchError {
        code: if missing { 127 } else { 126 },
        what: format!("cannot run '{}': {}{more}", name.display(), reason(error)),
    }
}

/// The system's words for an error, without Rust's "(os error 2)".
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_slash_is_found_in_path_and_runs_by_its_full_name() {
        let path = search(OsStr::new("sh"), OsStr::new("/nonexistent:/bin")).unwrap();
        assert_eq!(path, Path::new("/bin/sh"));
    }

    #[test]
    fn a_missing_program_is_127_and_names_where_it_was_looked_for() {
        let error = search(OsStr::new("no-such-program"), OsStr::new("/bin:/usr/bin")).unwrap_err();
        assert_eq!(error.code, 127);
        let expected =
            "cannot run 'no-such-program': No such file or directory (searched PATH=/bin:/usr/bin)";
        assert_eq!(error.what, expected);
    }

    #[test]
    fn directories_and_files_without_permission_are_126() {
        assert_eq!(find(OsStr::new("/bin")).unwrap_err().code, 126);
        assert_eq!(find(OsStr::new("/etc/passwd")).unwrap_err().code, 126);
        assert_eq!(find(OsStr::new("./no/such/program")).unwrap_err().code, 127);
    }
}
