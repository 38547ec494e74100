//! The contract between launcher and ranks: the variables that say who a process may become.
//!
//! `RINGMPI_JOB` names the job's segment and a slot in it. It does not make a process a rank: that
//! is the first process that claims the slot, also behind a shell; its children inherit the
//! variable and find the slot taken. The other variables are those that programs and scripts read
//! under other launchers.

use crate::error::{Error, ErrorClass, Result};
use crate::sys::process::Pid;
use std::{fmt, os::fd::RawFd, str::FromStr};

/// Names a [`Place`].
pub(crate) const JOB: &str = "RINGMPI_JOB";

/// Whoever changes the form of [`JOB`] changes this number.
const VERSION: &str = "1";

/// Python shows what a rank printed before it died only if it does not buffer.
pub(crate) const PYTHON_UNBUFFERED: (&str, &str) = ("PYTHONUNBUFFERED", "1");

/// A rank's place in a launched job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The ranks' ancestor; it holds the memfd open while the job lives (`/proc/KEEPER/fd/MEMFD`).
    pub(crate) keeper: Pid,
    /// The segment's descriptor, in the keeper and in every process that has not closed it.
    pub(crate) memfd: RawFd,
    pub(crate) slot: usize,
    pub(crate) size: usize,
}

impl Place {
    /// What the launcher said to this process or to its parents; `None`: nothing.
    ///
    /// # Errors
    /// If the variable is not what this version of the launcher writes.
    pub(crate) fn from_environment() -> Result<Option<Self>> {
        match std::env::var_os(JOB) {
            Some(value) => value.to_string_lossy().parse().map(Some),
            None => Ok(None),
        }
    }

    /// The variables that a rank gets.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let (rank, size) = (self.slot.to_string(), self.size.to_string());
        let ranks = ["PMI_RANK", "MPI_LOCALRANKID", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"]
            .into_iter()
            .chain(["OMPI_COMM_WORLD_NODE_RANK"])
            .map(|name| (name, rank.clone()));
        let sizes = ["PMI_SIZE", "MPI_LOCALNRANKS", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"]
            .into_iter()
            .chain(["OMPI_UNIVERSE_SIZE"])
            .map(|name| (name, size.clone()));
        [(JOB, self.to_string())].into_iter().chain(ranks).chain(sizes).collect()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keeper, memfd, slot, size } = self;
        write!(f, "{VERSION}:{keeper}:{memfd}:{slot}:{size}")
    }
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fields: Vec<&str> = text.split(':').collect();
        let [version, keeper, memfd, slot, size] = fields[..] else {
            return Err(malformed(text, "it has not the form VERSION:KEEPER:MEMFD:SLOT:SIZE"));
        };
        if version != VERSION {
            return Err(malformed(
                text,
                &format!("the launcher speaks version {version}, this program {VERSION}"),
            )
            .with_help("use the mpiexec of the ringmpi that the program was built with"));
        }
        let place = Self {
            keeper: number(text, "KEEPER", keeper)?,
            memfd: number(text, "MEMFD", memfd)?,
            slot: number(text, "SLOT", slot)?,
            size: number(text, "SIZE", size)?,
        };
        if place.slot >= place.size || place.keeper <= 0 || place.memfd < 0 {
            return Err(malformed(text, "SLOT must be below SIZE, KEEPER a process, MEMFD a descriptor"));
        }
        Ok(place)
    }
}

fn number<T: FromStr>(text: &str, field: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| malformed(text, &format!("{field} '{value}' is no number")))
}

fn malformed(text: &str, why: &str) -> Error {
    Error::new(ErrorClass::OTHER, format!("{JOB}='{text}': {why}"))
        .with_help(format!("mpiexec sets {JOB}; unset it to run as a single rank"))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const PLACE: Place = Place { keeper: 4711, memfd: 5, slot: 2, size: 4 };

    #[test]
    fn a_place_survives_the_environment() {
        assert_eq!(PLACE.to_string().parse::<Place>().unwrap(), PLACE);
    }

    #[test]
    fn errors_name_the_value_and_the_field() {
        for (text, fact) in [
            ("", "form"),
            ("1:2:3:4", "form"),
            ("1:2:3:x:4", "SLOT 'x'"),
            ("1:2:3:4:4", "below SIZE"),
            ("1:0:3:0:4", "KEEPER"),
            ("1:7:-1:0:4", "MEMFD"),
            ("2:4711:5:2:4", "version 2"),
        ] {
            let error = text.parse::<Place>().unwrap_err().to_string();
            for fact in [JOB, text, fact] {
                assert!(error.contains(fact), "'{fact}' is missing in: {error}");
            }
        }
    }

    #[test]
    fn ranks_see_what_programs_of_both_families_read() {
        let variables = PLACE.variables();
        for (name, value) in [
            ("RINGMPI_JOB", "1:4711:5:2:4"),
            ("PMI_RANK", "2"),
            ("PMI_SIZE", "4"),
            ("MPI_LOCALRANKID", "2"),
            ("MPI_LOCALNRANKS", "4"),
            ("OMPI_COMM_WORLD_RANK", "2"),
            ("OMPI_COMM_WORLD_SIZE", "4"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", "2"),
            ("OMPI_COMM_WORLD_LOCAL_SIZE", "4"),
            ("OMPI_COMM_WORLD_NODE_RANK", "2"),
            ("OMPI_UNIVERSE_SIZE", "4"),
        ] {
            assert!(variables.contains(&(name, value.into())), "{name}={value}");
        }
        assert_eq!(variables.len(), 11);
    }
}
