use std::num::NonZeroUsize;

use egom2p::decoding::{
    DecodingError, Draw, ExponentialNoise, Logits, RoarStep, Sampler, SamplerSettings, TopK, TorchGenerator,
};

use crate::golden::Golden;

/// Seed set just before each stored sampling call.
const SAMPLING_SEED: u64 = 123;

fn settings(name: &str) -> SamplerSettings {
    let mut settings = SamplerSettings { temperature: 1.0, top_p: 0.0, top_k: TopK::Off };
    for part in name.rsplit('/').next().expect("a name").split('_') {
        let (key, value) = part.split_at(1);
        let number: f64 = value.parse().expect("a number");
        match key {
            "T" => settings.temperature = number,
            "p" => settings.top_p = number,
            "k" if number == 0.0 => settings.top_k = TopK::Off,
            "k" if value.contains('.') => settings.top_k = TopK::Fraction(number),
            "k" => settings.top_k = TopK::Count(number as usize),
            _ => panic!("{name} has the unknown setting {key}"),
        }
    }
    settings
}

fn threads(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).expect("at least one thread")
}

fn sampler(settings: &SamplerSettings, n_vocabulary: usize) -> Sampler {
    Sampler::new(settings, n_vocabulary, threads(1)).expect("settings in range").with_probabilities()
}

#[test]
fn survivors_of_the_filters() {
    let Some(golden) = Golden::open("host_functions") else { return };
    let logits = golden.tensor("sampling/logits");
    let n_vocabulary = logits.shape[1];
    let names = golden.names("sampling/kept/");
    assert_eq!(names.len(), 6);
    for name in names {
        let sampler = sampler(&settings(&name), n_vocabulary);
        let kept = golden.tensor(&name);
        let rows = logits.f32().chunks(n_vocabulary).map(<[f32]>::to_vec).collect::<Vec<_>>();
        for (row, (logits, kept)) in rows.iter().zip(kept.values.chunks(n_vocabulary)).enumerate() {
            let expected: Vec<usize> = (0..n_vocabulary).filter(|&token| kept[token] != 0.0).collect();
            assert_eq!(sampler.kept(logits).expect("finite logits"), expected, "{name} row {row}");
        }
    }
}

#[test]
fn draws_and_their_probabilities() {
    let Some(golden) = Golden::open("host_functions") else { return };
    let logits = golden.tensor("sampling/logits");
    let noise = ExponentialNoise::new(&mut TorchGenerator::new(SAMPLING_SEED));
    let names = golden.names("sampling/sample/");
    assert_eq!(names.len(), 18);
    for name in names {
        let draws = sampler(&settings(&name), logits.shape[1]).sample(Logits::Plain(&logits.f32()), &noise, 0);
        let draws = draws.expect("finite logits");
        let tokens: Vec<usize> = draws.iter().map(|draw| draw.token as usize).collect();
        assert_eq!(tokens, golden.tensor(&name).indices(), "{name}");
        let probabilities: Vec<f64> = draws.iter().filter_map(|draw| draw.probability.map(f64::from)).collect();
        golden.compare(&name.replace("sample", "prob"), &probabilities);
    }
}

/// The first step of every generation, from the stored logits of both passes: guided, greedy and as published.
#[test]
fn first_steps_of_the_generations() {
    for name in ["rgb2cam", "rgb2gaze", "rgb2depth", "depth2rgb", "rgb2depth_then_cam"] {
        let Some(golden) = Golden::open(&format!("tiny_gen_{name}")) else { return };
        let conditional = golden.tensor("greedy/step0/logits_cond");
        let unconditional = golden.tensor("greedy/step0/logits_uncond");
        let (n_queries, n_vocabulary) = (conditional.shape[0], conditional.shape[1]);
        let (conditional, unconditional) = (conditional.f32(), unconditional.f32());
        let logits = Logits::Guided { conditional: &conditional, unconditional: &unconditional, weight: 2.0 };
        let target = golden.description()["schedule"][0]["target"].as_str().expect("a target");
        let n_tokens = golden.tensor(&format!("greedy/final/{target}")).values.len();
        let step = RoarStep::new(0, &vec![false; n_tokens], n_queries);
        for (run, temperature) in [("greedy", 0.0), ("official", 0.01)] {
            let sampler = sampler(&SamplerSettings { temperature, ..SamplerSettings::default() }, n_vocabulary);
            let tokens = tokens(&sampler.sample(logits, &step.noise, 0).expect("finite logits"));
            let expected = golden.tensor(&format!("{run}/step0/tokens")).indices();
            assert_eq!(tokens, expected, "{name} {run}");
        }
    }
}

