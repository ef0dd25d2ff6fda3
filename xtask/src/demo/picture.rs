//! The demo's picture: frames with gaze, depth, and the camera's way, what is predicted beside the truth.

use std::{array, path::Path};

use anyhow::Result;
use egom2p_motion::Pose;
use egom2p_plot::{Canvas, Colour, Curve, Plot};

use super::{
    predictions::{Gaze, Predictions},
    sample::{FPS, MOTION_FPS, Sample},
    scores::{Score, Scores},
};

const BACKGROUND: Colour = [16, 20, 28];
const TEXT: Colour = [226, 230, 236];
const QUIET: Colour = [136, 146, 160];
/// Of scores that are better than naive ones, and of others.
const BETTER: Colour = [104, 208, 120];
const WORSE: Colour = [255, 176, 64];
/// Of the truth, and of what is predicted.
const TRUE: Colour = [248, 248, 240];
const PREDICTED: Colour = [255, 72, 104];
const RED: Colour = [255, 104, 92];
const GREEN: Colour = [104, 220, 124];
const BLUE: Colour = [96, 160, 255];

/// Frames shown of a clip.
const N_COLUMNS: usize = 6;
/// Side of a frame in the picture.
const SIDE: usize = 192;
/// How far from a frame's edge the gaze ring stays in pixels.
const RING: f64 = 13.0;
const GAP: usize = 12;
const MARGIN: usize = 24;
/// Height of a line of text above a row.
const LABEL: usize = 34;
/// Where the rows begin: frames, true depth, predicted depth, plots.
const ROWS: [usize; 4] = [132, 132 + SIDE + LABEL, 132 + 2 * (SIDE + LABEL), 132 + 3 * (SIDE + LABEL)];
const WIDTH: usize = 2 * MARGIN + N_COLUMNS * SIDE + (N_COLUMNS - 1) * GAP;
const PLOT_HEIGHT: usize = 250;
const HEIGHT: usize = ROWS[3] + PLOT_HEIGHT + MARGIN;

/// Colours of depth from far to near.
const DEPTH: [[f32; 3]; 6] = [
    [12.0, 10.0, 40.0],
    [72.0, 18.0, 110.0],
    [150.0, 38.0, 108.0],
    [222.0, 80.0, 64.0],
    [250.0, 160.0, 50.0],
    [250.0, 244.0, 168.0],
];

/// Draws the predictions of a model beside the truth.
pub(super) fn draw(
    model: &str,
    sample: &Sample,
    predictions: &Predictions,
    scores: &Scores,
    path: &Path,
) -> Result<()> {
    let mut canvas = Canvas::new(WIDTH, HEIGHT, BACKGROUND);
    canvas.text((MARGIN, 20), 4, TEXT, "EgoM2P");
    canvas.text((MARGIN + 160, 27), 3, QUIET, "one clip in: depth, gaze and camera out");
    let line = format!("{model} on a rendered clip that no training saw; naive: the same answer for every clip");
    canvas.text((MARGIN, 66), 2, QUIET, &line);

    let legend = label(&mut canvas, ROWS[0], "Input clip, where the wearer looks:");
    let legend = canvas.text((legend + 12, ROWS[0] - 22), 2, TRUE, "true");
    canvas.text((legend + 12, ROWS[0] - 22), 2, PREDICTED, "predicted");
    label(&mut canvas, ROWS[1], "True depth, near is bright");
    label(&mut canvas, ROWS[2], "Predicted depth");
    label(&mut canvas, ROWS[3], "Camera and gaze: dim is true, bright is predicted");
    score(&mut canvas, ROWS[0], "gaze MSE", scores.gaze, ("", 4));
    score(&mut canvas, ROWS[2], "depth AbsRel", scores.depth, ("", 2));
    score(&mut canvas, ROWS[3], "camera ATE", scores.camera, (" m", 2));

    let n_frames = sample.frames.len().min(predictions.depth.len());
    for column in 0..N_COLUMNS.min(n_frames) {
        let index = column * (n_frames - 1) / (N_COLUMNS - 1);
        let left = MARGIN + column * (SIDE + GAP);
        draw_frame(&mut canvas, (left, ROWS[0]), index, sample, &predictions.gaze);
        let truth: Vec<u8> = sample.depth[index].iter().flat_map(|m| depth_colour(sample.depth(*m))).collect();
        canvas.square((left, ROWS[1]), SIDE, &truth, (sample.side, sample.side));
        let predicted: Vec<u8> = predictions.depth[index].iter().flat_map(|depth| depth_colour(*depth)).collect();
        let (height, width) = predictions.depth_size;
        canvas.square((left, ROWS[2]), SIDE, &predicted, (width, height));
    }
    draw_plots(&mut canvas, sample, predictions);
    Ok(canvas.write_png(path)?)
}

/// What a row shows; returns where the text ends.
fn label(canvas: &mut Canvas, row: usize, text: &str) -> usize {
    canvas.text((MARGIN, row - 22), 2, TEXT, text)
}

