//! An executor that knows nothing of ringmpi: tasks in a number of threads, which sleep while none is ready.

use ringmpi::Result;
use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::{Arc, Condvar, Mutex},
    task::{Context, Poll, Wake, Waker},
};

pub(crate) type Task<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Tasks by number.
#[derive(Default)]
struct Queue {
    ready: Mutex<VecDeque<usize>>,
    changed: Condvar,
}

struct TaskWaker {
    task: usize,
    queue: Arc<Queue>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut ready = self.queue.ready.lock().unwrap();
        // However often it is woken before it runs, it runs once.
        if !ready.contains(&self.task) {
            ready.push_back(self.task);
            self.queue.changed.notify_one();
        }
    }
}

/// Runs the tasks in so many threads until all have ended; the first error, if there is one.
pub(crate) fn run(threads: usize, tasks: Vec<Task<'_>>) -> Result<()> {
    let queue = Arc::new(Queue::default());
    let open = Mutex::new(tasks.len());
    let outcome = Mutex::new(Ok(()));
    queue.ready.lock().unwrap().extend(0..tasks.len());
    let tasks: Vec<_> = tasks.into_iter().map(|task| Mutex::new(Some(task))).collect();
    let work = || {
        while let Some(task) = next(&queue, &open) {
            let waker = Waker::from(Arc::new(TaskWaker { task, queue: Arc::clone(&queue) }));
            let mut slot = tasks[task].lock().unwrap();
            let Some(running) = slot.as_mut() else { continue };
            if let Poll::Ready(result) = running.as_mut().poll(&mut Context::from_waker(&waker)) {
                *slot = None;
                drop(slot);
                let mut outcome = outcome.lock().unwrap();
                *outcome = std::mem::replace(&mut *outcome, Ok(())).and(result);
                let _ready = queue.ready.lock().unwrap();
                *open.lock().unwrap() -= 1;
                queue.changed.notify_all();
            }
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| _ = scope.spawn(work));
        work();
    });
    outcome.into_inner().unwrap()
}

/// The next task that is ready; None when all have ended.
fn next(queue: &Queue, open: &Mutex<usize>) -> Option<usize> {
    let mut ready = queue.ready.lock().unwrap();
    loop {
        if *open.lock().unwrap() == 0 {
            return None;
        }
        if let Some(task) = ready.pop_front() {
            return Some(task);
        }
        ready = queue.changed.wait(ready).unwrap();
    }
}

/// The outputs of two futures.
pub(crate) async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut of_a, mut of_b) = (None, None);
    std::future::poll_fn(|context| {
        poll_into(&mut of_a, a.as_mut(), context);
        poll_into(&mut of_b, b.as_mut(), context);
        if of_a.is_some() && of_b.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (of_a.unwrap(), of_b.unwrap())
}

/// All outputs, in order.
pub(crate) async fn all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut outputs: Vec<_> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            poll_into(output, Pin::new(future), context);
        }
        if outputs.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

fn poll_into<F: Future>(output: &mut Option<F::Output>, future: Pin<&mut F>, context: &mut Context<'_>) {
    if output.is_none()
        && let Poll::Ready(ready) = future.poll(context)
    {
        *output = Some(ready);
    }
}

/// The place and output of the future that is ready first, the earlier one of several.
pub(crate) async fn first<F: Future + Unpin>(futures: &mut [F]) -> (usize, F::Output) {
    std::future::poll_fn(|context| {
        for (place, future) in futures.iter_mut().enumerate() {
            if let Poll::Ready(output) = Pin::new(future).poll(context) {
                return Poll::Ready((place, output));
            }
        }
        Poll::Pending
    })
    .await
}
