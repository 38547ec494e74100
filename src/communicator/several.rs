//! Waiting for several requests.

use super::Request;
use crate::{
    buffer::Owned,
    error::Result,
    p2p::{RequestId, Until},
    status::Status,
};

/// Waits for all requests; their buffers come back in the same order.
///
/// # Errors
/// Of the first request that fails; those behind it are dropped.
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Waitall`.
pub fn wait_all<'c, B: Owned + 'c>(requests: impl IntoIterator<Item = Request<'c, B>>) -> Result<Vec<B>> {
    requests.into_iter().map(Request::wait).collect()
}

/// Waits until one of the requests has ended, and takes it out: its place, buffer and status. None
/// if there are no requests.
///
/// # Errors
/// What the request that ended reports; the end of the job.
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Waitany`.
pub fn wait_any<B: Owned>(requests: &mut Vec<Request<'_, B>>) -> Result<Option<(usize, B, Status)>> {
    let Some(index) = wait_for_first(requests)? else { return Ok(None) };
    let (buffer, status) = requests.remove(index).wait_status()?;
    Ok(Some((index, buffer, status)))
}

/// Waits until at least one of the requests has ended, and takes out all that have: their places
/// before the call, buffers and statuses.
///
/// # Errors
/// As [`wait_any`].
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Waitsome`.
pub fn wait_some<B: Owned>(requests: &mut Vec<Request<'_, B>>) -> Result<Vec<(usize, B, Status)>> {
    let Some(first) = wait_for_first(requests)? else { return Ok(vec![]) };
    let mut ended = Vec::new();
    let mut place = first;
    let mut index = first;
    while index < requests.len() {
        if requests[index].test()? {
            let (buffer, status) = requests.remove(index).wait_status()?;
            ended.push((place, buffer, status));
        } else {
            index += 1;
        }
        place += 1;
    }
    Ok(ended)
}

/// The place of a request that has ended.
fn wait_for_first<B: Owned>(requests: &mut [Request<'_, B>]) -> Result<Option<usize>> {
    let Some(engine) = requests.first().map(|request| request.engine) else { return Ok(None) };
    let ids: Vec<RequestId> = requests.iter().map(|request| request.id).collect();
    engine.wait_until(Until::Any(&ids))?;
    for (index, request) in requests.iter_mut().enumerate() {
        if request.test()? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}
