use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::source::{Packed, Source, Unpacked};
use super::{Damage, DataError, TokenLayout};

/// How many samples may wait for every thread.
const QUEUE_PER_WORKER: usize = 4;

/// A sample, or what is wrong with it, once a thread has unpacked it.
pub(super) type Promise = Receiver<Result<Unpacked, Damage>>;

/// Threads that unpack samples for all datasets. They end when nothing can ask them any more.
#[derive(Clone, Debug)]
pub(super) struct Decoders {
    jobs: SyncSender<Job>,
    pub(super) layout: Arc<TokenLayout>,
}

#[derive(Debug)]
struct Job {
    source: Arc<Source>,
    packed: Packed,
    reply: SyncSender<Result<Unpacked, Damage>>,
}

impl Decoders {
    pub(super) fn start(n_workers: usize, layout: TokenLayout) -> Result<Self, DataError> {
        let layout = Arc::new(layout);
        let (jobs, queue) = sync_channel(QUEUE_PER_WORKER * n_workers);
        let queue = Arc::new(Mutex::new(queue));
        for index in 0..n_workers {
            let (queue, layout) = (Arc::clone(&queue), Arc::clone(&layout));
            spawn(format!("unpack-{index}"), move || unpack_all(&queue, &layout))?;
        }
        Ok(Self { jobs, layout })
    }

    /// Asks for a sample; `None` once the threads are gone.
    pub(super) fn unpack(&self, source: &Arc<Source>, packed: Packed) -> Option<Promise> {
        let (reply, promise) = sync_channel(1);
        self.jobs.send(Job { source: Arc::clone(source), packed, reply }).ok()?;
        Some(promise)
    }
}

/// Starts a thread.
pub(super) fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<(), DataError> {
    let thread = thread::Builder::new().name(name).spawn(work);
    thread.map(drop).map_err(|error| not_started(&error))
}

pub(super) fn not_started(error: &io::Error) -> DataError {
    DataError::Threads { what: format!("cannot be started: {error}") }
}

pub(super) fn ended() -> DataError {
    DataError::Threads { what: "ended before the training did".to_owned() }
}

fn unpack_all(queue: &Mutex<Receiver<Job>>, layout: &TokenLayout) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { source, packed, reply }) = job else { return };
        // A stream that went elsewhere does not wait for its samples.
        let _ = reply.send(source.unpack(layout, &packed));
    }
}
