//! A process that user code forks from a rank is no rank: calls are errors there, and nothing that the
//! rank has made breaks when it is used or dropped.

use super::{assert_same, bytes, next, previous};
use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, Pid, fork},
};
use ringmpi::{
    Communicator, Message, Persistent, Request, Result, SharedBuffer, Source, Universe, op, wait_all,
    wait_any, wait_some,
};
use std::{
    cell::Cell,
    mem::MaybeUninit,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
};

/// Goes by rendezvous: it stays in flight until it is received.
const LARGE: usize = 300_000;
/// How many receives are pending when the process forks.
const PENDING: usize = 9;

/// Forks. In the child, runs `child` with the objects and ends; in the parent, waits for that to end well,
/// and gives the objects back.
pub(crate) fn fork_with<T>(objects: T, child: impl FnOnce(T)) -> T {
    match fork_here() {
        None => end_child(|| child(objects)),
        Some(pid) => {
            expect_well(pid);
            objects
        }
    }
}

/// Forks; None in the child.
fn fork_here() -> Option<Pid> {
    // SAFETY: the child uses memory of this thread only.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => None,
        ForkResult::Parent { child } => Some(child),
    }
}

/// The rest of a child, which must not come back into the rank's frames.
fn end_child(rest: impl FnOnce()) -> ! {
    let has_failed = catch_unwind(AssertUnwindSafe(rest)).is_err();
    // SAFETY: no preconditions.
    unsafe { libc::_exit(has_failed.into()) }
}

fn expect_well(child: Pid) {
    assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)), "the child");
}

/// Memory of the child's own, in the places that the rank's shared memory has left.
struct Filling(Vec<Vec<u8>>);

impl Filling {
    fn new() -> Self {
        Self((0..256).map(|_| vec![0; 1 << 20]).collect())
    }

    /// Whether it is still there, and unchanged.
    fn check(mut self) {
        for vec in &mut self.0 {
            assert!(vec.iter_mut().step_by(256 << 10).all(|byte| std::mem::replace(byte, 1) == 0));
        }
    }
}

#[track_caller]
fn assert_no_rank<T>(result: Result<T>) {
    let error = result.map(drop).expect_err("a call in a forked child");
    assert!(error.to_string().contains("made by fork"), "{error}");
}

/// What a rank may have when it forks.
struct Objects<'c, 'u> {
    sent: Request<'c, Vec<u8>>,
    sending: Request<'c, Vec<u8>>,
    sending_shared: Request<'c, SharedBuffer<u8>>,
    receives: Vec<Request<'c, Vec<u8>>>,
    checked: Request<'c, Vec<bool>>,
    idle_send: Persistent<'c, 'u, Vec<u8>>,
    active_send: Persistent<'c, 'u, Vec<u8>>,
    idle_receive: Persistent<'c, 'u, Vec<u8>>,
    active_receive: Persistent<'c, 'u, Vec<u8>>,
    idle_shared: Persistent<'c, 'u, SharedBuffer<u8>>,
    messages: Vec<Message<'c>>,
    shared: SharedBuffer<u8>,
    duplicate: Communicator<'u>,
}

pub(crate) fn children_that_are_no_ranks(world: &Communicator<'_>) -> Result<()> {
    let mine = bytes(world.rank(), 0, LARGE);
    let shared = |world: &Communicator<'_>| -> Result<SharedBuffer<u8>> {
        let mut shared = world.alloc::<u8>(LARGE)?;
        shared.copy_from_slice(&mine);
        Ok(shared)
    };
    let (to, from) = (next(world), previous(world));
    let matched = [to.tag(1).immediate_send(vec![1u8])?, to.tag(1).immediate_send(mine.clone())?];
    let mut objects = Objects {
        sent: to.tag(2).immediate_send(vec![2u8])?,
        sending: to.tag(3).immediate_send(mine.clone())?,
        sending_shared: to.tag(4).immediate_send(shared(world)?)?,
        receives: (0..PENDING).map(|_| from.tag(5).immediate_receive(LARGE)).collect::<Result<_>>()?,
        checked: from.tag(6).immediate_receive(3)?,
        idle_send: to.tag(7).send_init(mine.clone())?,
        active_send: to.tag(8).send_init(mine.clone())?,
        idle_receive: from.tag(7).receive_init(vec![0; LARGE])?,
        active_receive: from.tag(8).receive_init(vec![0; LARGE])?,
        idle_shared: to.tag(9).send_init(shared(world)?)?,
        messages: (0..2).map(|_| from.tag(1).matched_probe()).collect::<Result<_>>()?,
        shared: shared(world)?,
        duplicate: world.duplicate()?,
    };
    objects.active_send.start()?;
    objects.active_receive.start()?;
    let objects = fork_with(objects, |objects| {
        let filling = Filling::new();
        communicate_in_vain(world);
        communicate_in_vain(&objects.duplicate);
        use_in_vain(objects);
        filling.check();
    });
    // Once more, for a child that drops everything.
    let objects = fork_with(objects, |objects| {
        let filling = Filling::new();
        drop(objects);
        filling.check();
    });
    complete(world, objects, &mine)?;
    matched.into_iter().try_for_each(|sending| sending.wait().map(drop))?;
    world.barrier()
}