/// Neither threads nor the split into calls changes a draw.
#[test]
fn draws_do_not_depend_on_how_rows_are_split() {
    let (n_vocabulary, n_rows) = (500, 23);
    let logits: Vec<f32> = (0..n_rows * n_vocabulary).map(|i| ((i * 7919) % 1009) as f32 / 100.0).collect();
    let noise = ExponentialNoise::new(&mut TorchGenerator::new(9));
    let settings = SamplerSettings { temperature: 1.0, top_p: 0.9, top_k: TopK::Off };
    let whole = sampler(&settings, n_vocabulary).sample(Logits::Plain(&logits), &noise, 0).expect("finite logits");
    for n_threads in [2, 5, 64] {
        let sampler = Sampler::new(&settings, n_vocabulary, threads(n_threads)).expect("in range").with_probabilities();
        assert_eq!(sampler.sample(Logits::Plain(&logits), &noise, 0).expect("finite logits"), whole);
    }
    let mut parts: Vec<Draw> = Vec::new();
    for part in logits.chunks(4 * n_vocabulary) {
        let sampler = sampler(&settings, n_vocabulary);
        parts.extend(sampler.sample(Logits::Plain(part), &noise, parts.len()).expect("finite logits"));
    }
    assert_eq!(parts, whole);
}

#[test]
fn hostile_logits_are_errors() {
    let noise = ExponentialNoise::new(&mut TorchGenerator::new(0));
    let n_vocabulary = 40;
    for temperature in [0.0, 0.01, 1.0] {
        let settings = SamplerSettings { temperature, ..SamplerSettings::default() };
        let sampler = Sampler::new(&settings, n_vocabulary, threads(2)).expect("in range");
        let with = |value: f32, whole_row: bool| {
            let mut logits = vec![0.5; 3 * n_vocabulary];
            let end = if whole_row { 2 * n_vocabulary } else { n_vocabulary + 18 };
            logits[n_vocabulary + if whole_row { 0 } else { 17 }..end].fill(value);
            sampler.sample(Logits::Plain(&logits), &noise, 0).map(|draws| draws.len())
        };
        assert_eq!(with(f32::NAN, false), Err(DecodingError::NanLogit { row: 1 }));
        assert_eq!(with(f32::NAN, true), Err(DecodingError::NanLogit { row: 1 }));
        assert_eq!(with(f32::INFINITY, false), Err(DecodingError::InfiniteLogit { row: 1 }));
        assert_eq!(with(f32::NEG_INFINITY, true), Err(DecodingError::NoFiniteLogit { row: 1 }));
        assert_eq!(with(f32::NEG_INFINITY, false), Ok(3));
        let short = vec![0.0; 41];
        let shape = DecodingError::LogitsShape { n_values: 41, n_vocabulary: 40 };
        assert_eq!(sampler.sample(Logits::Plain(&short), &noise, 0), Err(shape));
        let guided = Logits::Guided { conditional: &short[..40], unconditional: &[], weight: 2.0 };
        assert!(matches!(sampler.sample(guided, &noise, 0), Err(DecodingError::GuidanceShape { .. })));
        assert_eq!(sampler.sample(Logits::Plain(&[]), &noise, 0), Ok(Vec::new()));
    }
}

/// The formula of Algorithm A.2 on a distribution that can be worked out by hand.
#[test]
fn guidance_on_probabilities() {
    let conditional = [0.6_f32.ln(), 0.3_f32.ln(), 0.1_f32.ln()];
    let unconditional = [0.2_f32.ln(), 0.3_f32.ln(), 0.5_f32.ln()];
    let logits = Logits::GuidedProbabilities { conditional: &conditional, unconditional: &unconditional, weight: 2.0 };
    let settings = SamplerSettings { temperature: 1.0, top_p: 0.0, top_k: TopK::Off };
    let mut counts = [0_u32; 3];
    for seed in 0..2000 {
        let noise = ExponentialNoise::new(&mut TorchGenerator::new(seed));
        let draw = sampler(&settings, 3).sample(logits, &noise, 0).expect("finite logits")[0];
        let expected = [1.0 / 1.3, 0.3 / 1.3, 0.0][draw.token as usize];
        let probability = draw.probability.expect("was asked for");
        assert!((probability - expected).abs() < 1e-6, "{probability} instead of {expected}");
        counts[draw.token as usize] += 1;
    }
    assert_eq!(counts[2], 0);
    // Four standard deviations of a binomial with 2000 draws are 75.
    assert!(counts[0].abs_diff(1538) < 75, "{counts:?}");
}

fn tokens(draws: &[Draw]) -> Vec<usize> {
    draws.iter().map(|draw| draw.token as usize).collect()
}
