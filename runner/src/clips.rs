//! From what a user names to clips: a video, a folder of videos, a pattern.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use egom2p_model::{Modality, ModelConfig};

use crate::{
    frames::Frames,
    video::{Clips, ReadOptions, VideoError, VideoProgram},
};

/// What files of a folder are taken for videos; a file that is named is always tried.
const VIDEO_EXTENSIONS: [&str; 10] = ["avi", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogv", "webm"];

/// A file of tokens of one modality.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokensFile {
    /// What the tokens describe.
    pub modality: Modality,
    /// `.npz`, `.npy` or `.safetensors`.
    pub path: PathBuf,
}

/// One clip of a video.
#[derive(Clone, PartialEq, Debug)]
pub struct Clip {
    /// Its pixels.
    pub frames: Frames,
    /// Counted over the video, from 0.
    pub index: usize,
    /// When its first frame is shown, from the start of the video.
    pub start_secs: f64,
}

/// Clips that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ClipsError {
    /// The input does not exist.
    #[error("cannot read {}: {source}\nname a video, a folder of videos or a quoted pattern", path.display())]
    Input {
        /// What was named.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A pattern that is no pattern.
    #[error("{pattern} is not a pattern: {reason}\nuse * for any name and ** for any folder")]
    Pattern {
        /// What was typed.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// Nothing there to read.
    #[error("{input} has no videos\nname a video, a folder of videos or a quoted pattern such as 'clips/*.mp4'")]
    NoVideos {
        /// What was named.
        input: String,
    },
    /// The video is shorter than a clip.
    #[error("{} has {n_frames} frames at {fps} frames per second, a clip needs {expected}\nuse a video of at least {:.2} seconds", path.display(), (*expected as f64 - 1.0) / fps)]
    Short {
        /// The video.
        path: PathBuf,
        /// Frames after resampling.
        n_frames: usize,
        /// The rate that it was resampled to.
        fps: f64,
        /// Frames of a clip.
        expected: usize,
    },
    /// The reader failed.
    #[error(transparent)]
    Video(#[from] VideoError),
}

/// The videos that `input` names: a file, the videos of a folder (not of its subfolders), or what a pattern matches. Sorted.
pub fn videos(input: &str) -> Result<Vec<PathBuf>, ClipsError> {
    let path = Path::new(input);
    let mut found = Vec::new();
    if path.is_dir() {
        let unreadable = |source| ClipsError::Input { path: path.to_owned(), source };
        for entry in fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if file.is_file() && VIDEO_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()) {
                found.push(file);
            }
        }
    } else if !path.exists() && input.contains(['*', '?', '[']) {
        let pattern = |reason: String| ClipsError::Pattern { pattern: input.to_owned(), reason };
        for file in glob::glob(input).map_err(|error| pattern(error.to_string()))? {
            let file = file.map_err(|error| pattern(error.to_string()))?;
            if file.is_file() {
                found.push(file);
            }
        }
    } else {
        fs::metadata(path).map_err(|source| ClipsError::Input { path: path.to_owned(), source })?;
        found.push(path.to_owned());
    }
    if found.is_empty() {
        return Err(ClipsError::NoVideos { input: input.to_owned() });
    }
    found.sort();
    Ok(found)
}

/// The full clips of a video, one at a time; frames after the last full clip are left out.
pub struct VideoClips {
    path: PathBuf,
    fps: f64,
    n_frames: usize,
    clips: Clips,
    index: usize,
    left_over: usize,
}

impl VideoClips {
    /// Starts reading a video at the preset's size.
    pub fn open(
        program: &VideoProgram,
        path: &Path,
        options: &ReadOptions,
        config: &ModelConfig,
    ) -> Result<Self, ClipsError> {
        let reader = program.read(path, options)?;
        let fps = reader.information().fps;
        let n_frames = config.video.frames;
        let clips = reader.clips(n_frames);
        Ok(Self { path: path.to_owned(), fps, n_frames, clips, index: 0, left_over: 0 })
    }

    /// Frames at the end that did not fill a clip; known when the clips are exhausted.
    pub fn left_over(&self) -> usize {
        self.left_over
    }
}

impl Iterator for VideoClips {
    type Item = Result<Clip, ClipsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let clip = match self.clips.next()? {
            Ok(clip) => clip,
            Err(error) => return Some(Err(error.into())),
        };
        let index = self.index;
        self.index += 1;
        if clip.n_frames < self.n_frames {
            self.left_over = clip.n_frames;
            let short = ClipsError::Short {
                path: self.path.clone(),
                n_frames: clip.n_frames,
                fps: self.fps,
                expected: self.n_frames,
            };
            return (index == 0).then_some(Err(short));
        }
        let start_secs = clip.times_secs.first().copied().unwrap_or_default();
        let frames = Frames::new(clip.frames, clip.n_frames, clip.height, clip.width)?;
        Some(Ok(Clip { frames, index, start_secs }))
    }
}
