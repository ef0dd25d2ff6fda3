//! Folders of datasets: what is in them, and what becomes of them when something goes wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::Path;

use egom2p_model::{Modality, Preset};
use egom2p_synth::{Clip, DepthVideo, MANIFEST_FILE, Progress, Settings, Split, SynthError, write_dataset};

fn settings(seed: u64) -> Settings {
    let settings = Settings::for_model(&Preset::Tiny.config(), seed, 10);
    Settings { frames: 2, height: 16, width: 24, samples: 6, rays: 1, ..settings }
}

fn write(settings: &Settings, folder: &Path, n_threads: usize) -> Result<Progress, SynthError> {
    let mut last = Progress { done: 0, kept: 0, total: 0 };
    let n_threads = NonZero::new(n_threads).expect("a thread");
    write_dataset(settings, folder, n_threads, |progress| {
        assert!(progress.done == last.done + 1 && progress.done <= progress.total);
        last = progress;
        ControlFlow::Continue(())
    })?;
    Ok(last)
}

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("a file below").to_string_lossy().into_owned();
                found.insert(name, fs::read(path).expect("a file"));
            }
        }
    }
    found
}

/// The header and the data of an array of an archive.
fn array(path: &Path, name: &str) -> (String, Vec<u8>) {
    let mut archive = zip::ZipArchive::new(fs::File::open(path).expect("a file")).expect("an archive");
    let mut bytes = Vec::new();
    archive.by_name(&format!("{name}.npy")).expect("the array").read_to_end(&mut bytes).expect("a whole member");
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((start % 64, bytes[start - 1]), (0, b'\n'));
    (String::from_utf8_lossy(&bytes[10..start]).trim_end().to_owned(), bytes.split_off(start))
}

#[test]
fn the_same_settings_give_the_same_bytes() {
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    write(&settings(1), folders[0].path(), 1).expect("room");
    write(&settings(1), folders[1].path(), 3).expect("room");
    write(&settings(2), folders[2].path(), 2).expect("room");
    let [first, same, other] = folders.map(|folder| files(folder.path()));
    assert!(first == same, "two threads change nothing");
    assert!(first.keys().eq(other.keys()) && first.values().zip(other.values()).all(|(a, b)| a != b));
}

#[test]
fn datasets_hold_what_they_should_and_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(1);
    let progress = write(&settings, folder.path(), 2).expect("room");
    // 4 + 2 + 5 clips, one each for validation.
    assert_eq!((progress.done, progress.total), (14, 14));
    let mut expected = vec![MANIFEST_FILE.to_owned()];
    for (dataset, modalities, n_clips) in
        [("rooms", "rgb depth cam gaze", 4), ("walks", "rgb depth cam", 2), ("tasks", "rgb gaze cam", 5)]
    {
        for modality in modalities.split(' ') {
            expected.extend((0..n_clips).map(|index| format!("train/{dataset}/{modality}/{index:08}.npz")));
            expected.push(format!("val/{dataset}/{modality}/00000000.npz"));
        }
    }
    expected.sort();
    assert!(files(folder.path()).into_keys().eq(expected));
    assert!(!folder.path().join("train/tasks/depth").exists() && !folder.path().join("train/walks/gaze").exists());
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join(MANIFEST_FILE)).expect("a file")).expect("JSON");
    let written: Settings = serde_json::from_value(manifest["settings"].clone()).expect("settings");
    assert_eq!(written, settings);
    assert_eq!(written.datasets[1].modalities, [Modality::Rgb, Modality::Depth, Modality::Camera]);
}

