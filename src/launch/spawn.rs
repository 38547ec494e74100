//! What each rank is started with: program, arguments, environment, standard streams.

use super::env::{PYTHON_UNBUFFERED, Place};
use crate::sys::{
    io::DescriptorLimit,
    process::{Pid, Program, StringArray, own_pid, spawn},
    signals::Mask,
};
use std::{
    ffi::{CString, OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

/// The writing ends of a rank's standard output and standard error.
#[derive(Debug)]
pub(super) struct Writers {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// Starts ranks; all that can fail or allocate, but does not depend on the rank, is done before.
#[derive(Debug)]
pub(super) struct Spawner {
    path: CString,
    arguments: Vec<CString>,
    inherited: Vec<CString>,
    no_input: File,
    memfd: RawFd,
    mask: Mask,
    descriptors: DescriptorLimit,
}

/// What the launcher changed for itself, and its ranks shall have as it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) mask: Mask,
    pub(super) descriptors: DescriptorLimit,
}

impl Spawner {
    pub(super) fn new(path: &Path, command: &[OsString], memfd: RawFd, before: Before) -> io::Result<Self> {
        Ok(Self {
            path: c_string(path.as_os_str()),
            arguments: command.iter().map(|argument| c_string(argument)).collect(),
            inherited: inherited_environment(std::env::vars_os()),
            no_input: File::open("/dev/null")?,
            memfd,
            mask: before.mask,
            descriptors: before.descriptors,
        })
    }

    /// Starts rank `slot` of `size` as a child of this process, the keeper. Rank 0 has the launcher's
    /// standard input, the others have none.
    pub(super) fn spawn(
        &self,
        (slot, size): (usize, usize),
        writers: &Writers,
        errors: BorrowedFd<'_>,
    ) -> io::Result<Pid> {
        let place = Place { keeper: own_pid(), memfd: self.memfd, slot, size };
        let own: Vec<CString> =
            place.variables().iter().map(|(name, value)| variable(name.as_ref(), value.as_ref())).collect();
        let environment = self.inherited.iter().chain(&own).map(CString::as_c_str);
        spawn(&Program {
            path: &self.path,
            arguments: StringArray::new(self.arguments.iter().map(CString::as_c_str)),
            environment: StringArray::new(environment),
            stdin: (slot != 0).then_some(self.no_input.as_fd()),
            stdout: writers.stdout.as_fd(),
            stderr: writers.stderr.as_fd(),
            kept: self.memfd,
            mask: &self.mask,
            descriptors: self.descriptors,
            errors,
        })
    }
}

/// The launcher's own environment without what describes a rank (of a job around this one), and
/// with unbuffered Python unless the user has decided.
fn inherited_environment(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<CString> {
    let of_ranks = Place { keeper: 1, memfd: 0, slot: 0, size: 1 }.variables();
    let variables: Vec<_> =
        variables.filter(|(name, _)| of_ranks.iter().all(|(of_rank, _)| name != of_rank)).collect();
    let (python, unbuffered) = PYTHON_UNBUFFERED;
    let has_python = variables.iter().any(|(name, _)| name == python);
    let added = (!has_python).then(|| variable(python.as_ref(), unbuffered.as_ref()));
    variables.iter().map(|(name, value)| variable(name, value)).chain(added).collect()
}

fn variable(name: &OsStr, value: &OsStr) -> CString {
    let mut text = name.to_owned();
    text.push("=");
    text.push(value);
    c_string(&text)
}

/// The text came from C strings, so nothing is cut off.
fn c_string(text: &OsStr) -> CString {
    let bytes = text.as_bytes().split(|&byte| byte == 0).next().unwrap_or_default();
    CString::new(bytes).unwrap_or_default()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Vec<String> {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        inherited_environment(variables)
            .into_iter()
            .map(|text| text.into_string().expect("UTF-8 went in"))
            .collect()
    }

    #[test]
    fn ranks_of_a_nested_job_do_not_see_the_outer_one() {
        let outer = [("HOME", "/root"), ("PMI_RANK", "3"), ("RINGMPI_JOB", "1:2:3:4:5")];
        assert_eq!(environment(&outer), ["HOME=/root", "PYTHONUNBUFFERED=1"]);
    }

    #[test]
    fn what_the_user_decided_about_python_stays() {
        assert_eq!(environment(&[("PYTHONUNBUFFERED", "")]), ["PYTHONUNBUFFERED="]);
    }
}
