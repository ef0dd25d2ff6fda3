//! Work that is shared out among threads, each with a worker of its own, such as a [`crate::device_pipeline::DevicePipeline`]
//! with a stream of its own.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

/// Lets `feed` put pieces of work on a queue, from which the workers take them in order, and comes back when all are
/// done.
///
/// `feed` runs on the calling thread. It puts a piece by calling what it is given, which waits until a worker takes it, so
/// that no more than one piece waits at a time. `work` does a piece; `Break` stops everything: what the other workers have
/// begun is finished, and nothing else is begun. From then on putting gives `Break` too. A single worker works on the
/// calling thread.
pub fn share_work<W: Send, T: Send, R>(
    workers: &mut [W],
    work: impl Fn(&mut W, T) -> ControlFlow<()> + Sync,
    feed: impl FnOnce(&mut dyn FnMut(T) -> ControlFlow<()>) -> R,
) -> R {
    let stopped = AtomicBool::new(false);
    let do_one = |worker: &mut W, piece: T| {
        if stopped.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        let flow = work(worker, piece);
        if flow.is_break() {
            stopped.store(true, Ordering::Relaxed);
        }
        flow
    };
    if let [worker] = workers {
        return feed(&mut |piece| do_one(worker, piece));
    }
    let (sender, receiver) = sync_channel::<T>(0);
    // The queue is closed when the last worker has left.
    let receiver = Arc::new(Mutex::new(receiver));
    thread::scope(|scope| {
        for worker in workers {
            let (receiver, do_one) = (Arc::clone(&receiver), &do_one);
            scope.spawn(move || {
                while let Some(piece) = next(&receiver) {
                    if do_one(worker, piece).is_break() {
                        break;
                    }
                }
            });
        }
        drop(receiver);
        let fed = feed(&mut |piece| {
            if stopped.load(Ordering::Relaxed) || sender.send(piece).is_err() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        drop(sender);
        fed
    })
}

/// The next piece, when there is one; `None` when there are no more.
fn next<T>(receiver: &Mutex<Receiver<T>>) -> Option<T> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Barrier};

    use super::*;

    /// What every worker did, with as many workers and pieces.
    fn share(n_workers: usize, n_pieces: usize, last: usize) -> (Vec<Vec<usize>>, usize) {
        let mut workers = vec![Vec::new(); n_workers];
        let work = |done: &mut Vec<usize>, piece| {
            done.push(piece);
            if piece == last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let n_put =
            share_work(&mut workers, work, |put| (0..n_pieces).take_while(|&piece| put(piece).is_continue()).count());
        (workers, n_put)
    }

    #[test]
    fn every_piece_is_done_once_and_in_order() {
        for n_workers in [1, 2, 3, 8] {
            let (workers, n_put) = share(n_workers, 100, usize::MAX);
            assert_eq!(n_put, 100);
            assert!(workers.iter().all(|done| done.is_sorted()));
            let all: BTreeSet<usize> = workers.iter().flatten().copied().collect();
            assert_eq!(all.len(), 100);
            assert_eq!(workers.iter().map(Vec::len).sum::<usize>(), 100);
        }
    }

    #[test]
    fn a_stop_stops_all_workers_and_whoever_feeds_them() {
        for n_workers in [1, 2, 3] {
            let (workers, n_put) = share(n_workers, usize::MAX, 10);
            let all: BTreeSet<usize> = workers.iter().flatten().copied().collect();
            // Another worker may have taken a piece and not begun it.
            let n_begun = all.range(..=10).count();
            assert!(all.contains(&10) && n_begun + n_workers > 11, "{n_workers} workers: {all:?}");
            assert!(n_put >= 10, "{n_put}");
        }
    }

    /// Each piece waits for the other: one worker alone would never end.
    #[test]
    fn workers_work_at_the_same_time() {
        let both = Barrier::new(2);
        let work = |(): &mut (), ()| {
            both.wait();
            ControlFlow::Continue(())
        };
        share_work(&mut [(), ()], work, |put| {
            assert!(put(()).is_continue());
            assert!(put(()).is_continue());
        });
    }
}
