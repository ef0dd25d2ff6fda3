//! The sample clip as a video, written through `egom2p-video`.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use egom2p_video_protocol::{End, Record, write_frame, write_header, write_record};

use super::sample::{FPS, Sample};
use crate::console::failure;

/// Writes the clip without loss.
pub(super) fn write(sample: &Sample, mut program: Command, path: &Path) -> Result<()> {
    let size = format!("{0}x{0}", sample.side);
    program.args(["write", "--codec", "ffv1", "--fps", &FPS.to_string(), "--size", &size, "--"]).arg(path);
    let started = program.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut child =
        started.with_context(|| format!("{} cannot be started\nbuild it again", program.get_program().display()))?;
    let unwritable = || format!("the sample clip {} cannot be written\nsee the message above", path.display());
    if let Some(mut stream) = child.stdin.take() {
        write_frames(sample, &mut stream).with_context(unwritable)?;
    }
    if child.wait().with_context(unwritable)?.success() {
        Ok(())
    } else {
        Err(failure(format_args!("the sample clip {} cannot be written", path.display()), "see the message above"))
    }
}

fn write_frames(sample: &Sample, stream: &mut impl Write) -> Result<()> {
    let side = u32::try_from(sample.side)?;
    write_header(stream)?;
    for (index, rgb) in sample.frames.iter().enumerate() {
        write_frame(stream, index as f64 / FPS, side, side, rgb)?;
    }
    let n_frames = sample.frames.len() as u64;
    write_record(stream, &Record::End(End { n_frames, n_source_frames: n_frames }))?;
    Ok(())
}
