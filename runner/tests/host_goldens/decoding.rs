use egom2p::decoding::{
    ExponentialNoise, RoarStep, TargetPlan, TemperatureSchedule, TokenSchedule, TorchGenerator, argsort, chain_steps,
    step_positions,
};

use crate::golden::Golden;

/// Relative difference between the noise of the published code and this rule (stated with the goldens).
const NOISE_TOLERANCE: f64 = 4e-7;

const SEEDS: [u64; 5] = [0, 1, 2, 5, 42];

#[test]
#[expect(clippy::float_cmp, reason = "exact values are meant")]
fn raw_outputs_and_uniform_values() {
    let Some(golden) = Golden::open("host_functions") else { return };
    for seed in SEEDS {
        let raw = golden.tensor(&format!("rng/raw32/{seed}"));
        let mut generator = TorchGenerator::new(seed);
        assert!(raw.values.iter().all(|&expected| f64::from(generator.next_u32()) == expected), "seed {seed}");
    }
    let names = golden.names("rng/rand/");
    assert!(names.len() >= 2 * SEEDS.len(), "{names:?}");
    for name in names {
        let mut generator = TorchGenerator::new(seed_of(&name));
        let expected = golden.tensor(&name);
        assert!(expected.values.iter().all(|&expected| f64::from(generator.next_f32()) == expected), "{name}");
    }
}

#[test]
fn position_orders_with_their_ties() {
    let Some(golden) = Golden::open("host_functions") else { return };
    let names = golden.names("rng/order/");
    assert_eq!(names.len(), 3 * SEEDS.len());
    for name in names {
        let expected = golden.tensor(&name).indices();
        let nothing_decoded = vec![false; expected.len()];
        let mut generator = TorchGenerator::new(seed_of(&name));
        assert_eq!(step_positions(&mut generator, &nothing_decoded, expected.len()), expected, "{name}");
    }
}

/// Decoded positions have many equal keys, so the whole order holds the sort to the published one.
#[test]
#[expect(clippy::float_cmp, reason = "exact values are meant")]
fn masked_orders_with_their_ties() {
    let Some(golden) = Golden::open("host_functions") else { return };
    for seed in SEEDS {
        let decoded = golden.tensor(&format!("rng/masked_done/{seed}"));
        let expected = golden.tensor(&format!("rng/masked_order/{seed}")).indices();
        let mut generator = TorchGenerator::new(seed);
        let keys: Vec<f32> = decoded.f32().iter().map(|done| done + 1e-6 * generator.next_f32()).collect();
        assert!(expected.windows(2).any(|pair| keys[pair[0]] == keys[pair[1]]), "seed {seed} has no ties");
        assert_eq!(argsort(&keys), expected, "seed {seed}");

        let decoded: Vec<bool> = decoded.values.iter().map(|&done| done != 0.0).collect();
        let n_missing = decoded.iter().filter(|&&done| !done).count();
        assert_eq!(RoarStep::new(seed, &decoded, 100).positions, expected[..100], "seed {seed}");
        assert_eq!(RoarStep::new(seed, &decoded, 1000).positions, expected[..n_missing], "seed {seed}");
    }
}

#[test]
fn exponential_noise() {
    let Some(golden) = Golden::open("host_functions") else { return };
    for seed in SEEDS {
        for kind in ["exponential", "exponential_small"] {
            let name = format!("rng/{kind}_after_rand30/{seed}");
            let mut generator = TorchGenerator::new(seed);
            (0..30).for_each(|_| _ = generator.next_f32());
            let noise = ExponentialNoise::new(&mut generator);
            assert_noise(&name, &noise, &golden.tensor(&name).values);
        }
    }
    let noise = ExponentialNoise::new(&mut TorchGenerator::new(123));
    assert_noise("sampling/noise", &noise, &golden.tensor("sampling/noise").values);
}