/// An error beside the naive one, at the right end of a label.
fn score(canvas: &mut Canvas, row: usize, name: &str, score: Score, (unit, decimals): (&str, usize)) {
    let colour = if score.model < score.naive { BETTER } else { WORSE };
    let parts = [
        (QUIET, format!("{name} ")),
        (colour, format!("{:.decimals$}{unit}", score.model)),
        (QUIET, format!("  naive {:.decimals$}{unit}", score.naive)),
    ];
    let n_letters: usize = parts.iter().map(|(_, text)| text.len()).sum();
    let mut left = (WIDTH - MARGIN).saturating_sub(n_letters * 12);
    for (colour, text) in parts {
        left = canvas.text((left, row - 22), 2, colour, &text);
    }
}

/// A frame with its time, the true and the predicted gaze of that time, and dots where they were in the third of a second
/// before.
fn draw_frame(canvas: &mut Canvas, (left, top): (usize, usize), index: usize, sample: &Sample, predicted: &[Gaze]) {
    canvas.square((left, top), SIDE, &sample.frames[index], (sample.side, sample.side));
    let time_secs = index as f64 / FPS;
    // What lies outside of the frame is drawn at its edge.
    let place = |gaze: &Gaze| {
        let inside = |share: f64| (share * SIDE as f64).clamp(RING, SIDE as f64 - RING) as f32;
        (left as f32 + inside(gaze.x), top as f32 + inside(gaze.y))
    };
    for (gazes, colour) in [(&*sample.gaze, TRUE), (predicted, PREDICTED)] {
        let distance = |gaze: &Gaze| (gaze.time_secs - time_secs).abs();
        let is_known = |gaze: &&Gaze| gaze.x.is_finite();
        for gaze in gazes.iter().filter(is_known).filter(|gaze| (0.0..0.33).contains(&(time_secs - gaze.time_secs))) {
            canvas.disc(place(gaze), 1.5, colour);
        }
        let nearest = gazes.iter().min_by(|one, other| distance(one).total_cmp(&distance(other)));
        if let Some(gaze) = nearest.filter(is_known) {
            let center = place(gaze);
            canvas.ring(center, 10.0, 5.0, BACKGROUND);
            canvas.ring(center, 10.0, 3.0, colour);
            canvas.disc(center, 3.0, colour);
        }
    }
    canvas.fill((left as f32, (top + SIDE - 22) as f32), (82.0, 22.0), BACKGROUND);
    canvas.text((left + 4, top + SIDE - 18), 2, TEXT, &format!("{time_secs:.2} s"));
}

/// The camera from above and over time, and gaze over time.
fn draw_plots(canvas: &mut Canvas, sample: &Sample, predictions: &Predictions) {
    let width = (WIDTH - 2 * MARGIN - 2 * GAP) / 3;
    let place = |index: usize| (MARGIN + index * (width + GAP), ROWS[3]);
    let size = (width, PLOT_HEIGHT);
    let dimmed =
        |curve: &Curve| Curve { colour: curve.colour.map(|value| value / 2 + 10), points: curve.points.clone() };

    let from_above = |poses: &[Pose], colour| Curve {
        colour,
        points: poses.iter().map(|pose| (pose.translation[0], pose.translation[2])).collect(),
    };
    let truth = dimmed(&from_above(&sample.poses, TRUE));
    let end = |curve: &Curve| curve.points.last().copied();
    let predicted = from_above(&predictions.poses, PREDICTED);
    let ends = [end(&truth), end(&predicted)];
    let colour = truth.colour;
    let mut plot = Plot::new("Camera from above (m)", vec![predicted]).behind(vec![truth]).equal_axes();
    plot.mark(Some((0.0, 0.0)), TEXT, "start");
    plot.mark(ends[0], colour, "");
    plot.mark(ends[1], PREDICTED, "");
    plot.draw(canvas, place(0), size);

    let coordinates = |poses: &[Pose]| {
        [(RED, 0), (GREEN, 1), (BLUE, 2)].map(|(colour, axis)| {
            let points = poses.iter().enumerate();
            let points = points.map(|(index, pose)| (index as f64 / MOTION_FPS, pose.translation[axis])).collect();
            Curve { colour, points }
        })
    };
    Plot::new("Camera position (m)", coordinates(&predictions.poses).into())
        .behind(coordinates(&sample.poses).iter().map(dimmed).collect())
        .over_secs()
        .legend(&["x", "y", "z"])
        .draw(canvas, place(1), size);

    let shares = |gazes: &[Gaze]| {
        let curve = |colour, share: fn(&Gaze) -> f64| Curve {
            colour,
            points: gazes.iter().map(|gaze| (gaze.time_secs, share(gaze))).collect(),
        };
        [curve(RED, |gaze| gaze.x), curve(GREEN, |gaze| gaze.y)]
    };
    Plot::new("Gaze (0 to 1)", shares(&predictions.gaze).into())
        .behind(shares(&sample.gaze).iter().map(dimmed).collect())
        .over_secs()
        .legend(&["x", "y"])
        .draw(canvas, place(2), size);
}

fn depth_colour(depth: f64) -> Colour {
    let place = depth.clamp(0.0, 1.0) as f32 * (DEPTH.len() - 1) as f32;
    let index = (place as usize).min(DEPTH.len() - 2);
    let share = place - index as f32;
    array::from_fn(|channel| (DEPTH[index][channel] * (1.0 - share) + DEPTH[index + 1][channel] * share).round() as u8)
}
