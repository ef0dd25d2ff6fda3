use super::engines::Engines;
use super::truth::{CameraClip, DepthClip, GazeClip, Truth};
use anyhow::Context as _;
use egom2p::frames::Frames;
use egom2p::pipeline::Prediction;
use egom2p_model::Modality;
use egom2p_motion::{denormalise_camera, denormalise_gaze, trajectory_errors, world_from_camera};
use egom2p_train::evaluation::{Baselines, ErrorTable, Measure, Source, video_errors};

/// What a target has no prediction for, which the pipeline rules out.
const ABSENT: &str = "a target was not predicted\nbuild the bundle again";

/// The errors so far.
pub(super) struct Evaluation {
    pub(super) table: ErrorTable,
    baselines: Baselines,
}

impl Evaluation {
    /// Without clips.
    pub(super) fn new(baselines: Baselines) -> Self {
        Self { table: ErrorTable::default(), baselines }
    }

    /// Predicts a clip of a dataset and takes its errors in.
    pub(super) fn add(&mut self, engines: &mut Engines, dataset: &str, truth: &Truth) -> anyhow::Result<()> {
        let Truth { rgb, camera, depth, gaze } = truth;
        let there = [camera.is_some(), depth.is_some(), gaze.is_some()];
        let targets = [Modality::Camera, Modality::Depth, Modality::Gaze].into_iter().zip(there);
        let targets: Vec<Modality> = targets.filter_map(|(target, is_there)| is_there.then_some(target)).collect();
        let prediction = engines.predict(rgb.clone(), &targets)?;
        let tokens = prediction.given.first().context(ABSENT)?;
        let decoded = engines.video(&tokens.tokens)?;
        let errors = video_errors(&unit(rgb), &unit(&decoded.frames))?;
        self.table.push(dataset, Modality::Rgb, Source::Quantisation, &Measure::video(&errors));
        if let Some(camera) = camera {
            self.add_camera(engines, dataset, camera, &prediction)?;
        }
        if let Some(depth) = depth {
            self.add_depth(engines, dataset, depth, &prediction)?;
        }
        if let Some(gaze) = gaze {
            self.add_gaze(engines, dataset, gaze, &prediction)?;
        }
        Ok(())
    }

    fn add_camera(
        &mut self,
        engines: &mut Engines,
        dataset: &str,
        CameraClip { poses, input }: &CameraClip,
        prediction: &Prediction,
    ) -> anyhow::Result<()> {
        let predicted = prediction.camera.as_ref().context(ABSENT)?;
        let quantised = denormalise_camera(&engines.motion_through_tokens(Modality::Camera, input)?)?;
        let rows = [
            (Source::Quantisation, world_from_camera(&quantised)?),
            (Source::Prediction, world_from_camera(predicted)?),
            (Source::ConstantPose, Baselines::constant_pose(poses.len())?),
        ];
        for (source, row) in rows {
            let errors = trajectory_errors(poses, &row)?;
            self.table.push(dataset, Modality::Camera, source, &Measure::trajectory(&errors));
        }
        Ok(())
    }

    fn add_depth(
        &mut self,
        engines: &mut Engines,
        dataset: &str,
        DepthClip { truth, frames, values }: &DepthClip,
        prediction: &Prediction,
    ) -> anyhow::Result<()> {
        let predicted = prediction.depth.as_ref().context(ABSENT)?;
        let mut rows = vec![
            (Source::Quantisation, engines.through_tokens(frames)?.luminance),
            (Source::Prediction, predicted.luminance.clone()),
        ];
        let naive =
            [(Source::MeanDepth, self.baselines.depth.clone()), (Source::MeanDepthValue, self.baselines.depth_value())];
        rows.extend(naive.into_iter().filter_map(|(source, row)| Some((source, row?))));
        for (source, row) in rows {
            self.table.push(dataset, Modality::Depth, source, &Measure::depth(&truth.errors(&row)?));
            self.table.push(dataset, Modality::Depth, source, &Measure::video(&video_errors(values, &row)?));
        }
        Ok(())
    }

    fn add_gaze(
        &mut self,
        engines: &mut Engines,
        dataset: &str,
        GazeClip(truth, input): &GazeClip,
        prediction: &Prediction,
    ) -> anyhow::Result<()> {
        let predicted = prediction.gaze.clone().context(ABSENT)?;
        let quantised = denormalise_gaze(&engines.motion_through_tokens(Modality::Gaze, input)?)?;
        let mean = self.baselines.gaze.map(|mean| vec![mean; predicted.len()]);
        let rows =
            [(Source::Quantisation, Some(quantised)), (Source::Prediction, Some(predicted)), (Source::MeanGaze, mean)];
        let video = &engines.config().video;
        let crop_pixels = [video.width, video.height];
        for (source, row) in rows.into_iter().filter_map(|(source, row)| Some((source, row?))) {
            if let Some(errors) = truth.errors(&row, crop_pixels)? {
                self.table.push(dataset, Modality::Gaze, source, &Measure::gaze(&errors));
            }
        }
        Ok(())
    }
}

/// Pixel values in [0, 1].
fn unit(frames: &Frames) -> Vec<f32> {
    frames.pixels().iter().map(|&byte| f32::from(byte) / 255.0).collect()
}
