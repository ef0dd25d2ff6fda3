use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;

use super::decoders::{Decoders, ended, not_started};
use super::feed::{Delivery, Feed};
use super::key::Key;
use super::ledger::Ledger;
use super::position::{BufferPosition, DatasetPosition};
use super::shuffle::Shuffle;
use super::source::{Cursor, Place, Source, Unpacked};
use super::{DataError, DataSettings};

/// How many threads read again what waited, at least: in an object store they mostly wait themselves.
const RESUMING_THREADS: usize = 16;
/// More than any training draws or any shard has bytes.
const MAX_COUNT: u64 = 1 << 60;

/// The endless samples of one dataset: read, shuffled, repeated and shuffled again.
#[derive(Debug)]
pub(super) struct DatasetStream {
    name: String,
    source: Arc<Source>,
    decoders: Decoders,
    settings: DataSettings,
    reading: Reading,
    samples: Shuffle<Arc<Unpacked>>,
    copies: Shuffle<Arc<Unpacked>>,
    /// The sample that is being repeated, and how many copies are left.
    repeated: Option<(Arc<Unpacked>, u32)>,
}

/// Samples in the order of the shards.
#[derive(Debug)]
struct Reading {
    feed: Feed,
    /// What comes behind the last sample that left the feed.
    cursor: Cursor,
    /// Whether the present draw gave a sample.
    fruitful: bool,
    /// Shards that gave no sample when they were drawn last.
    barren: BTreeSet<u32>,
    last_damage: String,
}

