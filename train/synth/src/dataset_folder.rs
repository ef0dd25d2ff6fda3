use std::fs::{self, File};
use std::io::{self, Write};
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::{process, thread};

use egom2p_model::Modality;

use crate::clip::Clip;
use crate::depth_video::DepthVideo;
use crate::error::{Result, SynthError};
use crate::manifest::manifest;
use crate::npz::{Npz, Values};
use crate::settings::{Settings, Split};

/// The file that says what a folder of datasets is; it appears when all its clips are there.
pub const MANIFEST_FILE: &str = "synth.json";
/// The manifest's name while clips are missing.
const UNFINISHED_FILE: &str = "synth-unfinished.json";
/// How the names of files begin that are not whole.
const PARTIAL: &str = ".partial-";

/// How far writing has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Clips that are whole.
    pub done: usize,
    /// Those among them that were there before.
    pub kept: usize,
    /// Clips of all splits and datasets.
    pub total: usize,
}

/// Writes all datasets of the settings as `FOLDER/SPLIT/DATASET/MODALITY/CLIP.npz` with the array `arr_0` each, and a
/// manifest ([`MANIFEST_FILE`]) that says what the arrays mean. `MODALITY` is `rgb`, `depth`, `cam` or `gaze`, as in the
/// published layout; what a dataset lacks has no folder.
///
/// The folder is new, empty, or one that an interrupted call with the same settings has left: clips that are whole are then
/// kept. `progress` is called on this thread after every clip and may stop the work. One process writes a folder at a time,
/// on `n_threads` threads, whose number does not change a byte.
pub fn write_dataset(
    settings: &Settings,
    folder: &Path,
    n_threads: NonZero<usize>,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<()> {
    settings.validate()?;
    let unfinished = begin(settings, folder)?;
    let parts = Part::all(settings, folder);
    for (_, folder) in parts.iter().flat_map(|part| &part.folders) {
        make_folder(folder).map_err(SynthError::write(folder))?;
    }
    let mut state = Progress { done: 0, kept: 0, total: parts.iter().map(|part| part.n_clips).sum() };
    let (next, is_stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut failure = None;
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..n_threads.get().min(state.total) {
            let (sender, parts, next, is_stopped) = (sender.clone(), &parts, &next, &is_stopped);
            scope.spawn(move || work(settings, parts, next, is_stopped, &sender));
        }
        // The receiver ends when the last worker does.
        drop(sender);
        for outcome in receiver {
            let stops = match outcome {
                Ok(was_there) => {
                    state.done += 1;
                    state.kept += usize::from(was_there);
                    progress(state).is_break()
                }
                Err(error) => {
                    failure.get_or_insert(error);
                    true
                }
            };
            if stops {
                is_stopped.store(true, Ordering::Relaxed);
            }
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    if state.done < state.total {
        return Err(SynthError::Stopped { done: state.done, total: state.total });
    }
    if unfinished.exists() {
        let manifest = folder.join(MANIFEST_FILE);
        fs::rename(&unfinished, &manifest).map_err(SynthError::write(&manifest))?;
    }
    Ok(())
}

/// One split of one dataset.
struct Part {
    dataset: usize,
    split: Split,
    n_clips: usize,
    folders: Vec<(Modality, PathBuf)>,
}

impl Part {
    fn all(settings: &Settings, folder: &Path) -> Vec<Self> {
        let parts =
            Split::ALL.into_iter().flat_map(|split| (0..settings.datasets.len()).map(move |number| (split, number)));
        let part = |(split, number): (Split, usize)| {
            let dataset = &settings.datasets[number];
            let root = folder.join(split.name()).join(&dataset.name);
            let folders = dataset.modalities.iter().map(|modality| (*modality, root.join(folder_name(*modality))));
            Self { dataset: number, split, n_clips: dataset.n_clips(split), folders: folders.collect() }
        };
        // A part without clips has no folders either.
        parts.map(part).filter(|part| part.n_clips > 0).collect()
    }

    /// Makes what is missing of a clip; whether nothing was.
    fn complete(&self, settings: &Settings, index: usize) -> Result<bool> {
        let files = self.folders.iter().map(|(modality, folder)| (modality, folder.join(format!("{index:08}.npz"))));
        let missing: Vec<_> = files.filter(|(_, path)| !path.exists()).collect();
        if missing.is_empty() {
            return Ok(true);
        }
        let clip = Clip::new(settings, self.dataset, self.split, index)?;
        for (modality, path) in missing {
            let written = archive(settings, &clip, *modality).and_then(|bytes| write_whole(&path, &bytes));
            written.map_err(SynthError::write(&path))?;
        }
        Ok(false)
    }
}

/// Checks that the folder is free or holds a part of the same, and gives the path of the unfinished manifest.
fn begin(settings: &Settings, folder: &Path) -> Result<PathBuf> {
    let text = manifest(settings).map_err(|error| SynthError::write(folder)(error.into()))?;
    fs::create_dir_all(folder).map_err(SynthError::write(folder))?;
    let unfinished = folder.join(UNFINISHED_FILE);
    for path in [folder.join(MANIFEST_FILE), unfinished.clone()] {
        if path.exists() {
            let found = fs::read(&path).map_err(SynthError::write(&path))?;
            if found != text.as_bytes() {
                return Err(SynthError::Occupied { path: folder.to_owned(), found: "datasets of other settings" });
            }
            return Ok(unfinished);
        }
    }
    // All that a process can have left before it had a manifest is the manifest's partial file.
    let is_ours = |name: &str| name.starts_with(PARTIAL) && name.ends_with(UNFINISHED_FILE);
    let mut entries = fs::read_dir(folder).map_err(SynthError::write(folder))?;
    if entries.any(|entry| !entry.is_ok_and(|entry| is_ours(&entry.file_name().to_string_lossy()))) {
        return Err(SynthError::Occupied { path: folder.to_owned(), found: "something else" });
    }
    make_folder(folder).map_err(SynthError::write(folder))?;
    write_whole(&unfinished, text.as_bytes()).map_err(SynthError::write(&unfinished))?;
    Ok(unfinished)
}

/// Makes a folder, or removes from it what a killed process has left.
fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Takes clips until none is left or someone stops.
fn work(
    settings: &Settings,
    parts: &[Part],
    next: &AtomicUsize,
    is_stopped: &AtomicBool,
    sender: &Sender<Result<bool>>,
) {
    while !is_stopped.load(Ordering::Relaxed) {
        let Some((part, index)) = find(parts, next.fetch_add(1, Ordering::Relaxed)) else { break };
        let outcome = part.complete(settings, index);
        let has_failed = outcome.is_err();
        if sender.send(outcome).is_err() || has_failed {
            break;
        }
    }
}

/// A clip by its number over all parts.
fn find(parts: &[Part], mut number: usize) -> Option<(&Part, usize)> {
    for part in parts {
        if number < part.n_clips {
            return Some((part, number));
        }
        number -= part.n_clips;
    }
    None
}

/// The bytes of one modality's file.
fn archive(settings: &Settings, clip: &Clip, modality: Modality) -> io::Result<Vec<u8>> {
    let [frames, height, width] = [settings.frames, settings.height, settings.width];
    let npz = match modality {
        Modality::Rgb => Npz::new().add("arr_0", &[frames, height, width, 3], Values::U8(&clip.rgb))?,
        Modality::Depth => {
            let video = DepthVideo::new(clip);
            Npz::new()
                .add("arr_0", &[frames, height, width], Values::U8(&video.values))?
                .add("metres", &[frames, height, width], Values::F32(&clip.depth))?
                .add("inverse_range", &[2], Values::F64(&video.inverse_range))?
        }
        Modality::Camera => Npz::new()
            .add("arr_0", &[settings.samples, 4, 4], Values::F64(clip.poses.as_flattened()))?
            .add("frame_poses", &[frames, 4, 4], Values::F64(clip.frame_poses.as_flattened()))?,
        Modality::Gaze => Npz::new().add("arr_0", &[settings.samples, 2], Values::F64(clip.gaze.as_flattened()))?,
    };
    npz.finish()
}

/// The published folder of a modality: its key without `tok_`.
fn folder_name(modality: Modality) -> &'static str {
    let key = modality.published_key();
    key.strip_prefix("tok_").unwrap_or(key)
}

/// Writes a file beside its place, waits until it is on disk, and renames it.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!("{PARTIAL}{}-{name}", process::id()));
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&partial, path));
    if renamed.is_err() {
        // The first error is the one that counts.
        _ = fs::remove_file(&partial);
    }
    renamed
}
