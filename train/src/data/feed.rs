use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::decoders::{Decoders, Promise, ended, spawn};
use super::key::Key;
use super::source::{Cursor, Found, Source, Unpacked};
use super::{Damage, DataError};

/// What comes next of a dataset.
#[derive(Debug)]
pub(super) enum Delivery {
    /// A sample, and the cursor behind it.
    Sample(Unpacked, Cursor),
    Damage(Damage),
    /// A pass over this shard is over.
    EndOfDraw(u32),
}

/// The samples of a dataset in the order in which they are read, endless.
///
/// One thread reads, and asks the decoders for every sample before it hands their promise on; the order is that of the
/// reading, whichever promise is kept first.
#[derive(Debug)]
pub(super) struct Feed {
    deliveries: Receiver<Pending>,
}

#[derive(Debug)]
enum Pending {
    Sample(Promise, Cursor),
    Damage(Damage),
    EndOfDraw(u32),
}

impl Feed {
    /// Starts to read ahead from here.
    pub(super) fn start(
        name: &str,
        source: &Arc<Source>,
        decoders: &Decoders,
        shard_key: Key,
        from: Cursor,
        n_prefetched: usize,
    ) -> Result<Self, DataError> {
        let (sender, deliveries) = sync_channel(n_prefetched);
        let (source, decoders) = (Arc::clone(source), decoders.clone());
        // The system cuts longer names of threads.
        let name: String = format!("read-{name}").chars().filter(char::is_ascii_graphic).take(15).collect();
        spawn(name, move || read_on(&source, &decoders, &shard_key, from, &sender))?;
        Ok(Self { deliveries })
    }

    /// What comes next.
    pub(super) fn next(&mut self) -> Result<Delivery, DataError> {
        Ok(match self.deliveries.recv().map_err(|_| ended())? {
            Pending::Sample(promise, behind) => match promise.recv().map_err(|_| ended())? {
                Ok(sample) => Delivery::Sample(sample, behind),
                Err(damage) => Delivery::Damage(damage),
            },
            Pending::Damage(damage) => Delivery::Damage(damage),
            Pending::EndOfDraw(shard) => Delivery::EndOfDraw(shard),
        })
    }
}

/// Reads draw after draw until nobody listens.
fn read_on(source: &Arc<Source>, decoders: &Decoders, key: &Key, mut cursor: Cursor, to: &SyncSender<Pending>) {
    let send = |pending| if to.send(pending).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    loop {
        let walked = source.walk(key, cursor, &mut |found| match found {
            Found::Sample(packed, behind) => match decoders.unpack(source, packed) {
                Some(promise) => send(Pending::Sample(promise, behind)),
                None => ControlFlow::Break(()),
            },
            Found::Damage(damage) => send(Pending::Damage(damage)),
        });
        if walked.is_break() || send(Pending::EndOfDraw(source.shard(key, cursor.draw))).is_break() {
            return;
        }
        cursor = cursor.next_draw();
    }
}
