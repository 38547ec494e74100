//! Ranks that other trials start and expect to end in a certain way.

use super::{next, previous};
use crate::executor::{self, Task};
use crate::{job, rank};
use nix::sys::signal::{Signal, raise};
use ringmpi::{Communicator, PROC_NULL, Result, Source, op};
use std::{
    io::{Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
};

/// The last rank does something; the others wait for it in vain.
fn only_the_last(world: &Communicator<'_>, act: impl FnOnce()) -> Result<()> {
    world.barrier()?;
    if world.rank() == world.size() - 1 {
        act();
    }
    world.process_at_rank(world.size() - 1).tag(1).receive::<u8>().map(drop)
}

pub(crate) fn finalizes(world: &Communicator<'_>) -> Result<()> {
    world.barrier()
}

pub(crate) fn tells_its_rank(world: &Communicator<'_>) -> Result<()> {
    println!("{} of {}", world.rank(), world.size());
    world.barrier()
}

pub(crate) fn prints_many_lines(world: &Communicator<'_>) -> Result<()> {
    for line in 0..2000 {
        println!("rank {} line {line} {}", world.rank(), "x".repeat(line % 200));
    }
    Ok(())
}

pub(crate) fn prints_then_panics(world: &Communicator<'_>) -> Result<()> {
    print!("{}", "before the failure\n".repeat(1000));
    only_the_last(world, || panic!("on purpose"))
}

pub(crate) fn returns_error(world: &Communicator<'_>) -> Result<()> {
    only_the_last(world, || {
        let error = world.process_at_rank(PROC_NULL - 1).send(&[0]).unwrap_err();
        eprintln!("{error}");
        std::process::exit(3);
    })
}

/// As a closure of `run` does.
pub(crate) fn fails_on_purpose(world: &Communicator<'_>) -> Result<()> {
    world.barrier()?;
    if world.rank() == world.size() - 1 {
        return world.process_at_rank(PROC_NULL - 1).send(&[0]);
    }
    world.process_at_rank(world.size() - 1).tag(1).receive::<u8>().map(drop)
}

pub(crate) fn panics(world: &Communicator<'_>) -> Result<()> {
    only_the_last(world, || panic!("on purpose"))
}

/// On the board, where all ranks combine all parts.
pub(crate) fn panics_in_a_short_reduction(world: &Communicator<'_>) -> Result<()> {
    panics_in_a_reduction(world, 1)
}

/// Too long for a slot of the board.
pub(crate) fn panics_in_a_long_reduction(world: &Communicator<'_>) -> Result<()> {
    panics_in_a_reduction(world, 500)
}

/// Of which every rank combines a share.
pub(crate) fn panics_in_a_large_reduction(world: &Communicator<'_>) -> Result<()> {
    panics_in_a_reduction(world, 100_000)
}

/// By messages: each rank waits for the one before.
pub(crate) fn panics_in_a_prefix_reduction(world: &Communicator<'_>) -> Result<()> {
    let panics = op::ordered(|_: &u64, _: &u64| -> u64 { panic!("on purpose") });
    let _caught = catch_unwind(AssertUnwindSafe(|| world.scan(&[1; 500], panics)));
    let _ignored = world.barrier();
    Ok(())
}

/// Of a persistent request, which cannot be started again.
pub(crate) fn panics_in_a_persistent_reduction(world: &Communicator<'_>) -> Result<()> {
    let panics = op::ordered(|_: &u64, _: &u64| -> u64 { panic!("on purpose") });
    let mut reducing = world.all_reduce_init(vec![1; 500], vec![0; 500], panics)?;
    for _ in 0..2 {
        let _caught = catch_unwind(AssertUnwindSafe(|| {
            reducing.start()?;
            reducing.wait()
        }));
    }
    let _ignored = world.barrier();
    Ok(())
}

/// While this thread waits for something else, into memory that goes away.
pub(crate) fn panics_in_another_reduction(world: &Communicator<'_>) -> Result<()> {
    let panics = op::ordered(|_: &u64, _: &u64| -> u64 { panic!("on purpose") });
    let _reducing = world.immediate_all_reduce(vec![1; 500], panics)?;
    for _ in 0..3 {
        let mut into = [7u8; 30];
        let from = world.process_at_rank((world.rank() + 1) % world.size());
        let _caught = catch_unwind(AssertUnwindSafe(|| from.receive_into(&mut into)));
        assert_eq!(into, [7; 30]);
    }
    let _ignored = world.barrier();
    Ok(())
}

/// Of a program that takes no notice of anything.
fn panics_in_a_reduction(world: &Communicator<'_>, len: usize) -> Result<()> {
    let panics = op::ordered(|_: &u64, _: &u64| -> u64 { panic!("on purpose") });
    let _caught = catch_unwind(AssertUnwindSafe(|| world.all_reduce(&vec![1; len], panics)));
    let _ignored = world.barrier();
    Ok(())
}

/// Wherever progress calls the operation; the request and another one stay behind.
pub(crate) fn panics_in_an_immediate_reduction(world: &Communicator<'_>) -> Result<()> {
    let panics = op::ordered(|_: &u64, _: &u64| -> u64 { panic!("on purpose") });
    let mut requests = vec![];
    for _ in 0..2 {
        requests.push(world.immediate_all_reduce(vec![1; 500], panics)?);
    }
    for request in requests {
        let _caught = catch_unwind(AssertUnwindSafe(|| request.wait()));
    }
    let _ignored = world.barrier();
    Ok(())
}

/// In the thread that makes progress for futures: the executor has to be told.
pub(crate) fn panics_in_an_awaited_reduction(world: &Communicator<'_>) -> Result<()> {
    let panics = op::ordered(|_: &u64, _: &u64| -> u64 { panic!("on purpose") });
    let task = || -> Task<'_> {
        Box::pin(async { world.immediate_all_reduce(vec![1u64; 500], panics)?.await.map(drop) })
    };
    let run = || executor::run(1, vec![task(), task()]);
    let _caught = catch_unwind(AssertUnwindSafe(run));
    let _ignored = world.barrier();
    Ok(())
}

