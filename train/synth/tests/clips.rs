//! Clips against geometry: whoever has the depth and the poses knows where every pixel goes.

use egom2p_model::Preset;
use egom2p_synth::{Clip, Rooms, Settings, Split};

fn settings(seed: u64) -> Settings {
    Settings::for_model(&Preset::Tiny.config(), seed, 100)
}

fn small(seed: u64) -> Settings {
    Settings { frames: 3, height: 24, width: 32, samples: 12, rays: 1, ..settings(seed) }
}

fn clip(settings: &Settings, dataset: usize, split: Split, index: usize) -> Clip {
    Clip::new(settings, dataset, split, index).expect("a dataset")
}

/// NaN is not equal to itself; its bits are.
fn bits(clip: &Clip) -> (Vec<u8>, Vec<u32>, Vec<u64>) {
    let motion = clip.poses.as_flattened().iter().chain(clip.frame_poses.as_flattened());
    let motion = motion.chain(clip.gaze.as_flattened()).map(|value| value.to_bits());
    (clip.rgb.clone(), clip.depth.iter().map(|value| value.to_bits()).collect(), motion.collect())
}

fn apply(pose: &[f64; 16], [x, y, z]: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|row| pose[4 * row] * x + pose[4 * row + 1] * y + pose[4 * row + 2] * z + pose[4 * row + 3])
}

/// The inverse of a rigid pose at a point.
fn undo(pose: &[f64; 16], point: [f64; 3]) -> [f64; 3] {
    let offset: [f64; 3] = std::array::from_fn(|row| point[row] - pose[4 * row + 3]);
    std::array::from_fn(|column| (0..3).map(|row| pose[4 * row + column] * offset[row]).sum())
}

#[test]
fn a_clip_follows_from_seed_dataset_split_and_index() {
    let (first, other) = (small(1), small(2));
    let expected = bits(&clip(&first, 0, Split::Training, 5));
    // After others, and among other datasets of other sizes.
    _ = clip(&first, 1, Split::Training, 3);
    let mut alone = first.clone();
    alone.datasets.truncate(1);
    alone.datasets[0].training_clips = 6;
    assert_eq!(bits(&clip(&alone, 0, Split::Training, 5)), expected);
    let strangers = [
        clip(&other, 0, Split::Training, 5),
        clip(&first, 1, Split::Training, 5),
        clip(&first, 0, Split::Validation, 5),
        clip(&first, 0, Split::Training, 6),
    ];
    for stranger in strangers {
        let (rgb, depth, motion) = bits(&stranger);
        assert!(rgb != expected.0 && depth != expected.1 && motion != expected.2);
    }
}

#[test]
fn sizes_are_as_set() {
    let clip = clip(&small(1), 0, Split::Training, 0);
    assert_eq!((clip.rgb.len(), clip.depth.len()), (3 * 24 * 32 * 3, 3 * 24 * 32));
    assert_eq!((clip.poses.len(), clip.frame_poses.len(), clip.gaze.len()), (12, 3, 12));
    assert!(clip.depth.iter().all(|metres| (0.05..15.0).contains(metres)));
    assert!(Clip::new(&small(1), 3, Split::Training, 0).is_err());
    assert!(Clip::new(&Settings { width: 0, ..small(1) }, 0, Split::Training, 0).is_err());
}

#[test]
fn poses_are_rigid_and_upright() {
    for index in 0..8 {
        let clip = clip(&Settings { frames: 16, samples: 60, ..small(4) }, index % 3, Split::Training, index);
        for pose in clip.poses.iter().chain(&clip.frame_poses) {
            let column = |column: usize| [pose[column], pose[4 + column], pose[8 + column]];
            let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
            let [x, y, z] = [0, 1, 2].map(column);
            for (a, b, expected) in [(x, x, 1.0), (y, y, 1.0), (z, z, 1.0), (x, y, 0.0), (x, z, 0.0), (y, z, 0.0)] {
                assert!((dot(a, b) - expected).abs() < 1e-12);
            }
            let cross = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]];
            assert!((dot(cross, z) - 1.0).abs() < 1e-12, "x right and y down make z forward");
            assert_eq!(pose[12..], [0.0, 0.0, 0.0, 1.0]);
            // World z is up: the camera's y points down, and its x is nearly level.
            assert!(y[2] < -0.5 && x[2].abs() < 0.1, "{pose:?}");
        }
        // Half a second is sample 15 and frame 4.
        for (sample, frame) in [(0, 0), (15, 4), (45, 12)] {
            assert_eq!(clip.poses[sample].map(f64::to_bits), clip.frame_poses[frame].map(f64::to_bits));
        }
    }
}