impl DatasetStream {
    /// Starts to read from here, with empty buffers.
    pub(super) fn start(
        name: &str,
        source: Arc<Source>,
        decoders: Decoders,
        settings: &DataSettings,
        from: Cursor,
    ) -> Result<Self, DataError> {
        let key = |purpose| Key::new(purpose, name, settings.seed, settings.rank);
        let reading = Reading::start(name, &source, &decoders, settings, from)?;
        Ok(Self {
            name: name.to_owned(),
            reading,
            samples: Shuffle::new(key("samples"), settings.n_shuffled),
            copies: Shuffle::new(key("copies"), settings.n_shuffled),
            repeated: None,
            source,
            decoders,
            settings: settings.clone(),
        })
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The next sample.
    pub(super) fn next(&mut self, ledger: &mut Ledger) -> Result<Arc<Unpacked>, DataError> {
        let Self { name, source, settings, reading, samples, copies, repeated, .. } = self;
        copies.next(|| {
            let (sample, n_left) = match repeated.take() {
                Some(repeated) => repeated,
                None => (samples.next(|| reading.next(name, source, ledger))?, settings.n_repeats as u32),
            };
            *repeated = (n_left > 1).then(|| (Arc::clone(&sample), n_left - 1));
            Ok(sample)
        })
    }

    pub(super) fn position(&self) -> DatasetPosition {
        let mut places = Places::default();
        DatasetPosition {
            name: self.name.clone(),
            n_parts: self.n_parts(),
            cursor: self.reading.cursor,
            samples: places.buffer(&self.samples),
            copies: places.buffer(&self.copies),
            repeated: self.repeated.as_ref().map(|(sample, n_left)| (places.index(sample), *n_left)),
            places: places.found,
        }
    }

    /// The stream at a position; this one stays where it is. The samples that waited are read again, from where they
    /// are, by as many threads as the settings give.
    pub(super) fn at(&self, position: &DatasetPosition) -> Result<Self, DataError> {
        let n_parts = self.n_parts();
        if (&position.name, position.n_parts) != (&self.name, n_parts) {
            let (name, n) = (&position.name, position.n_parts);
            let reason = format!("it is in {name} with {n} shards or files, expected {} with {n_parts}", self.name);
            return Err(DataError::Position { reason });
        }
        let Cursor { draw, member, offsets } = position.cursor;
        let counts = [draw, member, position.samples.n_given, position.copies.n_given];
        if counts.into_iter().chain(offsets).any(|count| count > MAX_COUNT) {
            return Err(DataError::Position { reason: format!("it counts past {MAX_COUNT} in {}", self.name) });
        }
        let places = self.read_again(&position.places)?;
        let item = |index: &u32| {
            let found = places.get(*index as usize).map(Arc::clone);
            found.ok_or_else(|| DataError::Position { reason: format!("it has no sample {index} of {}", self.name) })
        };
        let items = |buffer: &BufferPosition| buffer.items.iter().map(item).collect::<Result<Vec<_>, _>>();
        let (samples, copies) = (items(&position.samples)?, items(&position.copies)?);
        let (source, decoders) = (Arc::clone(&self.source), self.decoders.clone());
        let mut stream = Self::start(&self.name, source, decoders, &self.settings, position.cursor)?;
        stream.samples.restore(samples, position.samples.n_given);
        stream.copies.restore(copies, position.copies.n_given);
        stream.repeated = match &position.repeated {
            Some((index, n_left)) => Some((item(index)?, *n_left)),
            None => None,
        };
        Ok(stream)
    }

    fn n_parts(&self) -> usize {
        self.source.n_files().unwrap_or_else(|| self.source.n_shards())
    }

    fn read_again(&self, places: &[Place]) -> Result<Vec<Arc<Unpacked>>, DataError> {
        let (source, layout) = (&self.source, &self.decoders.layout);
        let read = |place: &Place| {
            let unpacked = source.read(place).and_then(|packed| source.unpack(layout, &packed));
            unpacked.map(Arc::new).map_err(|damage| DataError::Changed { reason: damage.what() })
        };
        let n_threads = self.settings.n_workers.max(RESUMING_THREADS);
        let parts = places.chunks(places.len().div_ceil(n_threads).max(1));
        thread::scope(|scope| {
            let read = |part: &[Place]| part.iter().map(read).collect::<Result<Vec<_>, _>>();
            let start = |part| thread::Builder::new().name("resume".to_owned()).spawn_scoped(scope, move || read(part));
            let threads =
                parts.map(|part| start(part).map_err(|error| not_started(&error))).collect::<Result<Vec<_>, _>>()?;
            let parts = threads.into_iter().map(|thread| thread.join().map_err(|_| ended())?);
            Ok(parts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        })
    }
}

impl Reading {
    fn start(
        name: &str,
        source: &Arc<Source>,
        decoders: &Decoders,
        settings: &DataSettings,
        from: Cursor,
    ) -> Result<Self, DataError> {
        let shard_key = Key::new("shards", name, settings.seed, settings.rank);
        let feed = Feed::start(name, source, decoders, shard_key, from, settings.n_prefetched)?;
        // A position stands behind a sample.
        let fruitful = from.member > 0;
        Ok(Self { feed, cursor: from, fruitful, barren: BTreeSet::new(), last_damage: String::new() })
    }

    fn next(&mut self, name: &str, source: &Source, ledger: &mut Ledger) -> Result<Arc<Unpacked>, DataError> {
        loop {
            match self.feed.next()? {
                Delivery::Sample(sample, behind) => {
                    (self.cursor, self.fruitful) = (behind, true);
                    return Ok(Arc::new(sample));
                }
                Delivery::Damage(damage) => {
                    self.last_damage = damage.what();
                    ledger.enter(&damage)?;
                }
                Delivery::EndOfDraw(shard) => {
                    if std::mem::take(&mut self.fruitful) {
                        self.barren.remove(&shard);
                    } else {
                        self.barren.insert(shard);
                    }
                    if self.barren.len() == source.n_shards() {
                        return Err(DataError::Barren { dataset: name.to_owned(), last: self.last_damage.clone() });
                    }
                }
            }
        }
    }
}

/// Numbers samples in the order in which they are met.
#[derive(Default)]
struct Places {
    found: Vec<Place>,
    indices: BTreeMap<*const Unpacked, u32>,
}

impl Places {
    fn index(&mut self, sample: &Arc<Unpacked>) -> u32 {
        let next = self.found.len() as u32;
        let index = *self.indices.entry(Arc::as_ptr(sample)).or_insert(next);
        if index == next {
            self.found.push(sample.place.clone());
        }
        index
    }

    fn buffer(&mut self, shuffle: &Shuffle<Arc<Unpacked>>) -> BufferPosition {
        BufferPosition {
            n_given: shuffle.n_given(),
            items: shuffle.items().iter().map(|sample| self.index(sample)).collect(),
        }
    }
}
