use super::record::Record;
use super::{Checkpoint, CheckpointError, Result, file, values};
use egom2p_model::{
    CONFIG_FILE, ModelConfig, Preset,
    weights::{WeightsDtype, WeightsFile, WeightsPart},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tch::{Device, Tensor};

/// The largest `config.json` that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// A checkpoint whose bytes, names and shapes are as they should be; its tensors are still on the disk.
#[derive(Debug)]
pub(super) struct OpenCheckpoint {
    path: PathBuf,
    record: Record,
    config: ModelConfig,
    part: WeightsPart,
    /// Of the parameters and of the optimiser.
    files: [WeightsFile; 2],
}

impl OpenCheckpoint {
    /// Opens a checkpoint and checks all of its bytes.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let record = Record::read(path)?;
        let (part, files) = record.files(path)?;
        for (name, expected) in files {
            if name == CONFIG_FILE && expected.n_bytes > MAX_CONFIG_BYTES {
                return Err(CheckpointError::damaged(path, format!("{name} has {} bytes", expected.n_bytes)));
            }
            file::check(path, name, expected)?;
        }
        let config_path = path.join(CONFIG_FILE);
        let text = fs::read_to_string(&config_path).map_err(CheckpointError::read(&config_path))?;
        let config = ModelConfig::from_json(&text)?;
        let [_, weights, optimizer] = files.map(|(name, _)| name);
        let files = [WeightsFile::open(&path.join(weights))?, WeightsFile::open(&path.join(optimizer))?];
        let mut shapes = BTreeMap::new();
        for file in &files {
            for name in file.names() {
                let dtype = file.dtype(name)?;
                if dtype != WeightsDtype::F32 {
                    let (name, holder, got) = (values::shown(name), holder(path), dtype.to_string());
                    return Err(CheckpointError::Kind { name, holder, got });
                }
                shapes.insert(name.as_str(), file.shape(name)?.to_vec());
            }
        }
        values::check_shapes(&config, part, &holder(path), &shapes)?;
        Ok(Self { path: path.to_owned(), record, config, part, files })
    }

    /// Its step.
    pub(super) fn step(&self) -> u64 {
        self.record.step
    }

    /// All of it, tensors on a device.
    pub(super) fn load(self, device: Device) -> Result<Checkpoint> {
        let mut tensors = BTreeMap::new();
        for file in &self.files {
            for name in file.names() {
                let tensor = values::read(file, name)?.f_to_device(device).map_err(CheckpointError::copy(name))?;
                tensors.insert(name.clone(), tensor);
            }
        }
        let Record { step, state, .. } = self.record;
        Ok(Checkpoint { step, config: self.config, part: self.part, tensors, state })
    }

    /// Its values into the tensors of a checkpoint of the same model.
    pub(super) fn restore(self, checkpoint: &mut Checkpoint) -> Result<()> {
        if (self.part, &self.config) != (checkpoint.part, &checkpoint.config) {
            let [got, expected] = [model(self.part, &self.config), model(checkpoint.part, &checkpoint.config)];
            return Err(CheckpointError::OtherModel { path: self.path, got, expected });
        }
        values::check(checkpoint)?;
        let stored: BTreeMap<&str, &WeightsFile> =
            self.files.iter().flat_map(|file| file.names().iter().map(move |name| (name.as_str(), file))).collect();
        if let Some(name) = stored.keys().find(|name| !checkpoint.tensors.contains_key(**name)) {
            return Err(CheckpointError::Unknown { name: values::shown(name), holder: holder(&self.path) });
        }
        if let Some(name) = checkpoint.tensors.keys().find(|name| !stored.contains_key(name.as_str())) {
            return Err(CheckpointError::Missing { name: name.clone(), holder: holder(&self.path) });
        }
        let _no_gradient = tch::no_grad_guard();
        for (name, tensor) in &mut checkpoint.tensors {
            copy_into(tensor, name, stored[name.as_str()])?;
        }
        checkpoint.step = self.record.step;
        checkpoint.state = self.record.state;
        Ok(())
    }
}

fn copy_into(tensor: &mut Tensor, name: &str, file: &WeightsFile) -> Result<()> {
    let values = values::read(file, name)?;
    tensor.f_copy_(&values).map_err(CheckpointError::copy(name))
}

fn holder(path: &Path) -> String {
    format!("checkpoint {}", path.display())
}

/// What a checkpoint is of, for an error line.
fn model(part: WeightsPart, config: &ModelConfig) -> String {
    match Preset::of(config) {
        Some(preset) => format!("{part} of {preset}"),
        None => format!("{part} of a config of width {}", config.dim),
    }
}