#[test]
fn every_pixel_lies_in_the_room() {
    for index in 0..4 {
        let clip = clip(&small(6), 0, Split::Training, index);
        let [mut low, mut high] = [f64::INFINITY, f64::NEG_INFINITY];
        for (at, metres) in clip.depth[..24 * 32].iter().enumerate() {
            let (x, y) = ((at % 32) as f64 + 0.5 - 16.0, (at / 32) as f64 + 0.5 - 12.0);
            let metres = f64::from(*metres);
            let point = [x / clip.camera.focal * metres, y / clip.camera.focal * metres, metres];
            let world = apply(&clip.frame_poses[0], point);
            assert!(world[0] > -1e-4 && world[1] > -1e-4 && world[0] < 8.01 && world[1] < 8.01, "{world:?}");
            (low, high) = (low.min(world[2]), high.max(world[2]));
        }
        assert!(low > -1e-4 && high < 3.01 && low < 1.0 && high > 1.4, "{low} to {high}");
    }
}

/// Where pixels of a frame go in the next one: the share whose depth is found there, and how far their colours are apart.
struct Flow {
    n: usize,
    n_found: usize,
    colour_difference: f64,
}

fn flow(clip: &Clip, from: usize, to: usize, to_pose: &[f64; 16]) -> Flow {
    let (width, height, focal) = (clip.camera.width, clip.camera.height, clip.camera.focal);
    let (x0, y0) = (0.5 * width as f64, 0.5 * height as f64);
    let pixels = |frame: usize| frame * width * height..(frame + 1) * width * height;
    let (depth, colours) = (&clip.depth[pixels(to)], &clip.rgb[3 * to * width * height..]);
    let mut flow = Flow { n: 0, n_found: 0, colour_difference: 0.0 };
    for (at, metres) in clip.depth[pixels(from)].iter().enumerate() {
        let metres = f64::from(*metres);
        let (x, y) = ((at % width) as f64 + 0.5, (at / width) as f64 + 0.5);
        let point = [(x - x0) / focal * metres, (y - y0) / focal * metres, metres];
        let [x, y, z] = undo(to_pose, apply(&clip.frame_poses[from], point));
        let (column, row) = (x0 + focal * x / z - 0.5, y0 + focal * y / z - 0.5);
        let inside = |value: f64, size: usize| value >= 0.0 && value < (size - 1) as f64;
        if z < 0.05 || !inside(column, width) || !inside(row, height) {
            continue;
        }
        let (left, top) = (column as usize, row as usize);
        let (a, b) = (column - left as f64, row - top as f64);
        let bilinear = |value: &dyn Fn(usize) -> f64| {
            let at = top * width + left;
            (1.0 - b) * ((1.0 - a) * value(at) + a * value(at + 1))
                + b * ((1.0 - a) * value(at + width) + a * value(at + width + 1))
        };
        // Inverse depth is linear over the picture of a plane, so that this interpolation is exact on it.
        let found = bilinear(&|at| 1.0 / f64::from(depth[at]));
        flow.n += 1;
        if (found * z - 1.0).abs() < 1e-3 {
            flow.n_found += 1;
            for channel in 0..3 {
                let seen = f64::from(clip.rgb[3 * (from * width * height + at) + channel]);
                let there = bilinear(&|at| f64::from(colours[3 * at + channel]));
                flow.colour_difference += (seen - there).abs() / 3.0;
            }
        }
    }
    flow.colour_difference /= flow.n_found.max(1) as f64;
    flow
}

#[test]
fn pixels_are_found_in_the_next_frame() {
    // Measured: 0.93, 0.05 and 2.1; edges and what comes from behind them are the rest.
    assert_found(&settings(7), 3.0);
}

#[test]
fn pixels_of_dark_rooms_are_found_in_the_next_frame() {
    // The lamp moves with the camera, so that colours change.
    assert_found(&Settings { rooms: Rooms::Dark, ..settings(7) }, 12.0);
}