/// All that begins at a communicator.
fn communicate_in_vain(comm: &Communicator<'_>) {
    let (to, from, any) = (next(comm), previous(comm), comm.any_process());
    let mut room = [0u8; 4];
    assert_no_rank(to.send(&[1]));
    assert_no_rank(to.synchronous_send(&[1]));
    assert_no_rank(to.ready_send(&[1]));
    assert_no_rank(to.buffered_send(&[1]));
    assert_no_rank(to.immediate_send(vec![1]));
    assert_no_rank(to.immediate_synchronous_send(vec![1]));
    assert_no_rank(to.send_init(vec![1]));
    assert_no_rank(to.send_receive_into(&[1], from, &mut room));
    assert_no_rank(to.send_receive_replace(&mut room, any));
    receive_in_vain(from);
    receive_in_vain(any);
    assert_no_rank(comm.barrier());
    assert_no_rank(comm.broadcast_into(&mut room, 0));
    assert_no_rank(comm.gather(&room, 0));
    assert_no_rank(comm.all_gather(&room));
    assert_no_rank(comm.reduce(&[1], op::Sum, 0));
    assert_no_rank(comm.all_reduce(&[1], op::Sum));
    assert_no_rank(comm.duplicate());
    assert_no_rank(comm.split(Some(0), 0));
    assert_no_rank(comm.alloc::<u8>(1));
    assert_no_rank(comm.scope(|_| Ok(())));
}

fn receive_in_vain<'c>(from: impl Source<'c>) {
    let mut room = [0u8; 4];
    assert_no_rank(from.receive::<u8>());
    assert_no_rank(from.receive_vec::<u8>());
    assert_no_rank(from.receive_into(&mut room));
    assert_no_rank(from.receive_into_uninit(&mut [MaybeUninit::<u8>::uninit()]));
    assert_no_rank(from.immediate_receive::<u8>(1).map(drop));
    assert_no_rank(from.immediate_receive_into(vec![1]).map(drop));
    assert_no_rank(from.receive_init(vec![1]).map(drop));
    assert_no_rank(from.probe());
    assert_no_rank(from.immediate_probe());
    assert_no_rank(from.matched_probe().map(drop));
    assert_no_rank(from.immediate_matched_probe().map(drop));
}

fn use_in_vain(mut objects: Objects<'_, '_>) {
    assert_no_rank(objects.sending.test());
    assert_no_rank(objects.sent.wait());
    assert_no_rank(objects.sending.wait_status());
    assert_no_rank(objects.sending_shared.wait());
    let mut receives = objects.receives;
    assert_no_rank(receives[0].test());
    assert_no_rank(wait_any(&mut receives));
    assert_no_rank(wait_some(&mut receives));
    assert_no_rank(receives.pop().unwrap().wait());
    assert_no_rank(receives.pop().unwrap().cancel().unwrap_err().wait());
    assert_no_rank(wait_all(receives));
    assert_no_rank(objects.checked.wait());
    assert_no_rank(objects.idle_send.start());
    assert_no_rank(objects.idle_receive.start());
    assert_no_rank(objects.idle_shared.start());
    assert_no_rank(objects.idle_shared.buffer_mut());
    assert_no_rank(objects.active_send.test());
    assert_no_rank(objects.active_send.wait());
    assert_no_rank(objects.active_receive.wait());
    let mut room = [0u8; 1];
    assert_no_rank(objects.messages.pop().unwrap().receive_vec::<u8>());
    assert_no_rank(objects.messages.pop().unwrap().receive_into(&mut room));
    assert!(objects.shared.is_empty() && objects.shared.iter_mut().next().is_none());
}

