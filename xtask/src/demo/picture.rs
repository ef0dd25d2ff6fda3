//! The demo's picture: frames with gaze, depth, and the camera's way, side by side.

use std::path::Path;

use anyhow::Result;
use egom2p_plot::{Canvas, Colour, Curve, Plot};
use egom2p_video_protocol::Frame;

use super::predictions::{Gaze, Pose, Predictions};

const BACKGROUND: Colour = [16, 20, 28];
const TEXT: Colour = [226, 230, 236];
const QUIET: Colour = [136, 146, 160];
const WARNING: Colour = [255, 176, 64];
const GAZE: Colour = [255, 64, 96];
const RED: Colour = [240, 96, 88];
const GREEN: Colour = [104, 208, 120];
const BLUE: Colour = [96, 160, 255];

/// Frames shown of a clip.
const N_COLUMNS: usize = 6;
/// Side of a frame in the picture.
const SIDE: usize = 192;
/// How far from a frame's edge the gaze ring stays in pixels.
const RING: f64 = 13.0;
const GAP: usize = 12;
const MARGIN: usize = 24;
/// Where the rows of frames, of depth and of plots begin.
const ROWS: [usize; 3] = [130, 130 + SIDE + 38, 130 + 2 * SIDE + 38 + 24];
const WIDTH: usize = 2 * MARGIN + N_COLUMNS * SIDE + (N_COLUMNS - 1) * GAP;
const PLOT_HEIGHT: usize = 250;
const HEIGHT: usize = ROWS[2] + PLOT_HEIGHT + MARGIN;

/// Colours of depth from far to near.
const DEPTH: [[f32; 3]; 6] = [
    [12.0, 10.0, 40.0],
    [72.0, 18.0, 110.0],
    [150.0, 38.0, 108.0],
    [222.0, 80.0, 64.0],
    [250.0, 160.0, 50.0],
    [250.0, 244.0, 168.0],
];

/// Draws the predictions beside the frames that they were made from.
pub(super) fn draw(preset: &str, frames: &[Frame], predictions: &Predictions, path: &Path) -> Result<()> {
    let mut canvas = Canvas::new(WIDTH, HEIGHT, BACKGROUND);
    canvas.text((MARGIN, 20), 4, TEXT, "EgoM2P");
    canvas.text((MARGIN + 160, 27), 3, QUIET, "one clip in: depth, gaze and camera out");
    let warning =
        format!("The weights of {preset} are RANDOM: this shows that everything runs, not what the model knows");
    canvas.text((MARGIN, 66), 2, WARNING, &warning);
    label(&mut canvas, ROWS[0], "Input clip (rendered) with predicted gaze");
    label(&mut canvas, ROWS[1], "Predicted depth, near is bright");
    let n_frames = frames.len().min(predictions.depth.len());
    for column in 0..N_COLUMNS.min(n_frames) {
        let index = column * (n_frames - 1) / (N_COLUMNS - 1);
        let left = MARGIN + column * (SIDE + GAP);
        draw_frame(&mut canvas, (left, ROWS[0]), &frames[index], predictions);
        let colours: Vec<u8> = predictions.depth[index].iter().flat_map(|depth| depth_colour(*depth)).collect();
        let (height, width) = predictions.depth_size;
        canvas.square((left, ROWS[1]), SIDE, &colours, (width, height));
    }
    draw_plots(&mut canvas, predictions);
    Ok(canvas.write_png(path)?)
}

fn label(canvas: &mut Canvas, row: usize, text: &str) {
    canvas.text((MARGIN, row - 22), 2, TEXT, text);
}

