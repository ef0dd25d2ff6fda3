//! What written videos look like, and what is left of those that fail.

use std::{fs, path::Path};

use egom2p::video::{Codec, ReadOptions, VideoError, WriteOptions};

use crate::{assert_two_lines, picture, program};

fn options(codec: Codec) -> WriteOptions {
    WriteOptions { fps: 8.0, width: 64, height: 48, codec }
}

fn n_files(folder: &Path) -> usize {
    fs::read_dir(folder).expect("the folder is readable").count()
}

#[test]
fn lossy_videos_keep_size_rate_and_nearly_the_pixels() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    for codec in [Codec::H264, Codec::Mpeg4] {
        let path = folder.path().join(format!("{codec:?}.mp4"));
        let mut writer = program.create(&path, &options(codec)).expect("the video can be started");
        for index in 0..16 {
            writer.push(&picture(index, 64, 48)).expect("the frame can be written");
        }
        assert!(!path.exists(), "the video has its name before it is whole");
        writer.finish().expect("the video can be finished");
        let reader = program.read(&path, &ReadOptions::default()).expect("the video is whole");
        assert_eq!((reader.information().width, reader.information().height), (64, 48));
        assert!((reader.information().fps - 8.0).abs() < 1e-6);
        let frames: Vec<_> = reader.map(|frame| frame.expect("the video is whole")).collect();
        assert_eq!(frames.len(), 16);
        let expected = picture(9, 64, 48);
        let difference: u64 =
            frames[9].rgb.iter().zip(&expected).map(|(got, wanted)| u64::from(got.abs_diff(*wanted))).sum();
        let mean = difference as f64 / expected.len() as f64;
        assert!(mean < 8.0, "{codec:?} loses {mean} levels of 255 a pixel");
    }
    assert_eq!(n_files(folder.path()), 2);
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut writer =
        program.create(&folder.path().join("clip.mp4"), &options(Codec::H264)).expect("the video can be started");
    writer.push(&picture(0, 64, 48)).expect("the frame can be written");
    drop(writer);
    assert_eq!(n_files(folder.path()), 0);
}

#[test]
fn a_video_without_frames_is_refused() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let writer =
        program.create(&folder.path().join("clip.mp4"), &options(Codec::H264)).expect("the video can be started");
    let error = writer.finish().expect_err("there are no frames");
    assert_two_lines(&error);
    assert!(error.to_string().contains("would have no frames"), "{error}");
    assert_eq!(n_files(folder.path()), 0);
}

#[test]
fn what_cannot_be_written_is_said() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let failure = |name: &str, options: &WriteOptions| {
        let outcome = program.create(&folder.path().join(name), options).and_then(|mut writer| {
            writer.push(&vec![0; options.width as usize * options.height as usize * 3])?;
            writer.finish()
        });
        let error = outcome.expect_err("this cannot be written");
        assert_two_lines(&error);
        error.to_string()
    };
    assert!(failure("missing/clip.mp4", &options(Codec::H264)).contains("cannot be written"));
    assert!(failure("clip.mp4", &options(Codec::Ffv1)).contains("a container that holds FFV1"));
    assert!(failure("clip.mp4", &WriteOptions { width: 63, ..options(Codec::H264) }).contains("expected even sides"));
    assert!(failure("clip.txt", &options(Codec::H264)).contains("clip.txt"));
    assert_eq!(n_files(folder.path()), 0);
}

#[test]
fn frames_of_another_size_are_refused() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut writer =
        program.create(&folder.path().join("clip.mp4"), &options(Codec::H264)).expect("the video can be started");
    let error = writer.push(&[0; 12]).expect_err("the frame is too small");
    assert!(matches!(error, VideoError::FrameBytes { expected: 9216, found: 12, .. }), "{error}");
}
