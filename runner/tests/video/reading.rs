//! What whole videos give.

use std::{fs, path::Path};

use egom2p::video::{Codec, Crop, ReadOptions, VideoProgram, WriteOptions};
use safetensors::SafeTensors;

use crate::{goldens, index_of, matroska, picture, program};

/// The options of a preset of 8 frames per second and square frames.
fn preset(side: u32) -> ReadOptions {
    ReadOptions { fps: Some(8.0), size: Some((side, side)), crop: Crop::Center, ..ReadOptions::default() }
}

/// A lossless video of `n_frames` numbered pictures.
fn numbered(program: &VideoProgram, path: &Path, n_frames: usize, fps: f64, (width, height): (u32, u32)) {
    let options = WriteOptions { fps, width, height, codec: Codec::Ffv1 };
    let mut writer = program.create(path, &options).expect("the video can be started");
    for index in 0..n_frames {
        writer.push(&picture(index, width, height)).expect("the frame can be written");
    }
    writer.finish().expect("the video can be finished");
}

#[test]
fn a_clip_of_the_right_size_and_rate_passes_bit_for_bit() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("clip.mkv");
    numbered(&program, &path, 16, 8.0, (64, 64));
    let mut clips = program.read(&path, &preset(64)).expect("the video is whole").clips(16);
    let clip = clips.next().expect("one clip").expect("which is whole");
    assert_eq!((clip.n_frames, clip.height, clip.width, clip.fps.to_bits()), (16, 64, 64, 8f64.to_bits()));
    let expected: Vec<u8> = (0..16).flat_map(|index| picture(index, 64, 64)).collect();
    assert!(clip.frames == expected, "frames differ");
    assert_eq!(clip.times_secs, (0..16).map(|index| f64::from(index) / 8.0).collect::<Vec<_>>());
    assert!(clips.next().is_none());
}

#[test]
fn the_published_clip_decodes_to_the_published_frames() {
    let (Some(program), Some(goldens)) = (program(), goldens()) else { return };
    let video = goldens.join("../clips/rgb2dep_h2o.mp4");
    let bytes = fs::read(goldens.join("video_tokenizer_real16.safetensors")).expect("the golden is readable");
    let tensors = SafeTensors::deserialize(&bytes).expect("the golden is a safetensors file");
    let expected = tensors.tensor("video").expect("the golden has the frames");
    let clip = program.read(&video, &preset(256)).expect("the clip is whole").clips(16).next();
    let clip = clip.expect("one clip").expect("which is whole");
    assert_eq!(expected.shape(), [clip.n_frames, clip.height, clip.width, 3]);
    assert!(clip.frames == expected.data(), "frames differ");
}

#[test]
fn a_long_video_gives_clips_and_a_short_last_one() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("long.mkv");
    numbered(&program, &path, 27, 8.0, (32, 32));
    let clips = program.read(&path, &preset(32)).expect("the video is whole").clips(8);
    assert_eq!(clips.information().n_announced_frames, 27);
    let clips: Vec<_> = clips.map(|clip| clip.expect("the video is whole")).collect();
    assert_eq!(clips.iter().map(|clip| clip.n_frames).collect::<Vec<_>>(), [8, 8, 8, 3]);
    assert_eq!(clips[3].times_secs, [3.0, 3.125, 3.25]);
    assert_eq!(index_of(&clips[3].frames), 24);
}

#[test]
fn three_frames_are_three_frames() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("short.mkv");
    numbered(&program, &path, 3, 8.0, (32, 32));
    let clips: Vec<_> = program.read(&path, &preset(32)).expect("the video is whole").clips(16).collect();
    assert_eq!(clips.len(), 1);
    assert_eq!(clips[0].as_ref().expect("the video is whole").n_frames, 3);
}

#[test]
fn thirty_frames_per_second_are_resampled_by_time() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("thirty.mkv");
    numbered(&program, &path, 24, 30.0, (32, 32));
    let frames: Vec<_> =
        program.read(&path, &preset(32)).expect("the video is whole").map(|frame| frame.expect("whole")).collect();
    // Instant k shows the last frame before (k + 1/2) / 8 seconds, and the video ends after 24 / 30 = 6.4 / 8 seconds.
    assert_eq!(frames.iter().map(|frame| index_of(&frame.rgb)).collect::<Vec<_>>(), [1, 5, 9, 13, 16, 20]);
    let limited = ReadOptions { max_frames: Some(2), start_secs: 0.25, ..preset(32) };
    let frames: Vec<_> =
        program.read(&path, &limited).expect("the video is whole").map(|frame| frame.expect("whole")).collect();
    assert_eq!(
        frames.iter().map(|frame| (frame.time_secs, index_of(&frame.rgb))).collect::<Vec<_>>(),
        [(0.25, 9), (0.375, 13)]
    );
}

#[test]
fn a_variable_rate_keeps_the_frame_of_each_instant() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("variable.mkv");
    let pictures: Vec<_> = [0, 40, 500, 625, 1000].into_iter().zip((0..).map(|index| picture(index, 16, 16))).collect();
    matroska::write(&path, (16, 16), &pictures, 1375);
    let frames = program.read(&path, &ReadOptions::default()).expect("the video is whole");
    let times: Vec<_> = frames.map(|frame| frame.expect("whole").time_secs).collect();
    assert_eq!(times, [0.0, 0.04, 0.5, 0.625, 1.0]);
    let frames = program.read(&path, &preset(16)).expect("the video is whole");
    let indices: Vec<_> = frames.map(|frame| index_of(&frame.expect("whole").rgb)).collect();
    assert_eq!(indices, [1, 1, 1, 1, 2, 3, 3, 3, 4, 4, 4]);
}

#[test]
fn an_odd_size_keeps_its_pixels_and_its_centre() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("odd.mkv");
    let pictures: Vec<_> = (0..4).map(|index| (index as u64 * 125, picture(index, 37, 21))).collect();
    matroska::write(&path, (37, 21), &pictures, 500);
    let frames: Vec<_> = program
        .read(&path, &ReadOptions::default())
        .expect("the video is whole")
        .map(|frame| frame.expect("whole"))
        .collect();
    assert_eq!(frames.len(), 4);
    assert_eq!((frames[1].width, frames[1].height), (37, 21));
    assert!(frames[1].rgb == picture(1, 37, 21), "frames differ");
    let square = ReadOptions { crop: Crop::Center, ..ReadOptions::default() };
    let frame = program.read(&path, &square).expect("the video is whole").next().expect("a frame").expect("whole");
    assert_eq!((frame.width, frame.height), (21, 21));
    assert_eq!(frame.rgb[..3], picture(0, 37, 21)[8 * 3..9 * 3]);
    let scaled = program.read(&path, &preset(64)).expect("the video is whole").next().expect("a frame").expect("whole");
    assert_eq!((scaled.width, scaled.height), (64, 64));
}

#[test]
fn probing_states_what_the_container_says() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("clip.mkv");
    numbered(&program, &path, 12, 24.0, (64, 32));
    let information = program.probe(&path).expect("the video is whole");
    assert_eq!((information.source_width, information.source_height, information.n_announced_frames), (64, 32, 12));
    assert!((information.source_fps - 24.0).abs() < 0.01, "{}", information.source_fps);
}
