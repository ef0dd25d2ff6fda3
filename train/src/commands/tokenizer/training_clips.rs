use super::super::clips::{ClipFolder, Dataset, check_range};
use super::super::left_out::LeftOut;
use anyhow::{Context as _, anyhow, ensure};
use egom2p_model::{Modality, weights::WeightsPart};
use egom2p_motion::GAZE_INPUT_CHANNELS;
use egom2p_synth::Split;
use egom2p_train::preparation::{self, CameraRecording};
use tch::{Device, TchError, Tensor};

/// The clips of a split that a tokenizer sees. Those of gaze and camera are in memory, videos on the disk.
pub(super) struct TrainingClips {
    datasets: Vec<Dataset>,
    clips: Clips,
    digest: String,
    left_out: LeftOut,
}

enum Clips {
    /// The values, f32 `[clips, samples, channels]`, and what every clip is.
    Motion(Tensor, Vec<String>),
    /// The dataset, modality and name of every clip.
    Video(Vec<(usize, Modality, String)>),
}

impl TrainingClips {
    /// Reads what a tokenizer takes of a split. Recordings of gaze and camera are cut into overlapping windows; those that
    /// cannot be used are left out, at most `max_damaged`.
    pub(super) fn read(
        folder: &ClipFolder,
        split: Split,
        part: WeightsPart,
        max_damaged: usize,
    ) -> anyhow::Result<Self> {
        let datasets = folder.datasets(split)?;
        let mut hasher = blake3_of(part);
        let mut left_out = LeftOut::new(max_damaged);
        let mut windows = Windows::default();
        let mut videos = Vec::new();
        for (index, dataset) in datasets.iter().enumerate() {
            for (modality, names) in dataset.clips.iter().filter(|(modality, _)| part_of(**modality) == part) {
                match modality {
                    Modality::Camera => windows.add_camera(folder, dataset, names, split, &mut left_out)?,
                    Modality::Gaze => windows.add_gaze(folder, dataset, names, split, &mut left_out)?,
                    Modality::Depth | Modality::Rgb => {
                        for name in names {
                            let n_bytes = dataset.n_bytes(*modality, name)?;
                            hasher.update(format!("{}/{modality}/{name} {n_bytes}\n", dataset.name).as_bytes());
                            videos.push((index, *modality, name.clone()));
                        }
                    }
                }
            }
        }
        let Windows { values, names } = windows;
        for name in &names {
            hasher.update(format!("{name}\n").as_bytes());
        }
        for value in &values {
            hasher.update(&value.to_le_bytes());
        }
        let clips = match part {
            WeightsPart::Camera => Clips::Motion(tensor(&values, folder.input_shape(Modality::Camera))?, names),
            WeightsPart::Gaze => {
                let is_valid = |frame: &[f32; GAZE_INPUT_CHANNELS]| frame[GAZE_INPUT_CHANNELS - 1] > 0.0;
                ensure!(
                    names.is_empty() || values.as_chunks().0.iter().any(is_valid),
                    "no gaze in {} is valid\ncheck the clips, and the conventions of their datasets",
                    split.name()
                );
                Clips::Motion(tensor(&values, folder.input_shape(Modality::Gaze))?, names)
            }
            WeightsPart::Video | WeightsPart::Model => Clips::Video(videos),
        };
        Ok(Self { datasets, clips, digest: hasher.finalize().to_hex().to_string(), left_out })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match &self.clips {
            Clips::Motion(_, names) => names.len(),
            Clips::Video(clips) => clips.len(),
        }
    }

    /// The digest of their names, and of their values or sizes.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// How many were left out because they cannot be used.
    pub(super) fn n_left_out(&self) -> usize {
        self.left_out.len()
    }

    /// What a clip is: its dataset and its name.
    pub(super) fn name(&self, index: usize) -> String {
        match &self.clips {
            Clips::Motion(_, names) => names[index].clone(),
            Clips::Video(clips) => {
                let (dataset, modality, name) = &clips[index];
                self.datasets[*dataset].clip_name(*modality, name)
            }
        }
    }

    /// Some of them as a batch on a device, f32. Videos that cannot be read are left out.
    pub(super) fn batch(&mut self, folder: &ClipFolder, indices: &[usize], device: Device) -> anyhow::Result<Tensor> {
        let batch = match &self.clips {
            Clips::Motion(clips, _) => {
                let indices: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
                let batch = Tensor::f_from_slice(&indices).and_then(|indices| clips.f_index_select(0, &indices));
                batch.context(MEMORY)?
            }
            Clips::Video(clips) => {
                let mut values = Vec::new();
                for &index in indices {
                    let (dataset, modality, name) = &clips[index];
                    let dataset = &self.datasets[*dataset];
                    match folder.video(dataset, *modality, name) {
                        Ok(video) => values.extend(video),
                        Err(error) => self.left_out.clip(&dataset.clip_name(*modality, name), &error)?,
                    }
                }
                ensure!(!values.is_empty(), "no clip of a batch can be used\nmend the clips that were left out");
                tensor(&values, folder.input_shape(Modality::Rgb))?
            }
        };
        batch.f_to_device(device).context(MEMORY)
    }
}

