//! What may go to other threads and what they may share. All of it is checked when it is compiled.

use ringmpi::{
    AnyProcess, CartesianCommunicator, Communicator, Error, ErrorClass, GraphCommunicator, Group,
    ImmediateDuplicate, InterCommunicator, Message, Partition, PartitionMut, Persistent,
    PersistentCollective, Process, Request, Scope, Scoped, ScopedFuture, SharedBuffer, Status, Truncated,
    Universe, op,
};

const fn goes_to_threads_and_is_shared<T: Send + Sync>() {}
const fn outlives_the_job<T: Send + Sync + 'static>() {}

const _: () = {
    goes_to_threads_and_is_shared::<Universe>();
    goes_to_threads_and_is_shared::<Communicator<'_>>();
    goes_to_threads_and_is_shared::<InterCommunicator<'_>>();
    goes_to_threads_and_is_shared::<CartesianCommunicator<'_>>();
    goes_to_threads_and_is_shared::<GraphCommunicator<'_>>();
    goes_to_threads_and_is_shared::<Group<'_>>();
    goes_to_threads_and_is_shared::<Process<'_, '_>>();
    goes_to_threads_and_is_shared::<AnyProcess<'_, '_>>();
    goes_to_threads_and_is_shared::<Message<'_>>();
    goes_to_threads_and_is_shared::<ImmediateDuplicate<'_, '_>>();
    goes_to_threads_and_is_shared::<Request<'_, ()>>();
    goes_to_threads_and_is_shared::<Request<'_, Vec<f64>>>();
    goes_to_threads_and_is_shared::<Request<'_, Box<[bool]>>>();
    goes_to_threads_and_is_shared::<Request<'_, Option<Vec<char>>>>();
    goes_to_threads_and_is_shared::<Request<'_, SharedBuffer<u8>>>();
    goes_to_threads_and_is_shared::<Persistent<'_, '_, Vec<bool>>>();
    goes_to_threads_and_is_shared::<PersistentCollective<'_, Vec<f64>, Box<[bool]>>>();
    goes_to_threads_and_is_shared::<Scope<'_, '_>>();
    goes_to_threads_and_is_shared::<Scoped<'_, &[f64]>>();
    goes_to_threads_and_is_shared::<Scoped<'_, &mut [bool]>>();
    goes_to_threads_and_is_shared::<ScopedFuture<'_, &mut [f64]>>();
    goes_to_threads_and_is_shared::<Partition<'_, f64>>();
    goes_to_threads_and_is_shared::<PartitionMut<'_, f64>>();
    outlives_the_job::<Error>();
    outlives_the_job::<ErrorClass>();
    outlives_the_job::<Truncated>();
    outlives_the_job::<Status>();
    outlives_the_job::<SharedBuffer<f64>>();
    outlives_the_job::<op::Sum>();
};

/// A request is shared, and ended by another thread than began it.
#[test]
fn what_one_thread_has_begun_another_one_ends() {
    let body = |world: Communicator<'_>| {
        let summing = world.immediate_all_reduce(vec![world.rank()], op::Sum).unwrap();
        std::thread::scope(|scope| {
            let text = scope.spawn(|| format!("{summing:?}")).join().unwrap();
            assert!(text.contains("Request"), "{text}");
        });
        let sum = std::thread::scope(|scope| scope.spawn(move || summing.wait()).join().unwrap()).unwrap();
        assert_eq!(sum, [world.size() * (world.size() - 1) / 2]);
    };
    ringmpi::threads(3, body).unwrap();
}
