//! A weights folder: `config.json` and the files of the parts that it holds.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use egom2p_graph::{ParameterError, Parameters};

use crate::{
    ConfigError, ModelConfig, Preset, Stage, StageError, expected_tensors,
    weights::{
        CHUNK_VALUES, ReproducibleError, ReproducibleTensor, TensorSpec, WeightsError, WeightsFile, WeightsPart,
        WeightsWriter, WrittenWeights,
    },
};

/// The name of the file with a folder's [`ModelConfig`].
pub const CONFIG_FILE: &str = "config.json";

/// The largest `config.json` that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The weights of a model: any subset of its parts, and the sizes that they belong to.
#[derive(Debug)]
pub struct WeightsFolder {
    path: PathBuf,
    config: ModelConfig,
}

/// A weights folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsFolderError {
    /// No `config.json`.
    #[error("{} is not a weights folder: {source}\nname the folder that \"egom2p import\" or \"egom2p weights\" wrote", path.display())]
    Config {
        /// The missing or unreadable file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder cannot be written.
    #[error("cannot write {}: {source}\nchoose a folder that may be written to, on a disk with room", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another config is there already.
    #[error("{} holds weights of another model\nchoose an empty folder", path.display())]
    OtherConfig {
        /// The folder.
        path: PathBuf,
    },
    /// No part of the model is there.
    #[error("{} holds no weights\nadd one of model, camera, gaze or video.safetensors with \"egom2p import\"", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// The config does not make sense.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
    /// A stage cannot be built from the config.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A weights file is damaged.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A tensor has no rule.
    #[error(transparent)]
    Reproducible(#[from] ReproducibleError),
}

impl WeightsFolder {
    /// Opens a folder; its weights are read when they are asked for.
    pub fn open(path: &Path) -> Result<Self, WeightsFolderError> {
        let file = path.join(CONFIG_FILE);
        let unreadable = |source| WeightsFolderError::Config { path: file.clone(), source };
        let n_bytes = fs::metadata(&file).map_err(unreadable)?.len();
        if n_bytes > MAX_CONFIG_BYTES {
            return Err(unreadable(io::Error::other(format!("{n_bytes} bytes are too many for a config"))));
        }
        let text = fs::read_to_string(&file).map_err(unreadable)?;
        let folder = Self { path: path.to_owned(), config: ModelConfig::from_json(&text)? };
        if folder.parts().next().is_none() {
            return Err(WeightsFolderError::Empty { path: path.to_owned() });
        }
        Ok(folder)
    }

    /// Whether a folder holds weights of these sizes already: `false` where it has no config, or does not exist. Fails
    /// where it holds weights of another model.
    pub fn check_fits(path: &Path, config: &ModelConfig) -> Result<bool, WeightsFolderError> {
        let file = path.join(CONFIG_FILE);
        match fs::read_to_string(&file) {
            Ok(text) if ModelConfig::from_json(&text)? == *config => Ok(true),
            Ok(_) => Err(WeightsFolderError::OtherConfig { path: path.to_owned() }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
            Err(source) => Err(WeightsFolderError::Config { path: file, source }),
        }
    }

    /// Writes the config of a folder that is about to be filled; fails where another model's is.
    pub fn create(path: &Path, config: &ModelConfig) -> Result<Self, WeightsFolderError> {
        let file = path.join(CONFIG_FILE);
        let folder = Self { path: path.to_owned(), config: config.clone() };
        if Self::check_fits(path, config)? {
            return Ok(folder);
        }
        let failed = |source| WeightsFolderError::Write { path: file.clone(), source };
        fs::create_dir_all(path).map_err(failed)?;
        let partial = path.join(format!(".partial-{}-{CONFIG_FILE}", std::process::id()));
        let written = fs::write(&partial, config.to_json()).and_then(|()| fs::rename(&partial, &file));
        written.map_err(|source| {
            let _ = fs::remove_file(&partial);
            failed(source)
        })?;
        Ok(folder)
    }

    /// Writes a part with values that follow from a rule. `progress` gets the values written and their number in all.
    pub fn write_reproducible(
        &self,
        part: WeightsPart,
        seed: u64,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<WrittenWeights, WeightsFolderError> {
        let expected = expected_tensors(&self.config, part)?;
        let specs = expected.into_iter().map(|tensor| TensorSpec { name: tensor.name, shape: tensor.shape });
        let specs: Vec<_> = specs.collect();
        let total = specs.iter().map(|spec| spec.shape.iter().product::<usize>() as u64).sum();
        let [_, video_side, _] = self.config.video.grid();
        let mut writer = WeightsWriter::create(&self.path.join(part.file_name()), specs)?;
        let (mut done, mut values) = (0, vec![0.0; CHUNK_VALUES]);
        while let Some(mut tensor) = writer.next_tensor()? {
            let rule = ReproducibleTensor::new(seed, part, tensor.name(), tensor.shape(), video_side)?;
            for start in (0..rule.n_values()).step_by(CHUNK_VALUES) {
                let chunk = &mut values[..CHUNK_VALUES.min(rule.n_values() - start)];
                rule.fill(start, chunk);
                tensor.write(chunk)?;
                done += chunk.len() as u64;
                progress(done, total);
            }
        }
        Ok(writer.finish()?)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The sizes of its model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The name of the preset that has these sizes, if one has.
    pub fn preset(&self) -> Option<Preset> {
        Preset::of(&self.config)
    }

    /// The parts that it holds.
    pub fn parts(&self) -> impl Iterator<Item = WeightsPart> + '_ {
        WeightsPart::ALL.into_iter().filter(|part| self.path.join(part.file_name()).is_file())
    }

    /// The weights of a part.
    pub fn part(&self, part: WeightsPart) -> Result<WeightsFile, WeightsFolderError> {
        Ok(WeightsFile::open(&self.path.join(part.file_name()))?)
    }

    /// The stages that its parts allow, in order.
    pub fn stages(&self) -> Vec<Stage> {
        let parts: Vec<_> = self.parts().collect();
        Stage::ALL.into_iter().filter(|stage| parts.contains(&stage.weights_file())).collect()
    }
}

impl Parameters for WeightsFile {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        if !self.contains(name) {
            return Err(ParameterError::Missing { name: name.to_owned() });
        }
        let source = |error: WeightsError| ParameterError::Source(Box::new(error));
        let actual = self.shape(name).map_err(source)?;
        if actual != shape {
            let (expected, actual) = (shape.to_vec(), actual.to_vec());
            return Err(ParameterError::Shape { name: name.to_owned(), expected, actual });
        }
        self.read_f32(name).map_err(source)
    }
}