pub(crate) fn aborts_with_42(world: &Communicator<'_>) -> Result<()> {
    only_the_last(world, || world.abort(42))
}

pub(crate) fn exits_without_finalize(world: &Communicator<'_>) -> Result<()> {
    only_the_last(world, || std::process::exit(0))
}

pub(crate) fn exits_with_7_without_finalize(world: &Communicator<'_>) -> Result<()> {
    only_the_last(world, || std::process::exit(7))
}

pub(crate) fn segfaults(world: &Communicator<'_>) -> Result<()> {
    // The first one only takes away the handler of Rust's runtime, which looks for stack overflows.
    only_the_last(world, || (0..2).for_each(|_| raise(Signal::SIGSEGV).unwrap()))
}

pub(crate) fn killed(world: &Communicator<'_>) -> Result<()> {
    only_the_last(world, || raise(Signal::SIGKILL).unwrap())
}

/// Says that it runs, and waits for a message that never comes.
pub(crate) fn blocks(world: &Communicator<'_>) -> Result<()> {
    world.barrier()?;
    println!("rank {} blocks", world.rank());
    previous(world).receive::<u8>().map(drop)
}

/// Every rank prints how much standard input it has.
pub(crate) fn echo_stdin(world: &Communicator<'_>) -> Result<()> {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).unwrap();
    println!("rank {} read {} bytes", world.rank(), input.len());
    world.barrier()
}

/// A child of a rank is no rank: alone, it is rank 0 of 1.
pub(crate) fn expects_to_be_alone(world: &Communicator<'_>) -> Result<()> {
    assert_eq!((world.rank(), world.size()), (0, 1));
    let sending = next(world).immediate_send(vec![1u8])?;
    assert_eq!(previous(world).receive::<u8>()?.0, 1);
    sending.wait().map(drop)
}

/// Children of every kind.
const PYTHON: &str = "
import multiprocessing, os, subprocess
pid = os.fork()
if pid == 0:
    os._exit(17)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 17
environment = dict(os.environ, RINGMPI_TEST_BODY='expects_to_be_alone')
for close in (True, False):
    subprocess.run([os.environ['ITSELF']], env=environment, close_fds=close, check=True)
assert subprocess.check_output('echo hello', shell=True) == b'hello\\n'
def double(x):
    return 2 * x
with multiprocessing.get_context('fork').Pool(2) as pool:
    assert pool.map(double, range(10)) == list(range(0, 20, 2))
with multiprocessing.get_context('spawn').Pool(2) as pool:
    assert pool.map(abs, [-1, -2]) == [1, 2]
print('children ended well')
";

pub(crate) fn forks_children(world: &Communicator<'_>) -> Result<()> {
    with_messages_in_flight(world, || {
        for _ in 0..3 {
            let status = Command::new(job::itself()).env(rank::BODY, "expects_to_be_alone").status().unwrap();
            assert!(status.success(), "{status}");
        }
        let mut nested = Command::new(job::MPIEXEC);
        nested.args(["-n", "2"]).arg(job::itself()).env(rank::BODY, "finalizes");
        assert!(nested.status().unwrap().success(), "a job inside a rank");
    })
}

pub(crate) fn forks_children_by_python(world: &Communicator<'_>) -> Result<()> {
    with_messages_in_flight(world, || {
        let output =
            Command::new("python3").args(["-c", PYTHON]).env("ITSELF", job::itself()).output().unwrap();
        std::io::stderr().write_all(&output.stderr).unwrap();
        assert_eq!(output.stdout, b"children ended well\n");
    })
}

fn with_messages_in_flight(world: &Communicator<'_>, act: impl FnOnce()) -> Result<()> {
    let sending = next(world).immediate_synchronous_send(vec![7u8; 300_000])?;
    act();
    assert_eq!(previous(world).receive_vec::<u8>()?.0, [7; 300_000]);
    sending.wait()?;
    println!("rank {} is well", world.rank());
    world.barrier()
}