#[test]
fn arrays_are_those_of_the_clip() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(3);
    write(&settings, folder.path(), 1).expect("room");
    let clip = Clip::new(&settings, 0, Split::Training, 2).expect("a dataset");
    let path = |modality: &str| folder.path().join(format!("train/rooms/{modality}/00000002.npz"));
    let header =
        |descr: &str, shape: &str| format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let f64s = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let video = DepthVideo::new(&clip);
    let metres = clip.depth.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(array(&path("rgb"), "arr_0"), (header("|u1", "2, 16, 24, 3"), clip.rgb.clone()));
    assert_eq!(array(&path("depth"), "arr_0"), (header("|u1", "2, 16, 24"), video.values));
    assert_eq!(array(&path("depth"), "metres"), (header("<f4", "2, 16, 24"), metres));
    assert_eq!(array(&path("depth"), "inverse_range"), (header("<f8", "2,"), f64s(&video.inverse_range)));
    assert_eq!(array(&path("cam"), "arr_0"), (header("<f8", "6, 4, 4"), f64s(clip.poses.as_flattened())));
    assert_eq!(array(&path("cam"), "frame_poses"), (header("<f8", "2, 4, 4"), f64s(clip.frame_poses.as_flattened())));
    assert_eq!(array(&path("gaze"), "arr_0"), (header("<f8", "6, 2"), f64s(clip.gaze.as_flattened())));
}

#[test]
fn a_stopped_run_goes_on() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let (settings, one) = (settings(4), NonZero::<usize>::MIN);
    let stop = |progress: Progress| if progress.done == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let stopped = write_dataset(&settings, folders[0].path(), one, stop).expect_err("stopped");
    assert!(matches!(stopped, SynthError::Stopped { total: 14, done } if done >= 5), "{stopped}");
    assert!(!folders[0].path().join(MANIFEST_FILE).exists());
    // What a process leaves that is killed while it writes, and a clip that lacks a modality.
    fs::write(folders[0].path().join("train/rooms/rgb/.partial-1-00000003.npz"), "half").expect("room");
    fs::remove_file(folders[0].path().join("train/rooms/cam/00000000.npz")).expect("a file");
    let progress = write(&settings, folders[0].path(), 2).expect("room");
    assert!(progress.done == 14 && (4..14).contains(&progress.kept), "{progress:?}");
    write(&settings, folders[1].path(), 1).expect("room");
    assert!(files(folders[0].path()) == files(folders[1].path()));
    // Once more does nothing.
    assert_eq!(write(&settings, folders[0].path(), 1).expect("room"), Progress { done: 14, kept: 14, total: 14 });
}

#[test]
fn other_folders_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("thesis.tex"), "years of work").expect("room");
    let before = files(folder.path());
    assert!(matches!(write(&settings(1), folder.path(), 1), Err(SynthError::Occupied { .. })));
    assert!(files(folder.path()) == before);
    let folder = tempfile::tempdir().expect("a folder");
    write(&settings(1), folder.path(), 1).expect("room");
    let before = files(folder.path());
    assert!(matches!(write(&settings(2), folder.path(), 1), Err(SynthError::Occupied { .. })));
    assert!(files(folder.path()) == before);
    let file = folder.path().join(MANIFEST_FILE);
    assert!(matches!(write(&settings(1), &file, 1), Err(SynthError::Write { .. })));
}

#[test]
fn bad_settings_are_refused_in_two_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = |name: &str| {
        let mut settings = settings(1);
        name.clone_into(&mut settings.datasets[1].name);
        settings
    };
    let mut gaze = settings(1);
    gaze.gaze.invalid_share = f64::NAN;
    let mut twice = settings(1);
    twice.datasets[0].modalities.push(Modality::Rgb);
    let mut none = settings(1);
    none.datasets[0].modalities.clear();
    let vast = Settings { frames: 1000, height: 4096, width: 4096, ..settings(1) };
    let huge = Settings { frames: usize::MAX, ..settings(1) };
    for (settings, expected) in [
        (name("../up"), "name is \"../up\""),
        (name(""), "name is \"\""),
        (name("Rooms"), "name is \"Rooms\" twice"),
        (gaze, "gaze.invalid_share is NaN"),
        (twice, "modalities is [\"rgb\", \"depth\", \"camera\", \"gaze\", \"rgb\"]"),
        (none, "modalities is []"),
        (vast, "frames x height x width is 16777216000, expected 1 to 268435456"),
        (huge, "frames is 18446744073709551615, expected 1 to 10000"),
    ] {
        let message = write(&settings, folder.path(), 1).expect_err(expected).to_string();
        assert!(message.contains(expected) && message.lines().count() == 2, "{message}");
    }
    assert!(files(folder.path()).is_empty());
}
