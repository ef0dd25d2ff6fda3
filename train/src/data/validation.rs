use super::key::Key;
use super::source::{Place, Source};
use super::{Damage, DataError, Sample, SourcePattern, TokenLayout};

/// How many clips of a dataset the published validation takes at most.
pub const MAX_VALIDATION_SAMPLES: usize = 50_000;

/// The clips of a folder, each once, in a random order that is always the same.
///
/// Files of the same name are one sample; the published code matches them by their index among the sorted names, which
/// differs as soon as one folder has a file that another lacks (specification section 5.1).
#[derive(Debug)]
pub struct ValidationSet {
    dataset: usize,
    source: Source,
    layout: TokenLayout,
    places: Vec<Place>,
}

impl ValidationSet {
    /// Opens the folders of a pattern `ROOT/[rgb,cam]/DATASET/*.npz`. Of more than `limit` samples, a random choice is
    /// taken. `dataset` is what the samples carry.
    pub fn open(
        dataset: usize,
        pattern: &SourcePattern,
        layout: &TokenLayout,
        limit: usize,
        seed: u64,
    ) -> Result<Self, DataError> {
        let source = Source::open(pattern, layout)?;
        let Source::Folder(folder) = &source else {
            let got = format!("{} shards", source.n_shards());
            let expected = "folders: a pattern that ends in /*.npz";
            return Err(DataError::Setting { name: "the validation data".to_owned(), got, expected });
        };
        let places = folder.places(&Key::new("validation", "", seed, 0)).take(limit).collect();
        Ok(Self { dataset, source, layout: layout.clone(), places })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none, as the limit was 0.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The samples. What is damaged comes as an error in its place, for the caller to tell and count.
    pub fn samples(&self) -> impl Iterator<Item = Result<Sample, Damage>> + '_ {
        self.places.iter().map(|place| {
            let packed = self.source.read(place)?;
            let unpacked = self.source.unpack(&self.layout, &packed)?;
            let ids = |tokens: Vec<u32>| tokens.into_iter().map(i64::from).collect();
            Ok(Sample {
                key: unpacked.place.key,
                dataset: self.dataset,
                tokens: unpacked.tokens.map(|tokens| tokens.map(ids)),
            })
        })
    }
}
