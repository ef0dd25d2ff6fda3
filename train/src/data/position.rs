use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::source::{Cursor, Place};

/// Where a mixture is. What the buffers hold is named, not stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MixturePosition {
    /// As in the settings, like the next three.
    pub(super) seed: u64,
    pub(super) rank: u64,
    pub(super) n_shuffled: usize,
    pub(super) n_repeats: usize,
    /// How many samples were given.
    pub(super) n_given: u64,
    /// The first lines of all different damages, and how often something was passed over.
    pub(super) damaged: BTreeSet<String>,
    pub(super) n_skipped: u64,
    pub(super) datasets: Vec<DatasetPosition>,
}

/// Where the stream of a dataset is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatasetPosition {
    pub(super) name: String,
    /// How many shards, or files of a folder, there are.
    pub(super) n_parts: usize,
    /// What is read next.
    pub(super) cursor: Cursor,
    /// All samples that wait, each once.
    pub(super) places: Vec<Place>,
    /// What waits before it is repeated: indices of `places`.
    pub(super) samples: BufferPosition,
    /// What waits after it was repeated.
    pub(super) copies: BufferPosition,
    /// The sample that is being repeated, and how many copies are left.
    pub(super) repeated: Option<(u32, u32)>,
}

/// What a shuffle holds, in its order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BufferPosition {
    /// How many items have left it.
    pub(super) n_given: u64,
    /// Indices of `places`.
    pub(super) items: Vec<u32>,
}
