//! Token clips for training: published shards and folders of clips, local or in object stores, as endless streams that
//! resume exactly, and the writer of such shards (specification section 5.1).

mod damage;
mod dataset;
mod decoders;
mod error;
mod feed;
mod folder;
mod key;
mod layout;
mod ledger;
mod mixture;
mod npy;
mod npz;
mod pattern;
mod position;
mod sample;
mod settings;
mod shards;
mod shuffle;
mod source;
mod store;
mod tar;
mod validation;
mod weighting;
mod writer;

#[cfg(test)]
mod tests;

pub use damage::Damage;
pub use error::DataError;
pub use layout::TokenLayout;
pub use mixture::Mixture;
pub use pattern::{MAX_SHARDS, SourcePattern};
pub use sample::{Sample, SampleStream};
pub use settings::{DataSettings, DatasetSettings};
pub use validation::{MAX_VALIDATION_SAMPLES, ValidationSet};
pub use weighting::Weighting;
pub use writer::{SHARD_SAMPLES, ShardSettings, ShardWriter};

use pattern::SourcePaths;
