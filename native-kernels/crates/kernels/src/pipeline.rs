//! Work in parallel, hand over in order: the shape of every streaming coder here.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::context::Context;
use crate::error::Result;

/// Results that may wait for their turn, per thread: a thread need not pause while its neighbour finishes a slower one.
const WAITING_PER_THREAD: usize = 2;

/// Runs `work(i)` for `i` in `0..count` on the context's threads and gives the results to `hand_over(i, result)`
/// strictly in order, while the next ones are being worked on.
///
/// At most `2 x threads + 1` results exist at a time (one with one thread). Stops at the first error, the one of the
/// lowest index, and when cancelled. The order of `hand_over` calls, and so what is written, does not depend on the
/// thread count.
pub fn ordered<T, W, H>(context: &Context, count: u64, work: W, mut hand_over: H) -> Result<()>
where
    T: Send,
    W: Fn(u64) -> Result<T> + Sync,
    H: FnMut(u64, T) -> Result<()> + Send,
{
    let threads = context.threads();
    if threads == 1 || count < 2 {
        return (0..count).try_for_each(|index| {
            context.control.check()?;
            hand_over(index, work(index)?)
        });
    }
    let line = Line {
        state: Mutex::new(State::default()),
        changed: Condvar::new(),
        hand_over: Mutex::new(hand_over),
        work,
        context,
        count,
        most_waiting: threads * WAITING_PER_THREAD,
    };
    let workers = count.min(threads as u64);
    context.pool.in_place_scope(|scope| (0..workers).for_each(|_| scope.spawn(|_| line.run())));
    let state = line.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    state.failure.map_or(Ok(()), Err)
}

/// A production line: each worker takes whatever has to be done next.
struct Line<'a, T, W, H> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// Locked by whoever hands over; never waited for.
    hand_over: Mutex<H>,
    work: W,
    context: &'a Context,
    count: u64,
    most_waiting: usize,
}

struct State<T> {
    /// Indices below are with a worker, waiting, or handed over.
    begun: u64,
    /// Index of the first result in `waiting`.
    first_waiting: u64,
    /// Results in order; `None` while they are worked on.
    waiting: VecDeque<Option<Result<T>>>,
    is_handing_over: bool,
    /// Ends the line. A panic ends it without a failure, and goes its own way.
    is_stopped: bool,
    failure: Option<crate::KernelError>,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            begun: 0,
            first_waiting: 0,
            waiting: VecDeque::new(),
            is_handing_over: false,
            is_stopped: false,
            failure: None,
        }
    }
}

