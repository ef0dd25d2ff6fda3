use crate::camera::Camera;
use crate::clip::Take;
use crate::gaze::{Eyes, MARGIN, measure};
use crate::random::Random;
use crate::settings::{GazeSettings, Settings, Split};
use crate::timeline::{TICKS, secs};

const N_CLIPS: usize = 150;
/// The height and width that pixels below refer to.
const SIDE: usize = 128;

fn takes() -> impl Iterator<Item = Take> {
    let config = egom2p_model::Preset::Tiny.config();
    let settings = Settings { height: SIDE, width: SIDE, ..Settings::for_model(&config, 11, N_CLIPS) };
    (0..N_CLIPS).map(move |i| Take::new(&settings, i % 3, Split::Training, i / 3).expect("a dataset"))
}

#[test]
fn eyes_move_as_eyes_do() {
    let (mut n_saccades, mut n_saccading, mut n_ticks, mut n_on_things) = (0_usize, 0_usize, 0_usize, 0_usize);
    for take in takes() {
        for look in &take.looks {
            assert!(take.camera.contains(look.pixel, 0.99 * MARGIN));
            n_ticks += 1;
            n_saccading += usize::from(look.is_saccade);
            n_on_things += usize::from(look.thing.is_some());
        }
        n_saccades += take.looks.windows(2).filter(|pair| pair[1].is_saccade && !pair[0].is_saccade).count();
    }
    let per_second = n_saccades as f64 * TICKS as f64 / n_ticks as f64;
    let share = |n: usize| n as f64 / n_ticks as f64;
    assert!((2.0..=3.2).contains(&per_second), "{per_second}");
    assert!((0.04..=0.16).contains(&share(n_saccading)), "{}", share(n_saccading));
    assert!(share(n_on_things) > 0.6, "{}", share(n_on_things));
}

#[test]
fn fixations_hold_in_spite_of_the_head() {
    let mut shares = Vec::new();
    for take in takes() {
        for (looks, poses) in take.looks.windows(2).zip(take.poses.windows(2)) {
            let head = poses[0].forward.angle(poses[1].forward);
            let is_turning = head.to_degrees() * TICKS as f64 > 40.0;
            let stands_still = looks[0].thing.is_none_or(|index| take.scene.things[index].swing.is_none());
            // At the margin the eyes go along with the head.
            let is_free = looks.iter().all(|look| !look.is_saccade && take.camera.contains(look.pixel, 1.01 * MARGIN));
            if is_turning && stands_still && is_free {
                let [a, b] = [0, 1].map(|i| {
                    let [x, y] = looks[i].pixel;
                    poses[i].world_direction(take.camera.ray(x, y))
                });
                shares.push(a.angle(b) / head);
            }
        }
    }
    shares.sort_by(f64::total_cmp);
    // Walking past a thing turns the eyes; the turn of the head does not.
    assert!(shares.len() > 1000, "{}", shares.len());
    assert!(shares[shares.len() / 2] < 0.2, "{}", shares[shares.len() / 2]);
}

#[test]
fn salience_explains_gaze() {
    let (mut sum, mut squares, mut n, mut error) = ([0.0; 2], 0.0, 0.0, 0.0);
    for take in takes() {
        let eyes = Eyes { scene: &take.scene, camera: &take.camera };
        for (tick, (look, pose)) in take.looks.iter().zip(&take.poses).enumerate().step_by(6) {
            let now = secs(tick);
            let scene = take.scene.at(now);
            let salience = |index: &usize| eyes.salience(&scene, *index, pose);
            let best = (0..scene.things.len())
                .max_by(|a, b| salience(a).total_cmp(&salience(b)))
                .filter(|i| salience(i) > 0.0);
            let expected = best.map_or([64.0, 71.0], |index| {
                let centre = scene.solids[scene.things[index].solid].centre;
                take.camera.project(pose.camera_point(centre)).expect("in sight")
            });
            let [x, y] = look.pixel;
            n += 1.0;
            sum = [sum[0] + x, sum[1] + y];
            squares += x * x + y * y;
            error += (x - expected[0]).powi(2) + (y - expected[1]).powi(2);
        }
    }
    let variance = squares / n - (sum[0] / n).powi(2) - (sum[1] / n).powi(2);
    // Measured: 0.30. Saccades and glances are most of it.
    assert!(error / n < 0.4 * variance, "{}", error / n / variance);
    assert!(variance.sqrt() > 18.0, "{}", variance.sqrt());
}

#[test]
fn gaps_have_their_share_and_noise_its_deviation() {
    let camera = Camera::new(SIDE, SIDE);
    for invalid_share in [0.0, 0.06, 0.3, 0.97, 1.0] {
        let settings = GazeSettings { noise_degrees: 0.5, invalid_share };
        let n_clips = 2000_usize;
        let mut gaps = 0;
        let mut squares = Vec::new();
        let mut random = Random::new("gaps", &[1]);
        for _ in 0..n_clips {
            let samples = measure(std::iter::repeat_n([40.0, 90.0], 60), &camera, &settings, &mut random);
            assert!(samples.iter().all(|[x, y]| x.is_nan() == y.is_nan()));
            gaps += samples.iter().filter(|[x, _]| x.is_nan()).count();
            squares.extend(samples.iter().filter(|[x, _]| !x.is_nan()).map(|[x, _]| (x - 40.0).powi(2)));
        }
        let share = gaps as f64 / (60 * n_clips) as f64;
        // Four deviations of a chain whose gaps last five samples.
        assert!((share - invalid_share).abs() < 0.012, "{share} instead of {invalid_share}");
        if squares.len() > 10_000 {
            let deviation = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
            let expected = 0.5_f64.to_radians().tan() * camera.focal;
            assert!((deviation / expected - 1.0).abs() < 0.03, "{deviation} instead of {expected}");
        }
    }
}

#[test]
fn what_swings_is_pursued() {
    let mut settings = Settings::for_model(&egom2p_model::Preset::Tiny.config(), 5, 40);
    settings.datasets.iter_mut().for_each(|dataset| dataset.swings = 1.0);
    let (mut n, mut far) = (0, 0);
    for index in 0..40 {
        let take = Take::new(&settings, 0, Split::Training, index).expect("a dataset");
        for (tick, (look, pose)) in take.looks.iter().zip(&take.poses).enumerate() {
            let Some(thing) = look.thing.map(|index| take.scene.things[index]).filter(|thing| thing.swing.is_some())
            else {
                continue;
            };
            let centre = pose.camera_point(take.scene.centre(&thing, secs(tick)));
            let angle = take.camera.ray(look.pixel[0], look.pixel[1]).angle(centre);
            let radius = take.scene.solids[thing.solid].reach / centre.length();
            let is_in_reach =
                take.camera.project(centre).is_some_and(|pixel| take.camera.contains(pixel, 1.2 * MARGIN));
            if !look.is_saccade && is_in_reach {
                n += 1;
                far += usize::from(angle > 1.2 * radius);
            }
        }
    }
    assert!(n > 1000, "{n}");
    assert_eq!(far, 0, "of {n}");
}
