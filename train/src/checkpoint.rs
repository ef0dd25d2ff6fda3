//! Checkpoints: folders `step-NNNNNNNN/` that are whole or not there.
//!
//! | file | what it holds |
//! |---|---|
//! | `config.json` | the sizes of the model |
//! | `model.safetensors` (or a tokenizer's name) | the parameters by published names, the fixed tables too |
//! | `optimizer.safetensors` | what the optimiser remembers |
//! | `state.json` | the step, the digests of the other files and whatever else goes on from here |
//!
//! The first two make every checkpoint a weights folder. A checkpoint is written beside its place as
//! `step-NNNNNNNN.partial`, synced and renamed; older ones are renamed to `step-NNNNNNNN.removed` before they go. What
//! carries neither suffix was therefore whole once, and if it is not now, the disk or somebody changed it.

mod error;
mod file;
mod folder;
mod open;
mod record;
mod values;

use egom2p_model::{ModelConfig, weights::WeightsPart};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tch::{Device, Tensor};

pub use error::{CheckpointError, Result};
pub use folder::{checkpoints, interrupted};

use folder::PartialFolder;
use open::OpenCheckpoint;
use record::Record;

/// What the names of the optimiser's tensors begin with.
const OPTIMIZER_PREFIX: &str = "optimizer.";

/// A training at one step.
#[derive(Debug)]
pub struct Checkpoint {
    /// Steps that the optimiser has made.
    pub step: u64,
    /// The sizes of the model.
    pub config: ModelConfig,
    /// What is trained.
    pub part: WeightsPart,
    /// f32 tensors on any device: the parameters by published names, all that the part needs, and what the optimiser
    /// remembers about them as `optimizer.KIND.NAME`, of the same shape as the parameter `NAME`. They may share their
    /// values with the network's.
    pub tensors: BTreeMap<String, Tensor>,
    /// Schedule, position in the data, generators, settings: whatever else goes on from here.
    pub state: Value,
}

/// Writes a checkpoint into a folder of checkpoints and removes all but the last `keep`; the new one always stays.
/// Gives its path. The disk must have room for one more than is kept.
///
/// Tensors go to the disk one by one. An error leaves the folder as it was, unless it is [`CheckpointError::Remove`],
/// which comes after the new checkpoint is whole.
pub fn save(folder: &Path, checkpoint: &Checkpoint, keep: usize) -> Result<PathBuf> {
    values::check(checkpoint)?;
    let unfinished = PartialFolder::create(folder, checkpoint.step)?;
    let files = [
        file::write_config(unfinished.partial(), &checkpoint.config)?,
        file::write_parameters(unfinished.partial(), checkpoint)?,
        file::write_optimizer(unfinished.partial(), checkpoint)?,
    ];
    Record::new(checkpoint, files).write(unfinished.partial())?;
    let path = unfinished.put_in_place()?;
    folder::remove_all_but(folder, keep)?;
    Ok(path)
}

/// The newest checkpoint of a folder with all of its bytes checked; `None` where there is none, or no folder.
///
/// A write that was interrupted is passed over ([`interrupted`] names it). A damaged checkpoint is an error and never
/// passed over: going on from an older one is the user's decision.
pub fn latest(folder: &Path) -> Result<Option<PathBuf>> {
    let Some((step, path)) = checkpoints(folder)?.pop() else { return Ok(None) };
    let got = OpenCheckpoint::open(&path)?.step();
    if got != step {
        return Err(CheckpointError::damaged(&path, format!("it is of step {got}")));
    }
    Ok(Some(path))
}

/// Reads a checkpoint, its tensors onto a device. All bytes are checked before the first tensor is read.
pub fn load(path: &Path, device: Device) -> Result<Checkpoint> {
    OpenCheckpoint::open(path)?.load(device)
}

/// Puts a checkpoint's values into the tensors of a training that was built anew, in place, and takes its step and
/// state: [`load`] without a second set of tensors.
///
/// Config, part, names and shapes must be the same. All bytes are checked before the first value is changed.
pub fn restore(path: &Path, checkpoint: &mut Checkpoint) -> Result<()> {
    OpenCheckpoint::open(path)?.restore(checkpoint)
}