impl<T, W, H> Line<'_, T, W, H>
where
    W: Fn(u64) -> Result<T>,
    H: FnMut(u64, T) -> Result<()>,
{
    fn run(&self) {
        let stop_on_panic = StopOnPanic(self);
        let mut state = self.lock();
        while !state.is_stopped {
            if let Err(cancelled) = self.context.control.check() {
                state.stop(Some(cancelled));
                self.changed.notify_all();
            } else if !state.is_handing_over && matches!(state.waiting.front(), Some(Some(_))) {
                state = self.hand_over_first(state);
            } else if state.begun < self.count && state.waiting.len() < self.most_waiting {
                state = self.work_on_next(state);
            } else if state.first_waiting == self.count && !state.is_handing_over {
                state.stop(None);
                self.changed.notify_all();
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        std::mem::forget(stop_on_panic);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // A panic is noted in the state itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work_on_next<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        let index = state.begun;
        state.begun += 1;
        state.waiting.push_back(None);
        drop(state);
        let result = (self.work)(index);
        let mut state = self.lock();
        let place = (index - state.first_waiting) as usize;
        state.waiting[place] = Some(result);
        if place == 0 {
            self.changed.notify_all();
        }
        state
    }

    fn hand_over_first<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        let Some(Some(result)) = state.waiting.pop_front() else { return state };
        let index = state.first_waiting;
        state.first_waiting += 1;
        state.is_handing_over = true;
        drop(state);
        let done = result.and_then(|value| {
            let mut hand_over = self.hand_over.lock().unwrap_or_else(PoisonError::into_inner);
            hand_over(index, value)
        });
        let mut state = self.lock();
        state.is_handing_over = false;
        if let Err(failure) = done {
            state.stop(Some(failure));
        }
        self.changed.notify_all();
        state
    }
}

impl<T> State<T> {
    fn stop(&mut self, failure: Option<crate::KernelError>) {
        self.is_stopped = true;
        self.failure = self.failure.take().or(failure);
    }
}

/// Lets the other workers go when one panics; without it they would wait for its result for ever.
struct StopOnPanic<'a, 'b, T, W, H>(&'a Line<'b, T, W, H>);

impl<T, W, H> Drop for StopOnPanic<'_, '_, T, W, H> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).stop(None);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::{KernelError, Status};

    #[test]
    fn hands_over_in_order_at_any_thread_count() {
        for threads in [1, 2, 3, 8] {
            let context = Context::with_threads(threads).unwrap();
            for count in [0_u64, 1, 2, 7, 64, 65] {
                let mut seen = Vec::new();
                ordered(
                    &context,
                    count,
                    |i| Ok(i * i),
                    |i, value| {
                        seen.push((i, value));
                        Ok(())
                    },
                )
                .unwrap();
                assert_eq!(seen, (0..count).map(|i| (i, i * i)).collect::<Vec<_>>(), "{threads} threads");
            }
        }
    }

    #[test]
    fn stops_at_an_error_and_when_cancelled() {
        let context = Context::with_threads(2).unwrap();
        let error =
            ordered(&context, 100, |i| if i == 9 { Err(KernelError::malformed("nine")) } else { Ok(i) }, |_, _| Ok(()));
        assert_eq!(error.unwrap_err().what, "nine");
        let mut handed_over = 0;
        let cancelled = ordered(&context, u64::MAX, Ok, |_, _| {
            handed_over += 1;
            context.control.cancel();
            Ok(())
        });
        assert_eq!(cancelled.unwrap_err().status, Status::Cancelled);
        assert!(handed_over <= 16, "{handed_over} results after a cancel");
    }

    #[test]
    fn results_wait_in_bounded_number_for_a_slow_first_one() {
        use std::sync::atomic::{AtomicU64, Ordering};
        let context = Context::with_threads(3).unwrap();
        let (begun, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let work = |index| {
            begun.fetch_add(1, Ordering::SeqCst);
            if index == 0 {
                std::thread::sleep(std::time::Duration::from_millis(50));
                most.store(begun.load(Ordering::SeqCst), Ordering::SeqCst);
            }
            Ok(index)
        };
        ordered(&context, 1000, work, |_, _| Ok(())).unwrap();
        assert_eq!(most.load(Ordering::SeqCst), 6);
    }

    #[test]
    fn a_panic_ends_the_call_and_not_the_pool() {
        for threads in [1, 2, 4] {
            let context = Context::with_threads(threads).unwrap();
            let panicked = |in_work: bool| {
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let work = |index| if in_work && index == 20 { panic!("in work") } else { Ok(index) };
                    ordered(&context, 100, work, |index, _| if index == 30 { panic!("handing over") } else { Ok(()) })
                }))
                .is_err()
            };
            assert!(panicked(true) && panicked(false));
            ordered(&context, 100, Ok, |_, _| Ok(())).unwrap();
        }
    }

    #[test]
    fn calls_at_once_do_not_hold_each_other_up() {
        let (begin, begun) = std::sync::mpsc::channel();
        let endless = std::thread::spawn(move || {
            let context = Context::with_threads(2).unwrap();
            begin.send(Arc::clone(&context.control)).unwrap();
            ordered(&context, u64::MAX, Ok, |_, _| Ok(()))
        });
        let control = begun.recv().unwrap();
        for _ in 0..100 {
            let context = Context::with_threads(2).unwrap();
            ordered(&context, 50, Ok, |_, _| Ok(())).unwrap();
        }
        control.cancel();
        assert_eq!(endless.join().unwrap().unwrap_err().status, Status::Cancelled);
    }
}
