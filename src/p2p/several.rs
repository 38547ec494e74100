//! Waiting for several operations, and testing them.

use super::{Core, Engine, RequestId, Until};
use crate::error::Result;

impl Engine {
    /// Waits until all of the operations have ended.
    pub(crate) fn wait_all(&self, ids: &[RequestId]) -> Result<()> {
        ids.iter().try_for_each(|id| self.wait_until(Until::Request(*id)))
    }

    /// Waits until one of the operations has ended; the places of all that have, in order.
    pub(crate) fn wait_some(&self, ids: &[RequestId]) -> Result<Vec<usize>> {
        self.wait_until(Until::Any(ids))?;
        Ok(self.enter()?.ended(ids))
    }

    /// Makes progress, unless all of the operations have ended; the places of those that have, in order. Less
    /// than `enough` is a failed test.
    pub(crate) fn test_some(&self, ids: &[RequestId], enough: usize) -> Result<Vec<usize>> {
        let mut core = self.enter()?;
        let mut ended = core.ended(ids);
        // Also if there are enough: whoever waits for the others may never take those out.
        if ended.len() < ids.len() {
            core.poll()?;
            core = self.combining(core)?;
            ended = core.ended(ids);
        }
        if ended.len() >= enough {
            core.blocked.note_success(&self.published);
            return Ok(ended);
        }
        let open = core.open(ids);
        self.note_failed_test(&mut core, Until::Any(&open))?;
        Ok(ended)
    }
}

impl Core {
    /// Those that have not ended.
    fn open(&mut self, ids: &[RequestId]) -> Vec<RequestId> {
        ids.iter().copied().filter(|id| !self.requests.is_done(*id)).collect()
    }

    fn ended(&mut self, ids: &[RequestId]) -> Vec<usize> {
        (0..ids.len()).filter(|place| self.requests.is_done(ids[*place])).collect()
    }
}
