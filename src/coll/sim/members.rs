//! Communicators of simulated ranks: the world, and of groups.

use crate::{
    communicator::{Communicator, Foundation, Home, Membership, SharedBoard},
    error::{Error, Result},
    group::Members,
    p2p::{BulkOption, Config, CopyClock, Engine},
    shm::{
        board::{Board, Place},
        doorbell::BarrierMode,
        segment::{Segment, WORLD_BOARD},
    },
    sys::process::own_pid,
    types::{PeerId, Rank},
};
use std::{sync::Arc, time::Duration};

/// What does not depend on time.
pub(super) fn config(bulk: BulkOption) -> Config {
    let copy_clock = CopyClock::PerByte([1, 2, 5, 20]);
    Config { test_patience: Duration::MAX, bulk, copy_clock, ..Config::new(BarrierMode::Fence) }
}

/// One a rank.
pub(super) fn engines(segment: &Arc<Segment>, config: Config) -> Result<Vec<Engine>> {
    let engine = |me: usize| {
        let claimed = segment.published(me).slot.claim(own_pid());
        claimed.expect("nobody else claims slots of this segment");
        Engine::new(segment, PeerId(me as u32), config)
    };
    (0..segment.ranks()).map(engine).collect()
}

/// What a rank needs for its communicators.
pub(super) fn home(engine: &Engine) -> Home {
    let segment = engine.segment();
    let (members, me) = (segment.ranks(), engine.me().index());
    let start = segment.starts().collective;
    let board = Board::attach(segment, Place { board: WORLD_BOARD, members, me }, engine.mode(), start);
    Home::new(engine, SharedBoard::new(board, segment, WORLD_BOARD), start)
}

/// The communicator of the group that this rank is in, if there is one. All ranks of the world call it, with the same
/// groups, which have no rank in common; the members of each in the order of their ranks in it.
pub(super) fn of_groups<'u>(
    world: &Communicator<'u>,
    groups: &[Vec<Rank>],
) -> Result<Option<Communicator<'u>>> {
    world.tidy();
    let mut own = None;
    for members in groups {
        let base = world.in_round(|round| {
            let Some(me) = members.iter().position(|member| *member == world.rank()) else { return Ok(None) };
            if me == 0 {
                let (foundation, base) = Foundation::lay(world.engine(), members.len())?;
                members[1..].iter().try_for_each(|member| round.send(*member, &foundation.0))?;
                return Ok(Some((base, me)));
            }
            let words = round.receive::<u64>(members[0], 2)?;
            let words = words.try_into().map_err(|_| Error::corrupt("not two words"))?;
            let membership = Membership { members: members.len(), me };
            Foundation(words).join(world.engine(), membership).map(|base| Some((base, me)))
        })?;
        let Some((base, me)) = base else { continue };
        let group = Members::new(members.iter().map(|member| PeerId(*member as u32)));
        own = Some(world.on_base(base, group, me as Rank));
    }
    Ok(own)
}