/// In the parent all goes on as if there had been no child.
fn complete(world: &Communicator<'_>, objects: Objects<'_, '_>, mine: &[u8]) -> Result<()> {
    let Objects { mut idle_send, mut active_send, mut idle_receive, mut active_receive, .. } = objects;
    let (to, from) = (next(world), previous(world));
    let theirs = bytes(from.rank(), 0, LARGE);
    assert_eq!(objects.sent.wait()?, [2]);
    assert_eq!(from.tag(2).receive::<u8>()?.0, 2);
    let numbered = |number: usize| bytes(from.rank(), number, 1000 * number);
    for number in 0..PENDING {
        to.tag(5).send(&bytes(world.rank(), number, 1000 * number))?;
    }
    for (number, got) in wait_all(objects.receives)?.iter().enumerate() {
        assert_same(got, &numbered(number));
    }
    to.tag(6).send(&[true, false, true])?;
    assert_eq!(objects.checked.wait()?, [true, false, true]);
    idle_receive.start()?;
    idle_send.start()?;
    for (receive, send) in [(&mut idle_receive, &mut idle_send), (&mut active_receive, &mut active_send)] {
        receive.wait()?;
        assert_same(receive.buffer_mut()?, &theirs);
        send.wait()?;
    }
    assert_same(&from.tag(3).receive_vec()?.0, &theirs);
    assert_same(&objects.sending.wait()?, mine);
    assert_same(&from.tag(4).receive_vec()?.0, &theirs);
    assert_same(&objects.sending_shared.wait()?, mine);
    let mut messages = objects.messages.into_iter();
    assert_eq!(messages.next().unwrap().receive_vec::<u8>()?, [1]);
    assert_same(&messages.next().unwrap().receive_vec()?, &theirs);
    assert_same(&objects.shared, mine);
    objects.duplicate.barrier()
}

/// The child returns into the scope in which its parent has made it.
pub(crate) fn children_forked_in_scopes(world: &Communicator<'_>) -> Result<()> {
    let (mine, mut theirs, mut others) = (bytes(world.rank(), 1, LARGE), vec![0; LARGE], [0u8; 1]);
    let mut forked = None;
    let result = world.scope(|scope| {
        let mut receiving = scope.immediate_receive_into(previous(world).tag(6), &mut theirs)?;
        let _ = scope.immediate_receive_into(previous(world).tag(7), &mut others)?;
        forked = Some(fork_here());
        if forked == Some(None) {
            assert_no_rank(receiving.test());
            assert_no_rank(receiving.wait());
            return Ok(());
        }
        next(world).tag(7).send(&[7u8])?;
        let _ = scope.immediate_send(next(world).tag(6), &mine)?;
        Ok(())
    });
    match forked.expect("set in the scope") {
        None => end_child(|| assert_no_rank(result)),
        Some(child) => expect_well(child),
    }
    result?;
    assert_same(&theirs, &bytes(previous(world).rank(), 1, LARGE));
    assert_eq!(others, [7]);
    world.barrier()
}

/// The child returns into the reduction in whose operation its parent has made it.
pub(crate) fn children_forked_in_operations(world: &Communicator<'_>) -> Result<()> {
    // On the board, on the stage, and by messages.
    for (len, is_prefix) in [(1, false), (1000, false), (100_000, false), (1000, true)] {
        let forked = Cell::new(None);
        let sum = op::ordered(|a: &i32, b: &i32| {
            if forked.get().is_none() {
                forked.set(Some(fork_here()));
            }
            a + b
        });
        let ones = vec![1; len];
        let result = if is_prefix { world.scan(&ones, sum) } else { world.all_reduce(&ones, sum) };
        match forked.get() {
            Some(None) => end_child(|| {
                // It may already have what it needs.
                assert!(result.is_err() || is_prefix || len == 1 && world.size() <= 3);
                assert_no_rank(world.barrier());
            }),
            Some(Some(child)) => expect_well(child),
            None => {}
        }
        assert_eq!(result?, vec![if is_prefix { world.rank() + 1 } else { world.size() }; len]);
    }
    world.barrier()
}

