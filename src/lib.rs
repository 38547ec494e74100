//! MPI for one machine: ranks are processes that talk through lock-free shared-memory rings.
//!
//! # The model
//!
//! A *job* is a number of processes that run the same program. Each has a *rank*, from 0 to *size* − 1.
//! They share no variables: they send each other *messages*. A message has a sender, a receiver, a *tag*
//! and data, and belongs to a [`Communicator`]: a group of processes, and a context of their own. A
//! receive says which sender and which tag it wants, or that any will do.
//!
//! Order: of two messages from one rank to another that both fit a receive, it takes the one sent
//! first. Messages of different senders come in any order.
//!
//! Time: a small message is on its way when the send returns, whether or not it is received. The send
//! of a large one may wait for its receive. Do not rely on either: two ranks that send to each other
//! first and receive then finish only while messages are small.
//!
//! # Hello
//!
//! [`run`] starts the ranks by fork, calls the closure in each, and waits for them. A function of
//! `&Communicator` for what a rank does is convenient: `?` works in it, and tests can call it.
//!
//! ```no_run
//! use ringmpi::{Communicator, Result};
//!
//! fn main() -> Result<()> {
//!     ringmpi::run(4, |world| hello(&world))
//! }
//!
//! fn hello(world: &Communicator<'_>) -> Result<()> {
//!     println!("rank {} of {}", world.rank(), world.size());
//!     Ok(())
//! }
//! ```
//!
//! # Send and receive
//!
//! [`process_at_rank`](Communicator::process_at_rank) names a peer, [`tag`](Process::tag) adds a tag.
//! [`send`](Process::send) takes a slice. The receives are methods of [`Source`], which has to be in
//! scope: [`receive`](Source::receive) for one element, [`receive_into`](Source::receive_into) for a
//! slice, [`receive_vec`](Source::receive_vec) for any number.
//!
//! ```
//! use ringmpi::{Communicator, Result, Source};
//!
//! /// Rank 0 sends to rank 1, which answers.
//! fn ping_pong(world: &Communicator<'_>) -> Result<()> {
//!     if world.rank() == 0 {
//!         let peer = world.process_at_rank(1);
//!         peer.tag(7).send(&[1.5, 2.5, 3.5])?;
//!         let (sum, _) = peer.receive::<f64>()?;
//!         assert_eq!(sum, 7.5);
//!     } else {
//!         let peer = world.process_at_rank(0);
//!         let (numbers, status) = peer.receive_vec::<f64>()?;
//!         assert_eq!((status.source(), status.tag()), (0, 7));
//!         peer.send(&[numbers.iter().sum::<f64>()])?;
//!     }
//!     Ok(())
//! }
//! # ringmpi::threads(2, |world| ping_pong(&world).unwrap())?;
//! # Ok::<(), ringmpi::Error>(())
//! ```
//!
//! What may travel is [`Plain`]: numbers, arrays of them, `bool`, and your own `repr(C)` types that
//! derive two of bytemuck's traits (`cargo add bytemuck --features derive`). What arrives is checked: a
//! byte that is no `bool` is an error.
//!
//! ```
//! use bytemuck::{CheckedBitPattern, NoUninit};
//!
//! #[derive(Clone, Copy, NoUninit, CheckedBitPattern)]
//! #[repr(C)]
//! struct Job {
//!     id: u32,
//!     kind: Kind,
//! }
//!
//! #[derive(Clone, Copy, NoUninit, CheckedBitPattern)]
//! #[repr(u32)]
//! enum Kind {
//!     Work,
//!     Rest,
//! }
//! # ringmpi::threads(1, |world| {
//! #     use ringmpi::Source;
//! #     let myself = world.process_at_rank(0);
//! #     myself.send(&[Job { id: 3, kind: Kind::Work }, Job { id: 4, kind: Kind::Rest }]).unwrap();
//! #     let (jobs, _) = myself.receive_vec::<Job>().unwrap();
//! #     assert!(matches!(jobs[..], [Job { id: 3, kind: Kind::Work }, Job { id: 4, kind: Kind::Rest }]));
//! #     myself.send(&[7u32, 7]).unwrap();
//! #     assert!(myself.receive_vec::<Job>().is_err());
//! # })?;
//! # Ok::<(), ringmpi::Error>(())
//! ```
//!
//! # Any sender, any size
//!
//! [`any_process`](Communicator::any_process) receives from whoever comes first; the [`Status`] says who
//! that was. [`matched_probe`](Source::matched_probe) waits for a message and takes it without receiving
//! it yet: sender, tag and size are known before there has to be memory for it.
//!
//! ```
//! use ringmpi::{Communicator, Result, Source};
//!
//! /// Every rank sends as many numbers as its rank; rank 0 collects them.
//! fn collect(world: &Communicator<'_>) -> Result<()> {
//!     if world.rank() > 0 {
//!         let numbers: Vec<i32> = (0..world.rank()).collect();
//!         return world.process_at_rank(0).send(&numbers);
//!     }
//!     for _ in 1..world.size() {
//!         let message = world.any_process().matched_probe()?;
//!         let (source, count) = (message.status().source(), message.status().count::<i32>());
//!         assert_eq!(count, Some(source as usize));
//!         assert_eq!(message.receive_vec::<i32>()?, (0..source).collect::<Vec<_>>());
//!     }
//!     Ok(())
//! }
//! # ringmpi::threads(4, |world| collect(&world).unwrap())?;
//! # Ok::<(), ringmpi::Error>(())
//! ```
//!
//! # Nonblocking
//!
//! An *immediate* operation only begins; [`Request::wait`] ends it. The request owns the buffer in
//! between, and `wait` gives it back. Large messages move only while the process is inside a call, so
//! a long computation looks in with [`Request::test`] now and then.
//!
//! ```
//! use ringmpi::{Communicator, Result, Source};
//!
//! /// Everyone sends to the next rank and receives from the previous one, at the same time.
//! fn shift(world: &Communicator<'_>) -> Result<()> {
//!     let (rank, size) = (world.rank(), world.size());
//!     let (next, previous) = ((rank + 1) % size, (rank + size - 1) % size);
//!     let sending = world.process_at_rank(next).immediate_send(vec![rank; 100_000])?;
//!     let receiving = world.process_at_rank(previous).immediate_receive::<i32>(100_000)?;
//!     // Computation goes here.
//!     assert_eq!(receiving.wait()?, vec![previous; 100_000]);
//!     let buffer = sending.wait()?; // to be used again
//!     assert_eq!(buffer.len(), 100_000);
//!     Ok(())
//! }
//! # ringmpi::threads(3, |world| shift(&world).unwrap())?;
//! # Ok::<(), ringmpi::Error>(())
//! ```
//!
//! [`wait_all`], [`wait_any`] and [`wait_some`] wait for several requests, [`test_all`] and its like do not
//! wait. Requests of different types go together into [`wait_any_of`] and the other functions with `_of`,
//! which tell whose turn it is.
//!
//! A request is also a future. [`block_on`](Communicator::block_on) awaits one, and makes progress meanwhile. Any
//! other executor works as well: then the library starts a thread that makes progress for it. What awaits
//! several at a time (a join, a select, tasks) comes from there; the example `futures` has a small executor.
//!
//! ```
//! use ringmpi::{Communicator, Result, Source};
//!
//! /// Every rank's number goes round until it has come back.
//! async fn go_round(world: &Communicator<'_>) -> Result<()> {
//!     let (rank, size) = (world.rank(), world.size());
//!     let next = world.process_at_rank((rank + 1) % size);
//!     let previous = world.process_at_rank((rank + size - 1) % size);
//!     let mut number = vec![rank];
//!     for _ in 0..size {
//!         let receiving = previous.immediate_receive(1)?;
//!         next.immediate_send(number)?.await?;
//!         (number, _) = receiving.await?;
//!     }
//!     assert_eq!(number, [rank]);
//!     Ok(())
//! }
//! # ringmpi::threads(3, |world| world.block_on(go_round(&world)).unwrap())?;
//! # Ok::<(), ringmpi::Error>(())
//! ```
//!
//! Inside a [`scope`](Communicator::scope) operations may borrow their buffers. The scope ends when they
//! have, and the compiler sees to it that nobody touches the buffers before.
//!
//! ```
//! use ringmpi::{Communicator, Result};
//!
//! /// Fills the cells at both ends of a row with those of the neighbours. Beyond the first and the last
//! /// rank is the null process: its messages move nothing.
//! fn exchange(world: &Communicator<'_>, row: &mut [f64; 6]) -> Result<()> {
//!     let (left, right) = (world.neighbour(-1), world.neighbour(1));
//!     let [left_ghost, inner @ .., right_ghost] = row;
//!     let inner = &*inner;
//!     world.scope(|scope| {
//!         let _ = scope.immediate_receive_into(left, std::slice::from_mut(left_ghost))?;
//!         let _ = scope.immediate_receive_into(right, std::slice::from_mut(right_ghost))?;
//!         let _ = scope.immediate_send(left, &inner[..1])?;
//!         let _ = scope.immediate_send(right, &inner[3..])?;
//!         // Computation with `inner` goes here.
//!         Ok(())
//!     })
//! }
//! # ringmpi::threads(2, |world| {
//! #     let rank = f64::from(world.rank());
//! #     let mut row = [rank; 6];
//! #     exchange(&world, &mut row).unwrap();
//! #     let expected = if world.rank() == 0 { [0.0, 0.0, 0.0, 0.0, 0.0, 1.0] } else { [0.0, 1.0, 1.0, 1.0, 1.0, 1.0] };
//! #     assert_eq!(row, expected);
//! # })?;
//! # Ok::<(), ringmpi::Error>(())
//! ```
//!
//! # Collectives
//!
//! All ranks of a communicator call a collective, in the same order:
//!
//! | | |
//! | --- | --- |
//! | [`barrier`](Communicator::barrier) | waits for all |
//! | [`broadcast_into`](Communicator::broadcast_into), [`scatter`](Communicator::scatter), [`gather`](Communicator::gather) | from one to all, a part for each, and back |
//! | [`all_gather`](Communicator::all_gather), [`all_to_all`](Communicator::all_to_all) | from all to all; a part for each |
//! | [`reduce`](Communicator::reduce), [`all_reduce`](Communicator::all_reduce), [`reduce_scatter`](Communicator::reduce_scatter) | combine what all have: for one, for all, a part for each |
//! | [`scan`](Communicator::scan), [`exclusive_scan`](Communicator::exclusive_scan) | combine what the lower ranks have, with one's own or without |
//!
//! Reductions take an operation of [`op`], or a closure. They go by the order of ranks, so that sums of floats have the
//! same bits in every run, and, of an all-reduce, on every rank.
//!
//! ```
//! use ringmpi::{Communicator, Result, op};
//!
//! fn statistics(world: &Communicator<'_>) -> Result<()> {
//!     let seed = world.broadcast_value(if world.rank() == 0 { 42 } else { 0 }, 0)?;
//!     assert_eq!(seed, 42);
//!
//!     let sum = world.all_reduce_value(world.rank(), op::Sum)?;
//!     assert_eq!(sum, world.size() * (world.size() - 1) / 2);
//!     let bits = world.all_reduce_value(1 << world.rank(), op::commutative(|a: &i32, b: &i32| a | b))?;
//!     assert_eq!(bits, (1 << world.size()) - 1);
//!
//!     // At the root there is a result, elsewhere none.
//!     if let Some(ranks) = world.gather(&[world.rank()], 0)? {
//!         assert_eq!(ranks, (0..world.size()).collect::<Vec<_>>());
//!     }
//!     Ok(())
//! }
//! # ringmpi::threads(3, |world| statistics(&world).unwrap())?;
//! # Ok::<(), ringmpi::Error>(())
//! ```
//!
//! Most return a vector. Other forms of theirs fill a slice (`…_into`), work in place (`…_in_place`) or on one element
//! (`…_value`). With `…_varcount` the parts of ranks differ in length; a [`Partition`] says where they lie in a slice.
//!
//! `immediate_…` only begins: a [`Request`] gives the result, and several may be under way. What is done again and again
//! with the same buffers is made once, by `…_init`, and then only started. (A call of either kind that errs counts as
//! one: what a rank calls next goes with what the others call next.)
//!
//! ```
//! use ringmpi::{Communicator, Partition, Result, op};
//!
//! fn exchange(world: &Communicator<'_>) -> Result<()> {
//!     // Rank r gets r numbers of every rank, and says meanwhile how many it has.
//!     let counts: Vec<_> = (0..world.size() as usize).collect();
//!     let numbers = vec![world.rank(); counts.iter().sum()];
//!     let counting = world.immediate_all_gather(vec![numbers.len()])?;
//!     let parts = world.all_to_all_varcount(Partition::new(&numbers, counts))?;
//!     assert_eq!(parts[1], vec![1; world.rank() as usize]);
//!     assert_eq!(counting.wait()?, [numbers.len(); 3]);
//!
//!     let mut residual = world.all_reduce_init(vec![0.0], vec![0.0], op::Max)?;
//!     for step in 1..4 {
//!         residual.input_mut()?[0] = 1.0 / f64::from(step + world.rank());
//!         residual.start()?;
//!         // Computation goes here.
//!         residual.wait()?;
//!         assert_eq!(residual.output_mut()?, [1.0 / f64::from(step)]);
//!     }
//!     Ok(())
//! }
//! # ringmpi::threads(3, |world| exchange(&world).unwrap())?;
//! # Ok::<(), ringmpi::Error>(())
//! ```
//!
//! # Communicators
//!
//! [`split`](Communicator::split) makes a communicator of the ranks of each colour; [`duplicate`](Communicator::duplicate)
//! one of the same ranks, for a library, so that its messages never meet those of its caller. A [`Group`] is a set of
//! ranks, from which [`split_by_subgroup`](Communicator::split_by_subgroup) makes one that only its members call for.
//! Two groups talk through an [`InterCommunicator`]. In a [`CartesianCommunicator`] or a [`GraphCommunicator`] ranks have
//! neighbours, and there are collectives of these.
//!
//! ```
//! use ringmpi::{Communicator, Result, op};
//!
//! /// A grid of ranks: the sum of each row, and what the first column has.
//! fn rows(world: &Communicator<'_>, columns: i32) -> Result<()> {
//!     let row = world.split(Some((world.rank() / columns) as u32), world.rank())?.expect("a colour was given");
//!     assert_eq!(row.size(), columns);
//!     let sum = row.all_reduce_value(world.rank(), op::Sum)?;
//!
//!     let first: Vec<_> = (0..world.size()).step_by(columns as usize).collect();
//!     if let Some(column) = world.split_by_subgroup(&world.group().include(&first)?, 0)? {
//!         assert_eq!(column.all_gather(&[sum])?, [1, 5]);
//!     }
//!     Ok(())
//! }
//! # ringmpi::threads(4, |world| rows(&world, 2).unwrap())?;
//! # Ok::<(), ringmpi::Error>(())
//! ```
//!
//! # Topologies
//!
//! [`create_cartesian`](Communicator::create_cartesian) arranges ranks in a grid, with ends or around. A
//! [`CartesianCommunicator`] knows who is where, and has collectives in which each rank exchanges data with its
//! neighbours only: [`neighbour_all_gather`](Neighbourhood::neighbour_all_gather),
//! [`neighbour_all_to_all`](Neighbourhood::neighbour_all_to_all) and their other forms. So has a
//! [`GraphCommunicator`], whose neighbours are any ranks. Both are communicators besides.
//!
//! ```
//! use ringmpi::{Communicator, Result, dimensions_create};
//!
//! /// Every rank gets the mean of its four neighbours on a torus.
//! fn mean_around(world: &Communicator<'_>, value: f64) -> Result<f64> {
//!     let mut dims = [0; 2];
//!     dimensions_create(world.size(), &mut dims)?;
//!     let torus = world.create_cartesian(&dims, &[true; 2], false)?.expect("it has a place for all");
//!     let around = torus.neighbour_all_gather(&[value])?;
//!     Ok(around.iter().sum::<f64>() / 4.0)
//! }
//! # // On 2 x 2 places both neighbours in a dimension are the same rank.
//! # let means = ringmpi::threads(4, |world| mean_around(&world, f64::from(world.rank())).unwrap())?;
//! # assert_eq!(means, [1.5; 4]);
//! # Ok::<(), ringmpi::Error>(())
//! ```
//!
//! # Errors
//!
//! What can fail returns a [`Result`]. An [`Error`] says what happened, with the numbers of both sides,
//! and has one of MPI's classes. A message that is longer than the slice it is received into is an
//! error: the slice stays as it was, and the message is lost. A shorter one fills the front.
//!
//! ```
//! use ringmpi::{Communicator, ErrorClass, Source};
//!
//! fn too_long(world: &Communicator<'_>) -> ringmpi::Result<()> {
//!     let myself = world.process_at_rank(world.rank());
//!     let mut room = [0u8; 10];
//!     myself.tag(1).send(&[1u8; 12])?;
//!     let error = myself.receive_into(&mut room).unwrap_err();
//!     assert_eq!(error.class(), ErrorClass::TRUNCATE);
//!     let facts = error.as_truncated().unwrap();
//!     assert_eq!((facts.source, facts.tag, facts.sent, facts.room), (world.rank(), 1, 12, 10));
//!     assert_eq!(room, [0; 10]);
//!     assert!(myself.immediate_probe()?.is_none());
//!     Ok(())
//! }
//! # ringmpi::threads(1, |world| too_long(&world).unwrap())?;
//! # Ok::<(), ringmpi::Error>(())
//! ```
//!
//! A collective that fails on one rank, because its arguments are refused or for another reason, fails on those that wait for
//! its part too: nobody hangs. Ranks that are all refused the same call, before any of them has begun it, go on as if there had
//! been none. Else a blocking one is the last of its communicator, and those that follow err on the ranks that need the others;
//! [`Communicator::split_by_subgroup`] makes another communicator, without collectives of the old one. An immediate or persistent one
//! counts as called, on the rank that was refused it as well.
//!
//! A rank that returns an error from the closure of [`run`], panics, or dies, ends the job: the others do not wait
//! for messages that never come, and [`run`] returns the failure. [`Communicator::abort`] ends the job on
//! purpose.
//!
//! # Tests
//!
//! [`threads`] runs ranks as threads of one process and returns what they return, so `cargo test` needs
//! no launcher:
//!
//! ```
//! # use ringmpi::{Communicator, Result, op};
//! # fn mean(world: &Communicator<'_>, x: f64) -> Result<f64> {
//! #     Ok(world.all_reduce_value(x, op::Sum)? / f64::from(world.size()))
//! # }
//! # /*
//! #[test]
//! # */
//! fn all_ranks_get_the_mean() {
//!     let means = ringmpi::threads(3, |world| mean(&world, f64::from(world.rank())).unwrap()).unwrap();
//!     assert_eq!(means, [1.0; 3]);
//! }
//! # all_ranks_get_the_mean();
//! ```
//!
//! What has to be tested with processes, because it has global state, say, gets a test binary of its own, without the
//! harness of `cargo test`: that runs tests in threads, and [`run`] cannot fork the ranks beside them. In `Cargo.toml`:
//!
//! ```toml
//! [[test]]
//! name = "processes"
//! harness = false
//! ```
//!
//! and in `tests/processes.rs`:
//!
//! ```no_run
//! use ringmpi::{Communicator, Result};
//!
//! fn main() -> Result<()> {
//!     ringmpi::run(4, |world| ranks_are_processes(&world))?;
//!     ringmpi::run(2, |world| ranks_are_processes(&world)) // one after the other
//! }
//!
//! fn ranks_are_processes(world: &Communicator<'_>) -> Result<()> {
//!     let processes = world.all_gather(&[std::process::id()])?;
//!     assert!((1..processes.len()).all(|rank| !processes[..rank].contains(&processes[rank])));
//!     Ok(())
//! }
//! ```
//!
//! A rank that panics or returns an error fails the test, and ends the others.
//!
//! # mpiexec
//!
//! `mpiexec -n 4 target/release/program` starts a program as 4 ranks. Under it, [`run`] starts none: it
//! calls the closure as a rank of the launched job, whatever number it was given. [`init`] is for
//! programs that only run under `mpiexec`; without it they are rank 0 of 1:
//!
//! ```
//! let universe = ringmpi::init()?;
//! let world = universe.world();
//! println!("rank {} of {}", world.rank(), world.size());
//! # Ok::<(), ringmpi::Error>(())
//! ```
//!
//! # Reading the source
//!
//! From the bottom up; a module uses only those above it in this list:
//!
//! | module | what it does |
//! | --- | --- |
//! | `types`, `error`, `sync` | ranks, tags, ids; errors; atomics, or loom's in a model |
//! | `sys` | system calls: mappings, futexes, processes, signals; the lock of a rank |
//! | `shm` | the segment of a job: its layout, rings, doorbells to wake sleepers, blocks for payload |
//! | `envelope`, `status`, `datatype`, `op`, `buffer` | what a message says of itself, and where its bytes lie |
//! | `p2p` | the engine: sends, receives, matching, credit, progress |
//! | `group`, `communicator`, `topology` | who takes part, the calls between two processes, and who is whose neighbour |
//! | `coll` | collectives; `select` chooses the algorithm, `on_board` runs those of few bytes, `on_stage` those of many |
//! | `constructors` | communicators made from communicators |
//! | `launch` | `mpiexec`: starts ranks, watches them, ends the job |
//! | `world`, `join`, `run` | how a process becomes a rank, and how it leaves |
//!
//! `p2p/send.rs`, `p2p/arrive.rs` and `p2p/progress.rs` are the heart: a message's way from one process to
//! the other. What lies where, and what must stay true, is in docs/ARCHITECTURE.md.
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("ringmpi runs on Linux, on x86-64 and aarch64: it is built on futexes, memfd and membarrier");

