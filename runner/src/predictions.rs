//! What `egom2p run` writes for a clip.

use std::{collections::BTreeMap, io::Write as _, path::PathBuf};

use egom2p_model::{Modality, ModelConfig};
use serde_json::Value;

use crate::{
    frames::Frames,
    generation::ModalityTokens,
    io::{FileError, OutputFolder, TokenArray, write_gaze_csv, write_npy, write_tokens, write_tum},
    motion::{MOTION_FPS, MotionError, world_from_camera},
    pipeline::Prediction,
    tokenizer::DecodedVideo,
    video::{Codec, VideoError, VideoProgram, WriteOptions},
};

/// Outputs that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PredictionsError {
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A video could not be written.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// The predicted trajectory is none.
    #[error(transparent)]
    Motion(#[from] MotionError),
}

/// Writes everything that was predicted into `folder`, which appears whole; `report` becomes `run.json`. Returns the files.
///
/// `program` writes the videos and is needed for depth and RGB only; `fps` is the rate of video frames.
pub fn write_predictions(
    folder: OutputFolder,
    config: &ModelConfig,
    prediction: &Prediction,
    report: &Value,
    program: Option<&VideoProgram>,
    fps: f64,
) -> Result<Vec<PathBuf>, PredictionsError> {
    if let Some(frames) = &prediction.camera {
        let poses = world_from_camera(frames)?;
        folder.write("camera.tum", |file| write_tum(file, &poses, MOTION_FPS))?;
        let matrices: Vec<f32> = poses.iter().flat_map(|pose| pose.matrix().map(|value| value as f32)).collect();
        folder.write("camera.npy", |file| write_npy(file, &[poses.len(), 4, 4], &matrices))?;
    }
    if let Some(frames) = &prediction.gaze {
        folder.write("gaze.csv", |file| write_gaze_csv(file, frames, MOTION_FPS))?;
    }
    if let Some(DecodedVideo { frames, luminance }) = &prediction.depth {
        let shape = [frames.n_frames(), frames.height(), frames.width()];
        folder.write("depth.npy", |file| write_npy(file, &shape, luminance))?;
        write_video(&folder, "depth.mp4", frames, program, fps)?;
    }
    if let Some(DecodedVideo { frames, .. }) = &prediction.rgb {
        write_video(&folder, "rgb.mp4", frames, program, fps)?;
    }
    let all = prediction.given.iter().chain(&prediction.generated.targets);
    let arrays: BTreeMap<String, TokenArray> = all.map(|tokens| array(config, tokens)).collect();
    folder.write("tokens.safetensors", |file| write_tokens(file, &arrays))?;
    folder.write("run.json", |file| writeln!(file, "{report:#}"))?;
    Ok(folder.commit()?)
}

fn write_video(
    folder: &OutputFolder,
    name: &str,
    frames: &Frames,
    program: Option<&VideoProgram>,
    fps: f64,
) -> Result<(), PredictionsError> {
    let found;
    let program = if let Some(program) = program {
        program
    } else {
        found = VideoProgram::find()?;
        &found
    };
    let (width, height) = (frames.width() as u32, frames.height() as u32);
    let options = WriteOptions { fps, width, height, codec: Codec::H264 };
    let mut writer = program.create(&folder.path(name)?, &options)?;
    for frame in frames.pixels().chunks_exact((frames.width() * frames.height() * 3).max(1)) {
        writer.push(frame)?;
    }
    Ok(writer.finish()?)
}

fn array(config: &ModelConfig, ModalityTokens { modality, tokens }: &ModalityTokens) -> (String, TokenArray) {
    let shape = token_shape(config, *modality);
    (modality.name().to_owned(), TokenArray { shape, tokens: tokens.clone() })
}

/// The shape in which the tokens of a modality are kept: `[t, h, w]`, or `[tokens]` for camera and gaze.
pub fn token_shape(config: &ModelConfig, modality: Modality) -> Vec<usize> {
    if modality.is_video() { config.video.grid().to_vec() } else { vec![config.motion.n_tokens()] }
}
