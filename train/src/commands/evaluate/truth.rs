use super::super::clips::{ClipFolder, Dataset, folder_name};
use anyhow::{Context as _, bail};
use egom2p::frames::Frames;
use egom2p::io::read_npz;
use egom2p_engine_core::Tensor;
use egom2p_model::{Modality, ModelConfig};
use egom2p_motion::{Pose, world_from_camera};
use egom2p_synth::Split;
use egom2p_train::evaluation::{DepthTruth, GazeTruth};
use egom2p_train::preparation;
use std::path::Path;

/// The arrays of a depth file beside its video.
const METRES: &str = "metres";
const INVERSE_RANGE: &str = "inverse_range";

/// Reads clips as they are.
pub(super) struct Truths<'a> {
    folder: &'a ClipFolder,
    config: ModelConfig,
    path: &'a Path,
}

/// A clip as it is: colour, and what is to be predicted from it.
pub(super) struct Truth {
    pub(super) rgb: Frames,
    pub(super) camera: Option<CameraClip>,
    pub(super) depth: Option<DepthClip>,
    pub(super) gaze: Option<GazeClip>,
}

/// A trajectory relative to its first pose.
pub(super) struct CameraClip {
    pub(super) poses: Vec<Pose>,
    /// What the tokenizer takes.
    pub(super) input: Vec<f32>,
}

/// A depth video.
pub(super) struct DepthClip {
    pub(super) truth: DepthTruth,
    pub(super) frames: Frames,
    /// `[frames, height, width]` in [0, 1].
    pub(super) values: Vec<f32>,
}

/// A gaze clip, with what its tokenizer takes.
pub(super) struct GazeClip(pub(super) GazeTruth, pub(super) Vec<f32>);

impl<'a> Truths<'a> {
    /// Of the folder at `path`.
    pub(super) fn new(folder: &'a ClipFolder, config: &ModelConfig, path: &'a Path) -> Self {
        Self { folder, config: config.clone(), path }
    }

    /// A clip of a split with these targets.
    pub(super) fn read(
        &self,
        split: Split,
        dataset: &Dataset,
        clip: &str,
        targets: &[Modality],
    ) -> anyhow::Result<Truth> {
        let has = |modality| targets.contains(&modality);
        Ok(Truth {
            rgb: self.frames(dataset, Modality::Rgb, clip)?,
            camera: has(Modality::Camera).then(|| self.camera(dataset, clip)).transpose()?,
            depth: has(Modality::Depth).then(|| self.depth(split, dataset, clip)).transpose()?,
            gaze: has(Modality::Gaze).then(|| self.gaze(dataset, clip)).transpose()?,
        })
    }

    /// A depth video, `[frames, height, width]` in [0, 1].
    pub(super) fn depth_video(&self, dataset: &Dataset, clip: &str) -> anyhow::Result<Vec<f32>> {
        Ok(depth_values(&self.frames(dataset, Modality::Depth, clip)?))
    }

    /// The gaze of a clip.
    pub(super) fn gaze(&self, dataset: &Dataset, clip: &str) -> anyhow::Result<GazeClip> {
        let input = self.folder.input(dataset, Modality::Gaze, clip)?;
        Ok(GazeClip(GazeTruth::of_input(&input), input))
    }

    fn camera(&self, dataset: &Dataset, clip: &str) -> anyhow::Result<CameraClip> {
        let input = self.folder.input(dataset, Modality::Camera, clip)?;
        let recording = dataset.camera(clip)?;
        let settings = self.folder.preparation();
        let clips = settings.camera_clips(&dataset.name, &[recording], preparation::Split::Validation)?;
        let frames = clips.clips.first().context("poses are not finite\nleave the clip out")?;
        Ok(CameraClip { poses: world_from_camera(frames)?, input })
    }

    fn depth(&self, split: Split, dataset: &Dataset, clip: &str) -> anyhow::Result<DepthClip> {
        let frames = self.frames(dataset, Modality::Depth, clip)?;
        let folder = self.path.join(split.name()).join(&dataset.name).join(folder_name(Modality::Depth));
        let path = folder.join(format!("{clip}.npz"));
        let metres = read_npz(&path, METRES)?;
        metres.check_shape(&path, &[frames.n_frames(), frames.height(), frames.width()])?;
        let range = read_npz(&path, INVERSE_RANGE)?;
        range.check_shape(&path, &[2])?;
        let range: Vec<f64> = range.floats(&path)?;
        let [low, high] = range[..] else { bail!("{} has no range\nmake the clip again", path.display()) };
        let truth = DepthTruth::new(metres.floats(&path)?, [low, high]);
        let truth = truth.with_context(|| path.display().to_string())?;
        Ok(DepthClip { truth, values: depth_values(&frames), frames })
    }

    fn frames(&self, dataset: &Dataset, modality: Modality, clip: &str) -> anyhow::Result<Frames> {
        let video = &self.config.video;
        let shape = [1, 3, video.padded_frames(), video.height, video.width];
        let tensor = Tensor::f32(shape, self.folder.video(dataset, modality, clip)?)?;
        let frames = Frames::from_tensor(&tensor, 0..video.frames).filter(|frames| frames.n_frames() == video.frames);
        frames.with_context(|| format!("{clip} has no {modality} frames\nmake the clip again"))
    }
}

/// The first channel in [0, 1].
fn depth_values(frames: &Frames) -> Vec<f32> {
    frames.pixels().as_chunks::<3>().0.iter().map(|pixel| f32::from(pixel[0]) / 255.0).collect()
}