#[test]
fn token_schedules() {
    let Some(golden) = Golden::open("host_functions") else { return };
    let names = golden.names("schedule/");
    assert_eq!(names.len(), 16);
    for name in names {
        let (kind, sizes) = name["schedule/".len()..].split_once('/').expect("a kind and sizes");
        let (n_steps, n_tokens) = sizes.split_once('_').expect("steps and tokens");
        let schedule = if kind == "linear" { TokenSchedule::Linear } else { TokenSchedule::Cosine };
        let (n_steps, n_tokens) = (n_steps.parse().expect("a number"), n_tokens.parse().expect("a number"));
        let tokens = schedule.tokens_per_step(n_steps, n_tokens).expect("a schedule");
        assert_eq!(tokens, golden.tensor(&name).indices(), "{name}");
    }
}

#[test]
fn temperature_schedules() {
    let Some(golden) = Golden::open("host_functions") else { return };
    let tokens = TokenSchedule::Linear.tokens_per_step(6, 5120).expect("a schedule");
    for (name, schedule) in [("temperature/linear", "linear"), ("temperature/onex", "onex:0.1:0.5")] {
        let schedule: TemperatureSchedule = schedule.parse().expect("a temperature schedule");
        golden.compare(name, &schedule.per_step(1.0, &tokens).expect("temperatures"));
    }
}

/// Every stored generation: its chained schedule, and the positions of every step given what the steps before decoded.
#[test]
fn positions_of_every_generation() {
    let names = ["rgb2cam", "rgb2gaze", "rgb2depth", "depth2rgb", "rgb2depth_then_cam"];
    let tiny = names.map(|name| (format!("tiny_gen_{name}"), &["greedy", "official"][..]));
    let full = ["rgb2cam", "rgb2gaze"].map(|name| (format!("full_gen_{name}"), &["greedy"][..]));
    for (name, runs) in tiny.into_iter().chain(full) {
        let Some(golden) = Golden::open(&name) else { return };
        let schedule = golden.description()["schedule"].as_array().expect("a schedule").clone();
        let target_of = |step: usize| schedule[step]["target"].as_str().expect("a target").to_owned();
        for run in runs {
            let targets: Vec<String> = golden.names(&format!("{run}/final/"));
            let mut targets: Vec<String> =
                targets.iter().map(|name| name.replace(&format!("{run}/final/"), "")).collect();
            targets.sort_by_key(|target| (0..schedule.len()).position(|step| target_of(step) == *target));
            let plans: Vec<TargetPlan> = targets
                .iter()
                .map(|target| TargetPlan {
                    n_tokens: golden.tensor(&format!("{run}/final/{target}")).values.len(),
                    n_steps: (0..schedule.len()).filter(|&step| target_of(step) == *target).count(),
                    schedule: TokenSchedule::Linear,
                    temperature: 0.01,
                    temperature_schedule: TemperatureSchedule::Constant,
                })
                .collect();
            let steps = chain_steps(&plans, 0).expect("a schedule");
            assert_eq!(steps.len(), schedule.len(), "{name}");
            let mut decoded: Vec<Vec<bool>> = plans.iter().map(|plan| vec![false; plan.n_tokens]).collect();
            for (i, step) in steps.iter().enumerate() {
                assert_eq!(targets[step.target], target_of(i), "{name} step {i}");
                assert_eq!(Some(step.n_tokens as u64), schedule[i]["num_tokens"].as_u64(), "{name} step {i}");
                let expected = golden.tensor(&format!("{run}/step{i}/positions")).indices();
                let draws = RoarStep::new(step.seed, &decoded[step.target], step.n_tokens);
                assert_eq!(draws.positions, expected, "{name} {run} step {i}");
                for position in expected {
                    decoded[step.target][position] = true;
                }
            }
            assert!(decoded.iter().flatten().all(|&done| done), "{name} {run}");
        }
    }
}

fn seed_of(name: &str) -> u64 {
    let last = name.rsplit('/').next().expect("a name");
    last.split('_').next().expect("a seed").parse().expect("a number")
}

fn assert_noise(name: &str, noise: &ExponentialNoise, expected: &[f64]) {
    for (i, &expected) in expected.iter().enumerate() {
        let value = f64::from(noise.at(i as u64));
        assert!((value / expected - 1.0).abs() <= NOISE_TOLERANCE, "{name}[{i}]: {value} instead of {expected}");
    }
}
