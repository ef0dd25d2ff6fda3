//! Files that are not videos, damaged videos and dying programs: one clear error each.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use egom2p::video::{Codec, ReadOptions, VideoError, VideoProgram, WriteOptions};

use crate::{assert_two_lines, error_of, matroska, picture, program};

#[test]
fn files_that_are_not_videos_are_refused() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = folder.path().join("text.mp4");
    fs::write(&text, "this is no video\n".repeat(50)).expect("the folder is writable");
    let empty = folder.path().join("empty.mp4");
    fs::write(&empty, "").expect("the folder is writable");
    for (path, expected) in [
        (text, "text.mp4 is not a video that OpenCV"),
        (empty, "empty.mp4 is an empty file"),
        (folder.path().join("missing.mp4"), "missing.mp4 cannot be opened: No such file"),
        (folder.path().to_path_buf(), "is not a regular file"),
        (PathBuf::from("http://127.0.0.1:9/clip.mp4"), "cannot be opened: No such file"),
    ] {
        let error = error_of(&program, &path, &ReadOptions::default());
        assert!(matches!(error, VideoError::Failed { .. }), "{error:?}");
        assert_two_lines(&error);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_video_without_frames_is_refused() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("none.mkv");
    matroska::write(&path, (16, 16), &[], 0);
    let error = error_of(&program, &path, &ReadOptions::default());
    assert_two_lines(&error);
    assert!(matches!(error, VideoError::Failed { .. }), "{error:?}");
}

#[test]
fn a_start_after_the_end_is_refused() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("short.mkv");
    matroska::write(&path, (16, 16), &[(0, picture(0, 16, 16)), (125, picture(1, 16, 16))], 250);
    let error = error_of(&program, &path, &ReadOptions { fps: Some(8.0), start_secs: 9.0, ..ReadOptions::default() });
    assert!(error.to_string().contains("has no frame at 9 seconds: it ends at 0.250 seconds"), "{error}");
}

#[test]
fn a_cut_video_is_refused_after_its_last_frame() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let whole: Vec<_> = (0..16).map(|index| (index as u64 * 125, picture(index, 64, 64))).collect();
    let path = folder.path().join("cut.mkv");
    matroska::write(&path, (64, 64), &whole, 2000);
    let bytes = fs::read(&path).expect("the video was written");
    fs::write(&path, &bytes[..bytes.len() / 2]).expect("the folder is writable");
    let error = error_of(&program, &path, &ReadOptions::default());
    assert_two_lines(&error);
    assert!(error.to_string().contains("of 16: it is cut off or damaged"), "{error}");
    let first = ReadOptions { max_frames: Some(5), ..ReadOptions::default() };
    assert_eq!(program.read(&path, &first).expect("the start is whole").filter_map(Result::ok).count(), 5);
}

#[test]
fn damaged_bytes_never_kill_the_reader() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("clip.mp4");
    let options = WriteOptions { fps: 8.0, width: 64, height: 64, codec: Codec::H264 };
    let mut writer = program.create(&path, &options).expect("the video can be started");
    for index in 0..16 {
        writer.push(&picture(index, 64, 64)).expect("the frame can be written");
    }
    writer.finish().expect("the video can be finished");
    let whole = fs::read(&path).expect("the video was written");
    for seed in 0..12usize {
        let mut damaged = whole.clone();
        for step in 0..8 {
            let place = (seed * 7919 + step * 104_729 + 17) % damaged.len();
            damaged[place] ^= (seed * 31 + step * 7 + 1) as u8;
        }
        damaged.truncate(whole.len() - seed * whole.len() / 24);
        fs::write(&path, &damaged).expect("the folder is writable");
        // Damage may pass unseen or be refused; frames that arrive are whole, and a refusal is one clear error.
        match program.read(&path, &ReadOptions::default()) {
            Err(error) => assert_two_lines(&error),
            Ok(reader) => {
                let n_bytes = reader.information().width as usize * reader.information().height as usize * 3;
                for frame in reader {
                    match frame {
                        Ok(frame) => assert_eq!(frame.rgb.len(), n_bytes),
                        Err(error) => assert_two_lines(&error),
                    }
                }
            }
        }
    }
}

#[test]
fn a_huge_picture_is_refused_before_it_is_decoded() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("huge.mkv");
    matroska::write(&path, (20_000, 20_000), &[(0, vec![0; 64])], 125);
    let error = error_of(&program, &path, &ReadOptions::default());
    assert_two_lines(&error);
    assert!(matches!(error, VideoError::Failed { .. }), "{error:?}");
}

/// A program in place of the video program.
fn impostor(folder: &Path, script: &str) -> VideoProgram {
    let path = folder.join("impostor");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("the folder is writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    VideoProgram::at(path)
}

#[test]
fn a_decoder_that_crashes_is_one_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let header = r"printf 'EGOVIDEO\001\000\000\000'";
    for (script, expected) in [
        (format!("{header}; kill -SEGV $$"), "the video program died (signal 11) at clip.mp4\n"),
        (
            format!("{header}; echo 'decoder: bad block' >&2; exit 9"),
            "died (exit code 9) at clip.mp4: decoder: bad block\n",
        ),
        (
            "echo 'libopencv_core.so.406: cannot open' >&2; exit 127".to_owned(),
            "died (exit code 127) at clip.mp4: libopencv_core",
        ),
    ] {
        let error = error_of(&impostor(folder.path(), &script), Path::new("clip.mp4"), &ReadOptions::default());
        assert_two_lines(&error);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_stream_that_is_not_ours_is_one_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let header = r"printf 'EGOVIDEO\001\000\000\000'";
    for (script, expected) in [
        ("echo hello from somewhere else".to_owned(), "foreign header"),
        (format!("{header}; printf 'Z'"), "unknown record"),
        (
            format!("{header}; printf 'F\\0\\0\\0\\0\\0\\0\\0\\0\\377\\377\\377\\377\\377\\377\\377\\377'"),
            "out of bounds",
        ),
        (format!("{header}; printf 'E\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0'"), "an end out of place"),
    ] {
        let error = error_of(&impostor(folder.path(), &script), Path::new("clip.mp4"), &ReadOptions::default());
        assert_two_lines(&error);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let program = VideoProgram::at("never started");
    for options in [
        ReadOptions { fps: Some(f64::NAN), ..ReadOptions::default() },
        ReadOptions { fps: Some(1e9), ..ReadOptions::default() },
        ReadOptions { size: Some((0, 64)), ..ReadOptions::default() },
        ReadOptions { size: Some((64, 9000)), ..ReadOptions::default() },
        ReadOptions { start_secs: -1.0, ..ReadOptions::default() },
        ReadOptions { max_frames: Some(0), ..ReadOptions::default() },
    ] {
        let error = error_of(&program, Path::new("clip.mp4"), &options);
        assert!(matches!(error, VideoError::OutOfRange { .. }), "{error:?}");
        assert_two_lines(&error);
    }
}

#[test]
fn a_missing_program_says_how_to_build_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let error = error_of(&VideoProgram::at(folder.path().join("none")), Path::new("clip.mp4"), &ReadOptions::default());
    assert!(matches!(error, VideoError::ProgramNotStarted { .. }), "{error:?}");
    assert_two_lines(&error);
    let error = VideoError::ProgramMissing { searched: folder.path().join("none") };
    assert_two_lines(&error);
    assert!(error.to_string().contains("cargo build --release -p egom2p-video"), "{error}");
}