#[allow(unsafe_code)]
mod buffer;
mod coll;
mod communicator;
mod constructors;
// The Rust API shows slices only, but the engine never assumes them: the simulator sends these
// through every path, and the C ABI needs the constructors and queries.
#[allow(dead_code)]
mod datatype;
mod envelope;
mod error;
mod group;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod join;
#[doc(hidden)]
pub mod launch;
pub mod op;
mod p2p;
mod run;
#[allow(unsafe_code)]
mod shm;
mod status;
#[allow(unsafe_code)]
mod sync;
#[allow(unsafe_code)]
mod sys;
mod topology;
mod types;
mod world;

pub use buffer::{Owned, Plain, SharedBuffer};
pub use bytemuck;
pub use coll::{Partition, PartitionMut};
pub use communicator::{
    AnyProcess, Communicator, CommunicatorRelation, Completion, Ended, InterCommunicator, Message, Pending,
    Persistent, PersistentCollective, Process, Request, Scope, Scoped, ScopedFuture, Source, Startable,
    start_all, test_all, test_all_of, test_any, test_any_of, test_some, test_some_of, wait_all, wait_all_of,
    wait_any, wait_any_of, wait_some, wait_some_of,
};
pub use constructors::ImmediateDuplicate;
pub use error::{Error, ErrorClass, Result, Truncated};
pub use group::{Group, GroupRelation};
#[cfg(feature = "join")]
pub use join::join;
pub use run::{run, threads};
pub use status::{PROC_NULL, Status};
pub use topology::{CartesianCommunicator, GraphCommunicator, Neighbourhood, dimensions_create};
pub use types::{Rank, TAG_MAX, Tag};
pub use world::{Universe, init};
