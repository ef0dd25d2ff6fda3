use crate::clip::Take;
use crate::head::{FASTEST_TURN, FASTEST_WALK, SWAY};
use crate::settings::{Settings, Split};
use crate::timeline::TICKS;
use crate::vector::Vector;

const N_CLIPS: usize = 150;

fn takes(walks: f64) -> impl Iterator<Item = Take> {
    let config = egom2p_model::Preset::Tiny.config();
    let mut settings = Settings::for_model(&config, 12, N_CLIPS);
    settings.datasets[0].walks = walks;
    (0..N_CLIPS).map(move |i| Take::new(&settings, 0, Split::Training, i).expect("a dataset"))
}

#[test]
fn speeds_are_those_of_people() {
    let (mut speeds, mut turns, mut walkers) = (Vec::new(), Vec::new(), 0);
    for take in takes(1.0) {
        let mut fastest = 0.0_f64;
        for pair in take.poses.windows(2) {
            let moved = (pair[1].position - pair[0].position) * TICKS as f64;
            fastest = fastest.max(Vector::new(moved.x, moved.y, 0.0).length());
            speeds.push(moved.length());
            // The angle of a rotation from its matrix's trace.
            let trace = pair[0].right.dot(pair[1].right)
                + pair[0].down.dot(pair[1].down)
                + pair[0].forward.dot(pair[1].forward);
            turns.push(((trace - 1.0) * 0.5).clamp(-1.0, 1.0).acos().to_degrees() * TICKS as f64);
        }
        walkers += usize::from(fastest > 0.4);
    }
    for values in [&mut speeds, &mut turns] {
        values.sort_by(f64::total_cmp);
    }
    let at = |values: &[f64], share: f64| values[((values.len() - 1) as f64 * share) as usize];
    assert!(at(&speeds, 1.0) <= FASTEST_WALK + SWAY, "{}", at(&speeds, 1.0));
    assert!((0.5..=1.4).contains(&at(&speeds, 0.5)), "{}", at(&speeds, 0.5));
    // Yaw and pitch may both be at their limit, and the gait adds some.
    let limit = FASTEST_TURN.to_degrees() * 2.0_f64.sqrt() + 25.0;
    assert!(at(&turns, 1.0) <= limit, "{}", at(&turns, 1.0));
    assert!((5.0..=60.0).contains(&at(&turns, 0.5)) && at(&turns, 0.95) > 50.0, "{}", at(&turns, 0.5));
    assert!(walkers * 10 > N_CLIPS * 9, "{walkers} of {N_CLIPS} have room to walk");
}

#[test]
fn who_stands_stays() {
    for take in takes(0.0) {
        let first = take.poses[0].position;
        assert!(take.poses.iter().all(|pose| (pose.position - first).length() < 0.03));
    }
}

#[test]
fn motion_is_smooth() {
    let mut hardest = 0.0_f64;
    for take in takes(0.7) {
        for three in take.poses.windows(3) {
            let acceleration = three[2].position - three[1].position * 2.0 + three[0].position;
            hardest = hardest.max(acceleration.length() * (TICKS * TICKS) as f64);
        }
    }
    // Heads of walkers reach 0.3 to 0.5 g up and down (3 to 5 m/s^2); to start or to stop adds up to 3 forwards.
    assert!(hardest < 6.0, "{hardest} m/s^2");
}

#[test]
fn heads_keep_clear_of_everything() {
    let mut nearest = f64::INFINITY;
    for take in takes(0.7) {
        for pose in take.poses.iter().step_by(10) {
            for (x, y, z) in [
                (1.0, 0.0, 0.0),
                (-1.0, 0.0, 0.0),
                (0.0, 1.0, 0.0),
                (0.0, -1.0, 0.0),
                (0.0, 0.0, 1.0),
                (0.0, 0.0, -1.0),
            ] {
                nearest = nearest.min(take.scene.hit(pose.position, Vector::new(x, y, z)).distance);
            }
        }
    }
    assert!(nearest > 0.2, "{nearest} m");
}
