//! Whole programs: what they do before they have ranks, beside them, and after.

use crate::bodies;
use ringmpi::{Communicator, Result};
use std::{
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
};

/// What a process does.
pub(crate) type Program = fn();

const LIST: &[(&str, Program)] = &[
    ("children_leave", bodies::forked::children_leave),
    ("inits_twice", inits_twice),
    ("idle_in_init", bodies::idle::idle_in_init),
    ("idle_in_finalize", bodies::idle::idle_in_finalize),
    ("futures_leave_no_thread", bodies::futures::futures_leave_no_thread),
    ("prints_around_run", || print_around_run(|world| world.barrier())),
    ("panics_in_run", || {
        print_around_run(|world| match world.rank() {
            1 => panic!("on purpose"),
            _ => world.barrier(),
        });
    }),
    ("runs_beside_a_thread", runs_beside_a_thread),
    ("runs_beside_a_universe", runs_beside_a_universe),
    ("runs_after_a_universe", || {
        runs_beside_a_universe();
        ringmpi::run(2, |world| world.barrier()).unwrap();
    }),
    ("runs_in_run", || ringmpi::run(2, |world| refused_in(&world)).unwrap()),
    ("runs_in_threads", || drop(ringmpi::threads(2, |world| refused_in(&world).unwrap()).unwrap())),
];

/// The program with this name.
pub(crate) fn find(name: &str) -> Program {
    LIST.iter().find(|listed| listed.0 == name).unwrap_or_else(|| panic!("no program is called {name}")).1
}

fn inits_twice() {
    let universe = ringmpi::init().unwrap();
    let error = ringmpi::init().map(drop).unwrap_err().to_string();
    assert!(error.contains("init was called twice"), "{error}");
    universe.world().barrier().unwrap();
    universe.finalize().unwrap();
}

/// Says that the frame of `run`'s caller has been left.
struct Frame;

impl Drop for Frame {
    fn drop(&mut self) {
        println!("the frame is left");
    }
}

/// What each process does that comes back from `run`, or has something in its buffers that was printed
/// before.
fn print_around_run(body: fn(&Communicator<'_>) -> Result<()>) {
    print!("before, by Rust; ");
    // SAFETY: the text ends with NUL and asks for no arguments.
    unsafe { libc::printf(c"before, by C\n".as_ptr()) };
    let frame = Frame;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _inner = Frame;
        ringmpi::run(3, |world| {
            println!("rank {}", world.rank());
            world.barrier()?;
            body(&world)
        })
    }));
    match outcome {
        Ok(Ok(())) => println!("run returns"),
        Ok(Err(error)) => println!("run returns: {error}"),
        Err(_) => println!("run panics"),
    }
    drop(frame);
    std::io::stdout().flush().unwrap();
}

/// A fork would leave the other thread behind, and with it the locks that it holds.
fn runs_beside_a_thread() {
    let (end, until_the_end) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || until_the_end.recv());
    let error = ringmpi::run(2, |_| -> Result<()> { panic!("a rank of a process with threads") });
    println!("{}", error.unwrap_err());
    drop(end);
    assert!(thread.join().unwrap().is_err(), "the sender is gone");
}

fn runs_beside_a_universe() {
    let universe = ringmpi::init().unwrap();
    refused_in(&universe.world()).unwrap();
    let shared = universe.world().alloc::<u64>(1000).unwrap();
    universe.finalize().unwrap();
    // Its ranks would not have the memory.
    let closure = |_: Communicator<'_>| -> Result<()> { panic!("a rank that uses {}", shared[0]) };
    let error = ringmpi::run(2, closure).unwrap_err().to_string();
    assert!(error.contains("memory from `alloc`"), "{error}");
    drop(shared);
}

/// A rank runs no ranks, and is no worse for having tried to.
fn refused_in(world: &Communicator<'_>) -> Result<()> {
    let error = ringmpi::run(2, |_| -> Result<()> { panic!("a rank of a rank") }).unwrap_err().to_string();
    assert!(error.contains("is a rank already") && error.contains("before init"), "{error}");
    world.barrier()
}
