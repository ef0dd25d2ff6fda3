//! Videos through the process `egom2p-video`, whole and broken. Skipped where it is not built.

mod broken;
mod matroska;
mod reading;
mod writing;

use std::{env, path::PathBuf};

use egom2p::video::{PROGRAM_NAME, ReadOptions, VideoError, VideoProgram};

/// The video program that the workspace builds beside the test programs, or a line that says that it is missing.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn program() -> Option<VideoProgram> {
    let path = env::current_exe().ok()?.parent()?.parent()?.join(PROGRAM_NAME);
    if !path.is_file() {
        eprintln!("skipped: build {PROGRAM_NAME} with \"cargo build -p {PROGRAM_NAME}\" to test videos");
        return None;
    }
    Some(VideoProgram::at(path))
}

/// The goldens of the published code, where they are present, or a line that says that they are not.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn goldens() -> Option<PathBuf> {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent()?.to_path_buf();
    let folder = env::var_os("EGOM2P_GOLDEN_DIR").map_or_else(|| workspace.join("../shared/golden"), PathBuf::from);
    if !folder.is_dir() {
        eprintln!("skipped: set EGOM2P_GOLDEN_DIR to the folder of the published code's goldens");
        return None;
    }
    Some(folder)
}

/// A picture that no other index has: gradients with the index in them.
fn picture(index: usize, width: u32, height: u32) -> Vec<u8> {
    let pixel = |x: u32, y: u32| [(x * 3) as u8, (y * 5) as u8, (index * 9 + 7) as u8];
    (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect()
}

/// The index that [`picture`] put into a frame.
fn index_of(rgb: &[u8]) -> usize {
    (usize::from(rgb[2]) - 7) / 9
}

/// The first error of a video that is read to its end.
fn error_of(program: &VideoProgram, path: &std::path::Path, options: &ReadOptions) -> VideoError {
    match program.read(path, options) {
        Err(error) => error,
        Ok(mut reader) => reader.find_map(Result::err).expect("this video is broken"),
    }
}

/// Every error is one line what and one line how to mend it.
fn assert_two_lines(error: &VideoError) {
    let text = error.to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
}
