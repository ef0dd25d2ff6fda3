//! The sample clip: rendered here, written and read through `egom2p-video`.

use std::{
    io::BufReader,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context, Result};
use egom2p_video_protocol::{End, Frame, Record, read_header, read_record, write_frame, write_header, write_record};

use super::scene::Scene;
use crate::console::failure;

/// Width of the clip in pixels; wider than high, so that the crop to a square is seen at work.
const WIDTH: u32 = 384;
/// Height of the clip in pixels.
const HEIGHT: u32 = 288;
/// Frames per second; other than the model's, so that resampling is seen at work.
const FPS: u32 = 30;
/// Length of the clip, that of one clip of the model.
const SECS: u32 = 2;
/// Rays per pixel along each axis.
const RAYS: u32 = 2;

/// Renders the clip and writes it as H.264.
pub(super) fn render(mut program: Command, path: &Path) -> Result<()> {
    program
        .args(["write", "--codec", "h264", "--fps", &FPS.to_string(), "--size", &format!("{WIDTH}x{HEIGHT}"), "--"])
        .arg(path);
    let mut child = start(&mut program)?;
    let unwritable = || format!("the sample clip {} cannot be written\nsee the message above", path.display());
    let n_frames = FPS * SECS;
    if let Some(mut frames) = child.stdin.take() {
        write_header(&mut frames).with_context(unwritable)?;
        for index in 0..n_frames {
            let rgb = rendered(&Scene::at(index as f32 / (n_frames - 1) as f32));
            write_frame(&mut frames, f64::from(index) / f64::from(FPS), WIDTH, HEIGHT, &rgb)
                .with_context(unwritable)?;
        }
        let n_frames = u64::from(n_frames);
        write_record(&mut frames, &Record::End(End { n_frames, n_source_frames: n_frames }))
            .with_context(unwritable)?;
    }
    let status = child.wait().with_context(unwritable)?;
    if status.success() {
        Ok(())
    } else {
        Err(failure(format_args!("the sample clip {} cannot be written", path.display()), "see the message above"))
    }
}

/// Reads the frames of a clip as the model sees them in time: 8 per second, the centred square, at the given side.
pub(super) fn read(mut program: Command, path: &Path, side: u32) -> Result<Vec<Frame>> {
    program.args(["read", "--fps", "8", "--crop", "center", "--size", &side.to_string(), "--"]).arg(path);
    let mut child = start(&mut program)?;
    let unreadable = || format!("the sample clip {} cannot be read back\nsee the message above", path.display());
    let mut frames = Vec::new();
    if let Some(output) = child.stdout.take() {
        let mut records = BufReader::new(output);
        read_header(&mut records).with_context(unreadable)?;
        loop {
            match read_record(&mut records).with_context(unreadable)? {
                Record::Frame(frame) => frames.push(frame),
                Record::Information(_) => {}
                Record::End(_) => break,
                Record::Failure(why) => return Err(failure(why.what, why.mend)),
            }
        }
    }
    child.wait().with_context(unreadable)?;
    Ok(frames)
}

fn start(program: &mut Command) -> Result<Child> {
    let started = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    started.with_context(|| format!("{} cannot be started\nbuild it again", program.get_program().display()))
}

/// One frame as RGB bytes `[height, width, 3]`; rows are shared out among the machine's cores.
fn rendered(scene: &Scene) -> Vec<u8> {
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    let row_bytes = WIDTH as usize * 3;
    let n_rows = (HEIGHT as usize).div_ceil(n_threads);
    let mut rgb = vec![0; row_bytes * HEIGHT as usize];
    thread::scope(|scope| {
        for (part, rows) in rgb.chunks_mut(n_rows * row_bytes).enumerate() {
            scope.spawn(move || {
                for (row, bytes) in rows.chunks_exact_mut(row_bytes).enumerate() {
                    for (column, pixel) in bytes.chunks_exact_mut(3).enumerate() {
                        pixel.copy_from_slice(&pixel_of(scene, column as u32, (part * n_rows + row) as u32));
                    }
                }
            });
        }
    });
    rgb
}

fn pixel_of(scene: &Scene, column: u32, row: u32) -> [u8; 3] {
    let half = HEIGHT as f32 / 2.0;
    let mut sums = [0f32; 3];
    for ray in 0..RAYS * RAYS {
        let offset = |index: u32| (index as f32 + 0.5) / RAYS as f32;
        let x = (column as f32 + offset(ray % RAYS) - WIDTH as f32 / 2.0) / half;
        let y = (half - row as f32 - offset(ray / RAYS)) / half;
        let colour = scene.colour(x, y);
        for (sum, value) in sums.iter_mut().zip([colour.0, colour.1, colour.2]) {
            *sum += value.clamp(0.0, 1.0);
        }
    }
    // Screens expect light raised to 1 / 2.2.
    sums.map(|sum| ((sum / (RAYS * RAYS) as f32).powf(1.0 / 2.2) * 255.0).round() as u8)
}
