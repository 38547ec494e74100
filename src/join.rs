//! Jobs whose processes meet by a name: services, containers, processes that other programs start.

use crate::{
    error::{Error, ErrorClass, Result},
    world::Universe,
};

/// `JOB:RANK:SIZE`: has [`init`](crate::init) and [`run`](crate::run) join a job.
const JOIN: &str = "RINGMPI_JOIN";

/// Makes this process rank `rank` of the `size` ranks of a job, and returns when all have come. They
/// are started by whatever means, in any order, in containers too if these share `/dev/shm` and the
/// user.
///
/// The job's name is free again as soon as all have come, and nothing is left of the job when its
/// processes have ended, however they end. What processes that were killed while they waited have
/// left, the next job of that name takes over. If a process goes without finalize, the calls in which
/// others wait fail within seconds.
///
/// The job needs about 12 MiB a rank in `/dev/shm`, which is allocated here: 25 MiB for 2 ranks, 741 for 64.
///
/// A child that inherits `RINGMPI_JOIN` and calls `init` joins another job of the same name, in which
/// it waits in vain: unset it for children that use MPI too.
///
/// ```no_run
/// // In each of three processes, with its own rank:
/// let rank = std::env::args().nth(1).and_then(|rank| rank.parse().ok()).unwrap_or(0);
/// let universe = ringmpi::join("weather-7", rank, 3)?;
/// let total = universe.world().all_reduce_value(1, ringmpi::op::Sum)?;
/// assert_eq!(total, 3);
/// universe.finalize()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// - A name other than 1 to 200 of `A-Z a-z 0-9 . _ -`; a rank out of range.
/// - Another process has this rank, or another number of ranks.
/// - Ranks that do not come in time (60 s, or `RINGMPI_INIT_TIMEOUT` seconds), by name.
/// - No room in `/dev/shm`.
#[cfg(feature = "join")]
pub fn join(job: &str, rank: usize, size: usize) -> Result<Universe> {
    use crate::{shm::segment::Segment, world::init_limit};

    let limit = init_limit(std::time::Duration::from_secs(60))?;
    let segment = Segment::meet(job, rank, size, limit)?;
    let universe = Universe::claim_and_attach_within(&segment, rank, limit);
    if universe.is_err() {
        segment.end();
    }
    segment.forget_name();
    let universe = universe?;
    segment.hide_from_children()?;
    Ok(universe)
}

/// The variable is never ignored: a rank of a job is not to run alone.
#[cfg(not(feature = "join"))]
fn join(job: &str, rank: usize, size: usize) -> Result<Universe> {
    let what = format!("{JOIN}='{job}:{rank}:{size}', but this program can't join jobs");
    Err(Error::new(ErrorClass::UNSUPPORTED_OPERATION, what)
        .with_help("build it with ringmpi's feature `join`, or unset the variable"))
}

/// Whether the environment names a job to join.
pub(crate) fn is_asked_for() -> bool {
    std::env::var_os(JOIN).is_some()
}

/// The job that the environment names, if it does.
pub(crate) fn from_environment() -> Result<Option<Universe>> {
    let Some(value) = std::env::var_os(JOIN) else { return Ok(None) };
    let value = value.to_string_lossy();
    let (job, rank, size) = parse(&value)?;
    join(job, rank, size).map(Some)
}

fn parse(value: &str) -> Result<(&str, usize, usize)> {
    let fields: Vec<&str> = value.split(':').collect();
    if let [job, rank, size] = fields[..]
        && let (Ok(rank), Ok(size)) = (rank.parse(), size.parse())
    {
        return Ok((job, rank, size));
    }
    Err(Error::new(ErrorClass::ARG, format!("{JOIN}='{value}' has not the form JOB:RANK:SIZE"))
        .with_help(format!("for instance {JOIN}=weather-7:0:3")))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_variable_names_job_rank_and_size_and_errors_show_it() {
        assert_eq!(parse("weather-7:0:3").unwrap(), ("weather-7", 0, 3));
        for bad in ["", "job", "job:0", "job:0:3:4", "job:x:3", "job:0:-3"] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("'{bad}'")) && error.contains("JOB:RANK:SIZE"), "{error}");
        }
    }

    #[test]
    #[cfg(not(feature = "join"))]
    fn a_program_that_cannot_join_says_so_instead_of_running_alone() {
        let error = join("weather-7", 0, 3).err().unwrap().to_string();
        assert!(error.contains("weather-7:0:3") && error.contains("feature `join`"), "{error}");
    }
}
