//! Futures: each rank runs a server and some clients as tasks of one thread. A client asks all ranks in turn how
//! many steps the Collatz sequence of a number takes; a server answers whoever asks. No task knows of the others:
//! while one awaits its message, the executor runs those that have theirs.
//!
//! The executor is a small one that knows nothing of ringmpi; any other would do. `Communicator::block_on` does
//! the same for one future, and is quicker: it needs no second thread to make progress.
//!
//! `cargo run --example futures`, or `mpiexec -n 4 target/debug/examples/futures`

use ringmpi::{Communicator, Result, Source, Tag, op};
use std::{
    cell::Cell,
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

const CLIENTS: Tag = 8;
/// Of each client to each rank.
const QUESTIONS: u64 = 50;

/// A client and its number.
const ASK: Tag = 1;
/// The answer to client 0; the others' tags follow.
const ANSWER: Tag = 2;

fn main() -> Result<()> {
    ringmpi::run(4, |world| ask_and_answer(&world))
}

fn ask_and_answer(world: &Communicator<'_>) -> Result<()> {
    let steps = Cell::new(0);
    let mut tasks: Vec<Task<'_>> = vec![Box::pin(serve(world))];
    for client in 0..CLIENTS {
        let steps = &steps;
        tasks.push(Box::pin(async move {
            let taken = ask(world, client).await?;
            steps.set(steps.get() + taken);
            Ok(())
        }));
    }
    run_tasks(tasks)?;
    let total = world.all_reduce_value(steps.get(), op::Sum)?;
    if world.rank() == 0 {
        let questions = QUESTIONS * CLIENTS as u64 * (world.size() as u64).pow(2);
        let numbers = (0..world.size()).flat_map(|rank| (0..CLIENTS).map(move |client| (rank, client)));
        let asked =
            numbers.flat_map(|(rank, client)| (0..QUESTIONS).map(move |number| of(rank, client, number)));
        let expected = asked.map(collatz).sum::<u64>() * world.size() as u64;
        println!("{questions} answers: {total} steps, expected {expected}");
        if total != expected {
            world.abort(1);
        }
    }
    Ok(())
}

/// The numbers that a client of a rank asks for.
fn of(rank: i32, client: Tag, number: u64) -> u64 {
    1 + number + QUESTIONS * (rank as u64 * CLIENTS as u64 + client as u64)
}

fn collatz(mut number: u64) -> u64 {
    let mut steps = 0;
    while number != 1 {
        number = if number.is_multiple_of(2) { number / 2 } else { 3 * number + 1 };
        steps += 1;
    }
    steps
}

/// Answers all clients of all ranks.
async fn serve(world: &Communicator<'_>) -> Result<()> {
    for _ in 0..QUESTIONS * CLIENTS as u64 * world.size() as u64 {
        let (question, status) = world.any_process().tag(ASK).immediate_receive::<u64>(2)?.await?;
        let (client, number) = (question[0] as Tag, question[1]);
        let asker = world.process_at_rank(status.source()).tag(ANSWER + client);
        asker.immediate_send(vec![collatz(number)])?.await?;
    }
    Ok(())
}

/// Asks all ranks for all numbers; the sum of the answers.
async fn ask(world: &Communicator<'_>, client: Tag) -> Result<u64> {
    let mut steps = 0;
    for number in 0..QUESTIONS {
        for rank in 0..world.size() {
            let server = world.process_at_rank(rank);
            let answer = server.tag(ANSWER + client).immediate_receive::<u64>(1)?;
            let question = vec![client as u64, of(world.rank(), client, number)];
            server.tag(ASK).immediate_send(question)?.await?;
            steps += answer.await?.0[0];
        }
    }
    Ok(steps)
}

type Task<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// The numbers of tasks that may go on, and the thread that runs them.
struct Ready {
    tasks: Mutex<VecDeque<usize>>,
    thread: Thread,
}

impl Ready {
    fn push(&self, task: usize) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push_back(task);
        self.thread.unpark();
    }

    /// The next one; sleeps while there is none.
    fn pop(&self) -> usize {
        loop {
            let next = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match next {
                Some(task) => return task,
                None => std::thread::park(),
            }
        }
    }
}

/// Makes one task ready.
struct TaskWaker {
    task: usize,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.push(self.task);
    }
}

/// Runs all tasks in this thread, until they have ended or one has failed.
fn run_tasks(tasks: Vec<Task<'_>>) -> Result<()> {
    let ready = Arc::new(Ready { tasks: Mutex::default(), thread: std::thread::current() });
    let waker = |task| Waker::from(Arc::new(TaskWaker { task, ready: Arc::clone(&ready) }));
    let mut open = tasks.len();
    (0..open).for_each(|task| ready.push(task));
    let mut tasks: Vec<_> =
        tasks.into_iter().enumerate().map(|(number, task)| Some((task, waker(number)))).collect();
    while open > 0 {
        let slot = &mut tasks[ready.pop()];
        // One that has ended may have been woken once more.
        let Some((task, waker)) = slot else { continue };
        if let Poll::Ready(outcome) = task.as_mut().poll(&mut Context::from_waker(waker)) {
            *slot = None;
            open -= 1;
            outcome?;
        }
    }
    Ok(())
}
