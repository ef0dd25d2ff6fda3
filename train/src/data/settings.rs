use serde::{Deserialize, Serialize};

/// One dataset of a training.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetSettings {
    /// The name, for messages and positions; its random numbers follow from it.
    pub name: String,
    /// Where its shards or files are: see [`SourcePattern`](super::SourcePattern).
    pub pattern: String,
    /// How many samples it has, for its share of the mixture; where it is `null`, a folder's files are counted and a shard
    /// counts as 1000.
    #[serde(deserialize_with = "Option::deserialize")]
    pub n_samples: Option<u64>,
}

/// How samples are read, repeated and shuffled; [`default`](Self::default) repeats and shuffles as published
/// (specification section 5.1). A file of settings says everything.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// What all random choices follow from.
    pub seed: u64,
    /// The process among those that train together; each has another stream.
    pub rank: u64,
    /// Threads that unpack samples, at least 1; the order of the samples does not depend on it.
    pub n_workers: usize,
    /// How many samples of every dataset are read ahead, at least 1.
    pub n_prefetched: usize,
    /// How many samples are shuffled before they are repeated, and again how many copies after, at least 1.
    pub n_shuffled: usize,
    /// How often every sample is given, at least 1.
    pub n_repeats: usize,
    /// How many different members or shards may be damaged before the stream ends.
    pub max_damaged: usize,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self { seed: 0, rank: 0, n_workers: 2, n_prefetched: 32, n_shuffled: 1000, n_repeats: 4, max_damaged: 100 }
    }
}