fn assert_found(settings: &Settings, colour_bound: f64) {
    let (mut n, mut found, mut still, mut difference, mut n_frames) = (0, 0, 0, 0.0, 0);
    for index in 0..6 {
        let clip = clip(settings, 1, Split::Training, index);
        for frame in [0, 5, 11] {
            let flow = |pose| flow(&clip, frame, frame + 1, pose);
            let right = flow(&clip.frame_poses[frame + 1]);
            // The same with the motion left out, to see that the measure can fail.
            let wrong = flow(&clip.frame_poses[frame]);
            n += right.n;
            found += right.n_found;
            still += wrong.n_found * right.n / wrong.n.max(1);
            difference += right.colour_difference;
            n_frames += 1;
        }
    }
    let (share, without) = (found as f64 / n as f64, still as f64 / n as f64);
    let difference = difference / f64::from(n_frames);
    assert!(share > 0.9, "{share} of the pixels are found");
    assert!(without < 0.3, "{without} of the pixels are found without the motion");
    assert!(difference < colour_bound, "colours are {difference} of 255 apart");
}

#[test]
fn gaze_is_in_the_picture_or_missing() {
    let (mut n, mut n_missing) = (0, 0);
    for index in 0..60 {
        let settings = Settings { frames: 1, samples: 60, ..small(8) };
        let clip = clip(&settings, 0, Split::Validation, index);
        for [x, y] in clip.gaze {
            n += 1;
            n_missing += usize::from(x.is_nan());
            assert!((x.is_nan() && y.is_nan()) || ((0.0..=32.0).contains(&x) && (0.0..=24.0).contains(&y)));
        }
    }
    // 6 percent of 3600, in gaps of five: two deviations are 2 percent.
    assert!((n / 50..n / 10).contains(&n_missing), "{n_missing} of {n}");
}

/// The correlation of brightness with the inverse of depth over all pixels of some clips.
fn nearness_in_brightness(rooms: Rooms) -> f64 {
    let settings = Settings { rooms, ..small(9) };
    let (mut n, mut sums) = (0.0, [0.0; 5]);
    for index in 0..12 {
        let clip = clip(&settings, index % 3, Split::Training, index);
        for (colour, metres) in clip.rgb.chunks_exact(3).zip(&clip.depth) {
            let (light, near) = (colour.iter().map(|&value| f64::from(value)).sum::<f64>(), 1.0 / f64::from(*metres));
            n += 1.0;
            let terms = [light, near, light * light, near * near, light * near];
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        }
    }
    let [light, near, light_square, near_square, product] = sums.map(|sum| sum / n);
    (product - light * near) / ((light_square - light * light) * (near_square - near * near)).sqrt()
}

#[test]
fn what_is_near_is_bright_in_dark_rooms_only() {
    let (dark, furnished) = (nearness_in_brightness(Rooms::Dark), nearness_in_brightness(Rooms::Furnished));
    assert!(dark > 0.6 && furnished.abs() < 0.3, "{dark} in dark rooms, {furnished} in furnished ones");
}

#[test]
fn eyes_in_dark_rooms_are_on_what_shines_red() {
    let settings = Settings { rooms: Rooms::Dark, rays: 1, ..settings(10) };
    let (mut n_red, mut n_looks) = (0, 0);
    for index in 0..12 {
        let clip = clip(&settings, 0, Split::Training, index);
        let (width, height) = (clip.camera.width, clip.camera.height);
        for frame in 0..settings.frames {
            let pixels = &clip.rgb[3 * frame * width * height..3 * (frame + 1) * width * height];
            let is_red = |at: usize| pixels[3 * at] > 150 && pixels[3 * at + 1] < 120;
            let n_seen = (0..width * height).filter(|&at| is_red(at)).count();
            let [x, y] = clip.gaze[(frame * 30).div_ceil(8).min(clip.gaze.len() - 1)];
            // What is small, at the edge or of no measurement is left out.
            if n_seen < 12 || x.is_nan() {
                continue;
            }
            n_looks += 1;
            let near = |at: usize| ((at % width) as f64 - x).abs() < 3.0 && ((at / width) as f64 - y).abs() < 3.0;
            n_red += usize::from((0..width * height).any(|at| is_red(at) && near(at)));
        }
    }
    assert!(n_looks > 30 && 2 * n_red > n_looks, "{n_red} of {n_looks} looks");
}