/// An operation that progress calls may fork, too.
pub(crate) fn children_forked_in_immediate_operations(world: &Communicator<'_>) -> Result<()> {
    for way in 0..6 {
        let forked = Arc::new(Mutex::new(None));
        let of_operation = Arc::clone(&forked);
        let sum = op::ordered(move |a: &i32, b: &i32| {
            of_operation.lock().unwrap().get_or_insert_with(fork_here);
            a + b
        });
        if way == 5 {
            let mut reducing = world.all_reduce_init(vec![1; 700], vec![0; 700], sum)?;
            reducing.start()?;
            let result = reducing.wait();
            let forked = *forked.lock().unwrap();
            match forked {
                Some(None) => end_child(|| {
                    assert_no_rank(result);
                    assert_no_rank(reducing.start());
                    drop(reducing);
                }),
                Some(Some(child)) => expect_well(child),
                None => {}
            }
            assert_eq!(reducing.output_mut()?, vec![world.size(); 700]);
            return result;
        }
        let mut request = world.immediate_all_reduce(vec![1; 700], sum)?;
        let result = match way {
            0 => request.wait(),
            1 => loop {
                match request.test() {
                    Ok(false) => std::thread::yield_now(),
                    Ok(true) => break request.wait(),
                    Err(error) => break Err(error),
                }
            },
            2 => world.block_on(request).map(|(sums, _)| sums),
            // Collectives on the board make progress now and then, also when they need not wait.
            3 => (0..300).try_for_each(|_| world.barrier()).and_then(|()| request.wait()),
            // Another one is waited for.
            _ => world.immediate_barrier()?.wait().and_then(|()| request.wait()),
        };
        let forked = *forked.lock().unwrap();
        match forked {
            Some(None) => end_child(|| {
                assert_no_rank(result);
                assert_no_rank(world.barrier());
            }),
            Some(Some(child)) => expect_well(child),
            None => {}
        }
        assert_eq!(result?, vec![world.size(); 700]);
        world.barrier()?;
    }
    Ok(())
}

/// The child's panic is its own: the job goes on.
pub(crate) fn children_that_panic_in_operations(world: &Communicator<'_>) -> Result<()> {
    for len in [1, 1000] {
        let forked = Cell::new(None);
        let sum = op::ordered(|a: &i32, b: &i32| {
            if forked.get().is_none() {
                forked.set(Some(fork_here()));
                if forked.get() == Some(None) {
                    resume_unwind(Box::new("on purpose"));
                }
            }
            a + b
        });
        let result = catch_unwind(AssertUnwindSafe(|| world.all_reduce(&vec![1; len], sum)));
        match forked.get() {
            Some(None) => end_child(|| assert!(result.is_err())),
            Some(Some(child)) => expect_well(child),
            None => {}
        }
        assert_eq!(result.unwrap()?, vec![world.size(); len]);
    }
    world.barrier()
}

/// How a forked child leaves that has its parent's universe.
const WAYS_TO_LEAVE: [fn(Universe); 3] = [
    |universe| universe.finalize().unwrap(),
    drop,
    |universe| {
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _universe = universe;
            resume_unwind(Box::new("on purpose"));
        }));
        assert!(panic.is_err());
    },
];

/// A whole rank: its children leave MPI too, one of them by returning from main.
pub(crate) fn children_leave() {
    let mut universe = ringmpi::init().unwrap();
    let mut shared = universe.world().alloc::<u8>(LARGE).unwrap();
    for leave in WAYS_TO_LEAVE {
        (universe, shared) = fork_with((universe, shared), |(universe, shared)| {
            let filling = Filling::new();
            leave(universe);
            drop(shared);
            filling.check();
        });
    }
    let child = fork_here();
    if let Some(child) = child {
        expect_well(child);
        universe.world().barrier().unwrap();
        assert_eq!(shared.len(), LARGE);
    }
}
