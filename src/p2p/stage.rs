//! Blocks of this rank for the stages of communicators. As the other blocks of the pool they are handed back by
//! others; until then the communicator has them.

use super::{Core, Engine};
use crate::{
    error::Result,
    shm::{
        pool::{BULK_LARGE, Block, Blocks},
        stage::{STAGE_BLOCKS, StageBlocks},
    },
    types::PeerId,
};

/// Most stages of a rank at a time: transfers need blocks too.
const STAGES: usize = 2;

impl Engine {
    /// Blocks for a stage; none if other communicators have all that may be had.
    pub(crate) fn take_stage(&self) -> Result<Option<StageBlocks>> {
        Ok(self.enter()?.take_stage())
    }

    /// A stage's blocks that the others have not been told.
    pub(crate) fn put_back_stage(&self, stage: StageBlocks) {
        stage.into_iter().for_each(|block| self.lock().pool.put_back(block));
    }

    /// A peer's blocks, which it names.
    pub(crate) fn blocks_of(&self, peer: PeerId) -> Blocks {
        self.segment.blocks(peer.index()).0
    }
}

impl Core {
    fn take_stage(&mut self) -> Option<StageBlocks> {
        let Self { stages, pool, .. } = self;
        stages.retain(|stage| !stage.iter().all(|block| pool.is_over(*block)));
        if stages.len() >= STAGES {
            return None;
        }
        let mut taken: Vec<Block> = (0..STAGE_BLOCKS).map_while(|_| pool.take(BULK_LARGE)).collect();
        match StageBlocks::try_from(&taken[..]) {
            Ok(stage) => {
                stages.push(stage);
                Some(stage)
            }
            Err(_) => {
                taken.drain(..).for_each(|block| pool.put_back(block));
                None
            }
        }
    }
}