/// A frame with its time, the gaze of that time and dots where it was in the third of a second before.
fn draw_frame(canvas: &mut Canvas, (left, top): (usize, usize), frame: &Frame, predictions: &Predictions) {
    canvas.square((left, top), SIDE, &frame.rgb, (frame.width as usize, frame.height as usize));
    // What lies outside of the frame is drawn at its edge.
    let place = |gaze: &Gaze| {
        let inside = |share: f64| (share * SIDE as f64).clamp(RING, SIDE as f64 - RING) as f32;
        (left as f32 + inside(gaze.x), top as f32 + inside(gaze.y))
    };
    for gaze in predictions.gaze.iter().filter(|gaze| (0.0..0.33).contains(&(frame.time_secs - gaze.time_secs))) {
        canvas.disc(place(gaze), 2.0, GAZE);
    }
    if let Some(gaze) = predictions.gaze_at(frame.time_secs) {
        let center = place(&gaze);
        canvas.ring(center, 10.0, 5.0, BACKGROUND);
        canvas.ring(center, 10.0, 3.0, GAZE);
        canvas.disc(center, 3.0, GAZE);
    }
    canvas.fill((left as f32, (top + SIDE - 22) as f32), (82.0, 22.0), BACKGROUND);
    canvas.text((left + 4, top + SIDE - 18), 2, TEXT, &format!("{:.2} s", frame.time_secs));
}

/// From above, over time, and gaze over time.
fn draw_plots(canvas: &mut Canvas, predictions: &Predictions) {
    let width = (WIDTH - 2 * MARGIN - 2 * GAP) / 3;
    let place = |index: usize| (MARGIN + index * (width + GAP), ROWS[2]);
    let size = (width, PLOT_HEIGHT);
    let positions = &predictions.poses;

    let from_above: Vec<_> = positions.iter().map(|pose| (pose.position[0], pose.position[2])).collect();
    let reach = reach(positions);
    let headings = positions.iter().step_by(6).map(|pose| {
        let (x, z) = (pose.position[0], pose.position[2]);
        Curve {
            colour: QUIET,
            points: vec![(x, z), (x + pose.forward[0] * reach * 0.12, z + pose.forward[2] * reach * 0.12)],
        }
    });
    let path = Curve { colour: BLUE, points: from_above };
    let mut plot = Plot::new("Camera from above (m)", headings.chain([path]).collect()).equal_axes();
    plot.mark(positions.first().map(|pose| (pose.position[0], pose.position[2])), GREEN, "start");
    plot.mark(positions.last().map(|pose| (pose.position[0], pose.position[2])), RED, "end");
    plot.draw(canvas, place(0), size);

    let coordinate = |axis: usize| {
        positions.iter().enumerate().map(move |(index, pose)| (index as f64 / 30.0, pose.position[axis])).collect()
    };
    let curves = [(RED, 0), (GREEN, 1), (BLUE, 2)].map(|(colour, axis)| Curve { colour, points: coordinate(axis) });
    Plot::new("Camera position (m)", curves.into()).over_secs().legend(&["x", "y", "z"]).draw(canvas, place(1), size);

    let x = Curve { colour: RED, points: predictions.gaze.iter().map(|gaze| (gaze.time_secs, gaze.x)).collect() };
    let y = Curve { colour: GREEN, points: predictions.gaze.iter().map(|gaze| (gaze.time_secs, gaze.y)).collect() };
    Plot::new("Gaze (0 to 1)", vec![x, y]).over_secs().legend(&["x", "y"]).draw(canvas, place(2), size);
}

/// How far the camera gets from its first place, seen from above.
fn reach(poses: &[Pose]) -> f64 {
    let from_start = |pose: &Pose| (pose.position[0]).hypot(pose.position[2]);
    poses.iter().map(from_start).fold(1e-3, f64::max)
}

fn depth_colour(depth: f64) -> Colour {
    let place = depth.clamp(0.0, 1.0) as f32 * (DEPTH.len() - 1) as f32;
    let index = (place as usize).min(DEPTH.len() - 2);
    let share = place - index as f32;
    std::array::from_fn(|channel| {
        (DEPTH[index][channel] * (1.0 - share) + DEPTH[index + 1][channel] * share).round() as u8
    })
}
