//! Work in parallel, hand over in order: the shape of every streaming coder here.

use rayon::prelude::*;

use crate::context::Context;
use crate::error::Result;

/// Chunks in flight per thread. Two keep a thread busy while its neighbour finishes a slower chunk.
const CHUNKS_PER_THREAD: usize = 2;

/// Runs `work(i)` for `i` in `0..count` on the context's threads and gives the results to `hand_over(i, result)`
/// strictly in order, while the next ones are being worked on.
///
/// At most `2 x 2 x threads` results exist at a time. Stops at the first error (the one of the lowest index of its
/// window) and between windows when cancelled. The order of `hand_over` calls, and so what is written, does not depend
/// on the thread count.
pub fn ordered<T, W, H>(context: &Context, count: u64, work: W, mut hand_over: H) -> Result<()>
where
    T: Send,
    W: Fn(u64) -> Result<T> + Sync,
    H: FnMut(u64, T) -> Result<()> + Send,
{
    let window = (context.threads() * CHUNKS_PER_THREAD) as u64;
    let produce = |start: u64| -> Result<Vec<T>> {
        context.control.check()?;
        let end = count.min(start + window);
        if context.threads() == 1 {
            return (start..end).map(&work).collect();
        }
        let results: Vec<Result<T>> = (start..end).into_par_iter().map(&work).collect();
        results.into_iter().collect()
    };
    context.pool.install(|| {
        let mut start = 0;
        let mut ready: Vec<T> = Vec::new();
        let mut ready_start = 0;
        while start < count || !ready.is_empty() {
            let batch = std::mem::take(&mut ready);
            let batch_start = ready_start;
            let drain = || -> Result<()> {
                for (index, result) in batch.into_iter().enumerate() {
                    hand_over(batch_start + index as u64, result)?;
                }
                Ok(())
            };
            let more = start < count;
            let (drained, produced) =
                if more { rayon::join(drain, || produce(start)) } else { (drain(), Ok(Vec::new())) };
            drained?;
            ready = produced?;
            ready_start = start;
            if more {
                start = count.min(start + window);
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
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
}
