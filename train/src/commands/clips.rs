//! Folders of raw clips: `SPLIT/DATASET/MODALITY/CLIP.npz`, as `synth` writes them.

use super::model::read_text;
use anyhow::{Context as _, bail, ensure};
use egom2p::frames::Frames;
use egom2p::io::{ArrayData, NPZ_MEMBER, read_npz};
use egom2p_model::{Modality, ModelConfig};
use egom2p_motion::{GAZE_INPUT_CHANNELS, GazeGeometry};
use egom2p_synth::{MANIFEST_FILE, Settings, Split};
use egom2p_train::preparation::{
    CameraConvention, CameraRecording, DatasetConvention, GazeRecording, PreparationSettings,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A folder of raw clips for a model of these sizes.
#[derive(Debug)]
pub(super) struct ClipFolder {
    path: PathBuf,
    config: ModelConfig,
    preparation: PreparationSettings,
}

/// One dataset of a split.
#[derive(Debug)]
pub(super) struct Dataset {
    pub(super) name: String,
    /// The names of every modality's clips without `.npz`, sorted.
    pub(super) clips: BTreeMap<Modality, Vec<String>>,
    folder: PathBuf,
}

impl ClipFolder {
    /// Opens a folder. How its datasets keep gaze and camera poses follows from its manifest where `synth` wrote it, else
    /// from `preparation`, a file of settings, or the published conventions.
    pub(super) fn open(path: &Path, config: &ModelConfig, preparation: Option<&Path>) -> anyhow::Result<Self> {
        let folder = path.display();
        ensure!(
            path.is_dir(),
            "{folder} is not a folder\nname a folder that \"egom2p-train synth\" wrote, or one of the same layout"
        );
        let manifest = path.join(MANIFEST_FILE);
        let preparation = match preparation {
            Some(file) => {
                let read = serde_json::from_str(&read_text(file)?);
                read.with_context(|| format!("{} has no settings of a preparation\ncorrect the file", file.display()))?
            }
            None if manifest.is_file() => synthetic(&manifest, config)?,
            None => PreparationSettings { n_frames: config.motion.samples, ..PreparationSettings::published() },
        };
        preparation.validate()?;
        let (n_frames, expected) = (preparation.n_frames, config.motion.samples);
        ensure!(
            n_frames == expected,
            "the preparation cuts clips of {n_frames} frames, the model takes {expected}\nset n_frames to {expected}"
        );
        Ok(Self { path: path.to_owned(), config: config.clone(), preparation })
    }

    /// Sizes and conventions of the clips.
    pub(super) fn preparation(&self) -> &PreparationSettings {
        &self.preparation
    }

    /// Whether the camera recordings of a dataset go on from one to the next.
    pub(super) fn is_consecutive(&self, dataset: &Dataset) -> bool {
        let mut conventions = self.preparation.datasets.iter().filter(|convention| convention.name == dataset.name);
        conventions.any(|convention| convention.camera.as_ref().is_some_and(|camera| camera.clips_are_consecutive))
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The datasets of a split, in the order of their names.
    pub(super) fn datasets(&self, split: Split) -> anyhow::Result<Vec<Dataset>> {
        let folder = self.path.join(split.name());
        let mut datasets = Vec::new();
        if !folder.exists() {
            return Ok(datasets);
        }
        for name in names(&folder)? {
            let folder = folder.join(&name);
            let mut clips = BTreeMap::new();
            for modality in Modality::ALL {
                let folder = folder.join(folder_name(modality));
                if folder.is_dir() {
                    let files = names(&folder)?;
                    let stems =
                        files.iter().filter(|file| !file.starts_with('.')).filter_map(|file| file.strip_suffix(".npz"));
                    clips.insert(modality, stems.map(str::to_owned).collect());
                }
            }
            if !clips.is_empty() {
                datasets.push(Dataset { name, clips, folder });
            }
        }
        Ok(datasets)
    }

    /// A video as its tokenizer takes it, `[3, padded frames, height, width]` in `[-1, 1]`; depth is grey.
    pub(super) fn video(&self, dataset: &Dataset, modality: Modality, clip: &str) -> anyhow::Result<Vec<f32>> {
        let path = dataset.path(modality, clip);
        let array = read_npz(&path, NPZ_MEMBER)?;
        let [frames, height, width] = [self.config.video.frames, self.config.video.height, self.config.video.width];
        let ArrayData::U8(bytes) = &array.data else {
            bail!("{} has values that are not bytes\nstore video as u8", path.display());
        };
        let pixels = if modality == Modality::Depth {
            array.check_shape(&path, &[frames, height, width])?;
            bytes.iter().flat_map(|byte| [*byte; 3]).collect()
        } else {
            array.check_shape(&path, &[frames, height, width, 3])?;
            bytes.clone()
        };
        let frames = Frames::new(pixels, frames, height, width).context("the sizes of the video overflow")?;
        Ok(frames.to_tensor()?.0.into_f32()?)
    }

    /// What the tokenizer of a modality takes of one clip, row-major in [`Self::input_shape`].
    pub(super) fn input(&self, dataset: &Dataset, modality: Modality, clip: &str) -> anyhow::Result<Vec<f32>> {
        match modality {
            Modality::Camera => {
                let values = self.preparation.camera_input(&dataset.name, &dataset.camera(clip)?)?;
                check_range(&values)?;
                Ok(values)
            }
            Modality::Gaze => Ok(self.preparation.gaze_input(&dataset.name, &dataset.gaze(clip)?)?.input),
            Modality::Depth | Modality::Rgb => self.video(dataset, modality, clip),
        }
    }

    /// The shape of one clip as its tokenizer takes it.
    pub(super) fn input_shape(&self, modality: Modality) -> Vec<i64> {
        let ModelConfig { video, motion, .. } = &self.config;
        let shape = match modality {
            Modality::Camera => vec![motion.samples, egom2p_motion::CAMERA_CHANNELS],
            Modality::Gaze => vec![motion.samples, GAZE_INPUT_CHANNELS],
            Modality::Depth | Modality::Rgb => vec![3, video.padded_frames(), video.height, video.width],
        };
        shape.into_iter().map(|length| length as i64).collect()
    }
}

impl Dataset {
    /// A camera recording as it is stored.
    pub(super) fn camera(&self, clip: &str) -> anyhow::Result<CameraRecording> {
        let path = self.path(Modality::Camera, clip);
        let array = read_npz(&path, NPZ_MEMBER)?;
        array.check_shape(&path, &[array.shape.first().copied().unwrap_or(0), 4, 4])?;
        let world_from_camera = array.floats(&path)?.as_chunks::<16>().0.to_vec();
        Ok(CameraRecording { name: path.display().to_string(), world_from_camera })
    }

    /// A gaze recording as it is stored.
    pub(super) fn gaze(&self, clip: &str) -> anyhow::Result<GazeRecording> {
        let path = self.path(Modality::Gaze, clip);
        let array = read_npz(&path, NPZ_MEMBER)?;
        array.check_shape(&path, &[array.shape.first().copied().unwrap_or(0), 2])?;
        Ok(GazeRecording { name: path.display().to_string(), pixels: array.floats(&path)?.as_chunks::<2>().0.to_vec() })
    }

    /// What messages call a clip.
    pub(super) fn clip_name(&self, modality: Modality, clip: &str) -> String {
        format!("{}/{}/{clip}", self.name, folder_name(modality))
    }

    /// The size of a clip's file.
    pub(super) fn n_bytes(&self, modality: Modality, clip: &str) -> anyhow::Result<u64> {
        let path = self.path(modality, clip);
        let metadata = fs::metadata(&path);
        Ok(metadata.with_context(|| format!("cannot read {}\ncheck that it may be read", path.display()))?.len())
    }

    fn path(&self, modality: Modality, clip: &str) -> PathBuf {
        self.folder.join(folder_name(modality)).join(format!("{clip}.npz"))
    }
}

/// Fails where a value was too large for single precision.
pub(super) fn check_range(values: &[f32]) -> anyhow::Result<()> {
    let is_finite = values.iter().all(|value| value.is_finite());
    ensure!(is_finite, "it has values beyond single precision\nstore positions in metres");
    Ok(())
}

/// The published name of a modality's folder.
pub(super) fn folder_name(modality: Modality) -> &'static str {
    let key = modality.published_key();
    key.strip_prefix("tok_").unwrap_or(key)
}

/// The conventions of synthetic clips, which must have the model's sizes.
fn synthetic(manifest: &Path, config: &ModelConfig) -> anyhow::Result<PreparationSettings> {
    let shown = manifest.display();
    let unreadable = || format!("{shown} cannot be read\nmake the clips with this release's \"egom2p-train synth\"");
    let manifest: Value = serde_json::from_str(&read_text(manifest)?).with_context(unreadable)?;
    let settings: Settings = serde_json::from_value(manifest["settings"].clone()).with_context(unreadable)?;
    let got = [settings.frames, settings.height, settings.width, settings.samples];
    let expected = [config.video.frames, config.video.height, config.video.width, config.motion.samples];
    ensure!(
        got == expected,
        "{shown} tells of clips of [frames, height, width, samples] {got:?}, the model takes {expected:?}\nmake clips for this model, or name the model that they were made for"
    );
    let dataset = |dataset: &egom2p_synth::DatasetSettings| DatasetConvention {
        name: dataset.name.clone(),
        camera: Some(CameraConvention::opencv(false)),
        gaze: Some(GazeGeometry::whole(settings.width as f64, settings.height as f64)),
    };
    let datasets = settings.datasets.iter().map(dataset).collect();
    Ok(PreparationSettings { n_frames: settings.samples, datasets, ..PreparationSettings::published() })
}

/// The names of a folder's entries, sorted.
fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let list = || -> std::io::Result<Vec<String>> {
        let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        let mut names: Vec<String> = names.collect::<std::io::Result<Vec<_>>>()?.into_iter().flatten().collect();
        names.sort();
        Ok(names)
    };
    list().with_context(|| format!("cannot list {}\ncheck that it is a folder that may be read", folder.display()))
}