/// Clips of gaze or camera, one after another.
#[derive(Default)]
struct Windows {
    values: Vec<f32>,
    names: Vec<String>,
}

impl Windows {
    /// Adds the windows of a dataset's camera recordings. Where one is left out, what stands before it is not joined to
    /// what stands after it.
    fn add_camera(
        &mut self,
        folder: &ClipFolder,
        dataset: &Dataset,
        names: &[String],
        split: Split,
        left_out: &mut LeftOut,
    ) -> anyhow::Result<()> {
        let mut first = None;
        let mut joined = Vec::new();
        for name in names {
            let shown = dataset.clip_name(Modality::Camera, name);
            let recording = camera(folder, dataset, name, split);
            let ends = recording.is_err() || !folder.is_consecutive(dataset);
            match recording {
                Ok(recording) => {
                    first.get_or_insert(shown);
                    joined.push(recording);
                }
                Err(error) => left_out.clip(&shown, &error)?,
            }
            if ends {
                self.cut_camera(folder, dataset, first.take(), &mut joined, split, left_out)?;
            }
        }
        self.cut_camera(folder, dataset, first, &mut joined, split, left_out)
    }

    /// Adds the windows of recordings that go on from one to the next.
    fn cut_camera(
        &mut self,
        folder: &ClipFolder,
        dataset: &Dataset,
        first: Option<String>,
        joined: &mut Vec<CameraRecording>,
        split: Split,
        left_out: &mut LeftOut,
    ) -> anyhow::Result<()> {
        let Some(first) = first else { return Ok(()) };
        let prepared = folder.preparation().camera_clips(&dataset.name, joined, of(split))?;
        let n_frames = joined.iter().map(|recording| recording.world_from_camera.len()).sum();
        joined.clear();
        let windows = prepared.clips.iter().map(|clip| folder.preparation().normalised(clip)).collect();
        self.add(folder, &first, n_frames, windows, left_out)
    }

    /// Adds the windows of a dataset's gaze recordings.
    fn add_gaze(
        &mut self,
        folder: &ClipFolder,
        dataset: &Dataset,
        names: &[String],
        split: Split,
        left_out: &mut LeftOut,
    ) -> anyhow::Result<()> {
        for name in names {
            let shown = dataset.clip_name(Modality::Gaze, name);
            let recording = match dataset.gaze(name) {
                Ok(recording) => recording,
                Err(error) => {
                    left_out.clip(&shown, &error)?;
                    continue;
                }
            };
            let n_frames = recording.pixels.len();
            let windows = folder.preparation().gaze_clips(&dataset.name, &[recording], of(split))?;
            let windows = windows.into_iter().map(|clip| clip.input).collect();
            self.add(folder, &shown, n_frames, windows, left_out)?;
        }
        Ok(())
    }

    /// Adds the windows of so many frames that begin with a recording.
    fn add(
        &mut self,
        folder: &ClipFolder,
        recording: &str,
        n_frames: usize,
        windows: Vec<Vec<f32>>,
        left_out: &mut LeftOut,
    ) -> anyhow::Result<()> {
        if windows.is_empty() {
            let expected = folder.preparation().n_frames;
            return left_out.clip(recording, &anyhow!("it has {n_frames} frames, expected at least {expected}"));
        }
        if let Err(error) = windows.iter().try_for_each(|window| check_range(window)) {
            return left_out.clip(recording, &error);
        }
        if windows.len() == 1 {
            self.names.push(recording.to_owned());
        } else {
            self.names.extend((0..windows.len()).map(|index| format!("window {index} from {recording} on")));
        }
        self.values.extend(windows.into_iter().flatten());
        Ok(())
    }
}

const MEMORY: &str = "cannot put clips together\ncheck the free memory, or use smaller batches";

/// The part of the weights that tokenizes a modality.
fn part_of(modality: Modality) -> WeightsPart {
    match modality {
        Modality::Camera => WeightsPart::Camera,
        Modality::Gaze => WeightsPart::Gaze,
        Modality::Depth | Modality::Rgb => WeightsPart::Video,
    }
}

fn blake3_of(part: WeightsPart) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(part.file_name().as_bytes());
    hasher
}

/// Clips of this shape one after another as `[clips, ..]` on the CPU.
fn tensor(values: &[f32], shape: Vec<i64>) -> anyhow::Result<Tensor> {
    let n_clips = values.len() as i64 / shape.iter().product::<i64>().max(1);
    let sizes: Vec<i64> = std::iter::once(n_clips).chain(shape).collect();
    let build = || -> Result<Tensor, TchError> { Tensor::f_from_slice(values)?.f_reshape(sizes) };
    build().context(MEMORY)
}

/// A camera recording of which clips can be made.
fn camera(folder: &ClipFolder, dataset: &Dataset, name: &str, split: Split) -> anyhow::Result<CameraRecording> {
    let recordings = [dataset.camera(name)?];
    let prepared = folder.preparation().camera_clips(&dataset.name, &recordings, of(split))?;
    ensure!(prepared.skipped.is_empty(), "a pose is not finite\nleave out what was not tracked");
    let [recording] = recordings;
    Ok(recording)
}

fn of(split: Split) -> preparation::Split {
    match split {
        Split::Training => preparation::Split::Training,
        Split::Validation => preparation::Split::Validation,
    }
}
