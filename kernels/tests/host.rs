//! The algorithms of the kernels, compiled for the host, against the sampler on the CPU.

use std::{cell::Cell, num::NonZeroUsize};

use egom2p::decoding::{
    DecodingError, ExponentialNoise, Logits, Sampler, SamplerSettings, TopK, TorchGenerator, guide as guide_on_cpu,
};
use egom2p_kernels::{
    Outcome, SampleArguments,
    host::{gather, guide, noise_of, sample, scatter, sizeof_sample_arguments},
};
use proptest::{prelude::*, test_runner::TestRunner};

/// Groups of rows in the random comparison.
const N_CASES: u32 = 6000;
/// The uniform values are multiples of about 2^-31, so no smaller one occurs.
const SMALLEST_UNIFORM: f32 = 4.656_613e-10;

/// What both sides say about the same rows. `Undecided` stands for whatever the CPU says, and is counted.
fn undecided_rows(logits: &[f32], n_vocabulary: usize, settings: &SamplerSettings, seed: u64, query: usize) -> usize {
    let top_k = match settings.top_k {
        TopK::Off => 0,
        TopK::Count(count) => count,
        TopK::Fraction(share) => (share * n_vocabulary as f64) as usize,
    };
    let noise_output = TorchGenerator::new(seed).next_u32();
    let arguments =
        SampleArguments::new(n_vocabulary, settings.temperature, settings.top_p, top_k, noise_output, query as u64)
            .expect("a vocabulary in range");
    let outcomes = sample(logits, &arguments).expect("whole rows");
    let noise = ExponentialNoise::new(&mut TorchGenerator::new(seed));
    let sampler = Sampler::new(settings, n_vocabulary, NonZeroUsize::MIN).expect("settings in range");
    let rows = logits.chunks_exact(n_vocabulary);
    assert_eq!(outcomes.len(), rows.len());
    let mut n_undecided = 0;
    for (row, (logits, outcome)) in rows.zip(outcomes).enumerate() {
        let expected = match sampler.sample(Logits::Plain(logits), &noise, query + row) {
            Ok(draws) => Outcome::Token(u32::try_from(draws[0].token).expect("a token")),
            Err(DecodingError::NanLogit { .. }) => Outcome::NanLogit,
            Err(DecodingError::InfiniteLogit { .. }) => Outcome::InfiniteLogit,
            Err(DecodingError::NoFiniteLogit { .. }) => Outcome::NoFiniteLogit,
            Err(other) => panic!("{other}"),
        };
        if outcome == Outcome::Undecided && matches!(expected, Outcome::Token(_)) {
            n_undecided += 1;
        } else {
            assert_eq!(outcome, expected, "row {row} of {n_vocabulary} logits, {settings:?}, seed {seed}");
        }
    }
    n_undecided
}

/// Rows of one kind each: plain, full of ties, of huge range, with holes, all equal, in half precision, with values that
/// no logit has, and nothing but zeros of both signs.
fn rows() -> impl Strategy<Value = (usize, Vec<f32>)> {
    let n = prop_oneof![2 => 1_usize..4, 2 => 1_usize..100, 2 => 100_usize..4000, 1 => Just(256_usize)];
    (n, 1_usize..4, 0_u8..8).prop_flat_map(|(n_vocabulary, n_rows, kind)| {
        let logit = match kind {
            0 => (-9.0_f32..9.0).boxed(),
            1 => (0_u8..4).prop_map(f32::from).boxed(),
            2 => prop::num::f32::NORMAL.boxed(),
            3 => prop_oneof![5 => Just(f32::NEG_INFINITY), 1 => -2.0_f32..2.0].boxed(),
            4 => Just(0.25_f32).boxed(),
            5 => (-4096_i16..4096).prop_map(|steps| f32::from(steps) / 512.0).boxed(),
            6 => prop_oneof![200 => -3.0_f32..3.0, 1 => prop::num::f32::ANY].boxed(),
            _ => prop_oneof![Just(0.0_f32), Just(-0.0_f32), Just(-1e-30_f32)].boxed(),
        };
        prop::collection::vec(logit, n_vocabulary * n_rows).prop_map(move |rows| (n_vocabulary, rows))
    })
}

fn settings() -> impl Strategy<Value = SamplerSettings> {
    let temperature = prop::sample::select(vec![0.0, 1e-9, 0.01, 0.3, 1.0, 5.0, 1e6]);
    let top_p = prop::sample::select(vec![0.0, 0.1, 0.5, 0.8, 0.95, 0.999, 1.0]);
    let top_k = prop_oneof![3 => Just(TopK::Off), 1 => (1_usize..5000).prop_map(TopK::Count), 1 => (1_usize..20).prop_map(TopK::Count)];
    (temperature, top_p, top_k).prop_map(|(temperature, top_p, top_k)| SamplerSettings { temperature, top_p, top_k })
}

/// Normal logits of the given standard deviation, roughly.
fn bell(n: usize, deviation: f32, generator: &mut TorchGenerator) -> Vec<f32> {
    (0..n).map(|_| deviation * ((0..12).map(|_| generator.next_f32()).sum::<f32>() - 6.0)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn guidance_is_that_of_the_cpu(
        passes in prop::collection::vec((prop::num::f32::ANY, prop::num::f32::ANY), 0..200),
        weight in prop::num::f32::NORMAL,
    ) {
        let (mut conditional, unconditional): (Vec<f32>, Vec<f32>) = passes.into_iter().unzip();
        let mut expected = conditional.clone();
        guide_on_cpu(&mut expected, &unconditional, weight).expect("equal lengths");
        guide(&mut conditional, &unconditional, weight).expect("equal lengths");
        let same = conditional.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan());
        prop_assert!(same);
    }

    #[test]
    fn tokens_are_gathered_from_their_places(
        table in prop::collection::vec(any::<i64>(), 0..50),
        indices in prop::collection::vec(place(), 0..200),
    ) {
        let element = |&index: &i64| usize::try_from(index).ok().and_then(|index| table.get(index)).copied().unwrap_or(0);
        let expected: Vec<i64> = indices.iter().map(element).collect();
        prop_assert_eq!(gather(&table, &indices), expected);
    }

    #[test]
    fn tokens_are_scattered_to_their_places(
        table in prop::collection::vec(any::<i64>(), 0..50),
        tokens in prop::collection::btree_map(place(), prop_oneof![4 => 0..64_000_i64, 1 => any::<i64>()], 0..60),
    ) {
        let (indices, values): (Vec<i64>, Vec<i64>) = tokens.iter().unzip();
        let mut scattered = table.clone();
        scatter(&mut scattered, &indices, &values).expect("equal lengths");
        for (place, (&after, &before)) in (0_i64..).zip(scattered.iter().zip(&table)) {
            let written = tokens.get(&place).copied().filter(|&value| value >= 0);
            prop_assert_eq!(after, written.unwrap_or(before));
        }
    }
}

/// Places of small tables, beside them, and the ends of the type.
fn place() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -3..60_i64, 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

#[test]
fn tokens_are_those_of_the_cpu() {
    let (n_rows, n_undecided) = (Cell::new(0), Cell::new(0));
    let query = prop_oneof![0_usize..2000, Just(1 << 40)];
    let cases = (rows(), settings(), any::<u32>(), query);
    let outcome = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(N_CASES) })
        .run(&cases, |((n_vocabulary, logits), settings, seed, query)| {
            n_rows.set(n_rows.get() + logits.len() / n_vocabulary);
            let seed = u64::from(seed);
            n_undecided.set(n_undecided.get() + undecided_rows(&logits, n_vocabulary, &settings, seed, query));
            Ok(())
        });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let (n_rows, n_undecided) = (n_rows.get(), n_undecided.get());
    assert!(n_undecided * 1000 <= n_rows, "{n_undecided} of {n_rows} rows are undecided");
}

/// Rows of the published sizes and odd ones, plain and rounded as half precision rounds, in which ties are many.
#[test]
fn full_vocabulary_rows() {
    let mut generator = TorchGenerator::new(77);
    let (mut n_rows, mut n_undecided) = (0, 0);
    for n_vocabulary in [256, 1000, 64_000, 69_997] {
        for deviation in [0.1, 1.0, 3.0, 8.0] {
            let plain = bell(n_vocabulary, deviation, &mut generator);
            let coarse: Vec<f32> = plain.iter().map(|logit| (logit * 256.0).round() / 256.0).collect();
            for logits in [plain, coarse] {
                for temperature in [0.0, 0.01, 0.7, 1.0] {
                    for top_p in [0.0, 0.1, 0.8, 0.99] {
                        for top_k in [TopK::Off, TopK::Count(50), TopK::Fraction(0.2)] {
                            let settings = SamplerSettings { temperature, top_p, top_k };
                            n_rows += 1;
                            n_undecided += undecided_rows(&logits, n_vocabulary, &settings, n_rows as u64, n_rows);
                        }
                    }
                }
            }
        }
    }
    assert!(n_undecided * 1000 <= n_rows, "{n_undecided} of {n_rows} rows are undecided");
}

/// The nucleus of a constant row ends inside of one tie, at a token that only exact sums and the order of tokens give.
#[test]
fn constant_rows_are_decided() {
    for n_vocabulary in [1, 2, 5, 10, 64, 65, 128, 256, 1000, 64_000] {
        for top_p in [0.1, 0.25, 0.5, 0.8, 0.9] {
            for seed in 0..8 {
                let settings = SamplerSettings { temperature: 1.0, top_p, top_k: TopK::Off };
                let logits = vec![-3.5; n_vocabulary];
                assert_eq!(undecided_rows(&logits, n_vocabulary, &settings, seed, 3), 0, "{n_vocabulary} {top_p}");
            }
        }
    }
}

/// Nuclei that end exactly where an entry begins: rounding alone says whether it survives, so where it wins the race the
/// kernel leaves the row to the CPU, and everywhere else the tokens are the same.
#[test]
fn edges_within_rounding_are_left_to_the_cpu() {
    let mut generator = TorchGenerator::new(9);
    let (mut n_rows, mut n_undecided) = (0, 0);
    for n_vocabulary in [20, 40, 300, 2500] {
        for (row, top_k) in [TopK::Off, TopK::Count(15), TopK::Off].into_iter().enumerate() {
            let logits = bell(n_vocabulary, 0.5, &mut generator);
            let mut weights: Vec<f64> = logits.iter().map(|&logit| f64::from(logit).exp()).collect();
            weights.sort_unstable_by(|a, b| b.total_cmp(a));
            weights.truncate(if top_k == TopK::Off { n_vocabulary } else { 15 });
            let total: f64 = weights.iter().sum();
            for n_before in 1..15 {
                let top_p = weights[..n_before].iter().sum::<f64>() / total;
                for (seed, nudge) in
                    [-3e-7, -1e-7, -2e-8, 0.0, 2e-8, 1e-7, 3e-7].into_iter().cycle().take(70).enumerate()
                {
                    let settings = SamplerSettings { temperature: 1e6, top_p: top_p * (1.0 + nudge), top_k };
                    n_rows += 1;
                    n_undecided += undecided_rows(&logits, n_vocabulary, &settings, seed as u64, row);
                }
            }
        }
    }
    assert!(n_undecided * 50 > n_rows && n_undecided * 2 < n_rows, "{n_undecided} of {n_rows} rows are undecided");
}

/// At the published settings no row of these needs the CPU.
#[test]
fn published_settings_are_decided() {
    let mut generator = TorchGenerator::new(5);
    for (n_vocabulary, n_rows) in [(256, 2000), (64_000, 60)] {
        let logits = bell(n_vocabulary * n_rows, 3.0, &mut generator);
        let n_undecided = undecided_rows(&logits, n_vocabulary, &SamplerSettings::default(), 0, 0);
        assert_eq!(n_undecided, 0, "of {n_rows} rows of {n_vocabulary} logits");
    }
}

/// The logarithm of the kernels is not the one of the CPU's library, and gives the same noise.
#[test]
fn noise_is_that_of_the_cpu() {
    compare_noise(29);
}

/// The same for every value that a uniform can have.
#[test]
fn slow_noise_is_that_of_the_cpu_everywhere() {
    compare_noise(1);
}

/// Compares every `step`-th value that a uniform can have.
fn compare_noise(step: usize) {
    for uniform in (SMALLEST_UNIFORM.to_bits()..=1.0_f32.to_bits()).step_by(step).map(f32::from_bits) {
        let (ours, theirs) = (noise_of(uniform), ExponentialNoise::from_uniform(uniform));
        assert_eq!(ours.to_bits(), theirs.to_bits(), "uniform {uniform:e}");
    }
}

#[test]
fn arguments_have_the_layout_of_the_kernel() {
    assert_eq!(sizeof_sample_arguments(), size_of::<SampleArguments>() as u64);
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let arguments = SampleArguments::new(3, 1.0, 0.5, 0, 7, 0).expect("in range");
    assert!(sample(&[0.0; 4], &arguments).is_none());
    assert!(guide(&mut [0.0], &[], 2.0).is_none());
    assert!(scatter(&mut [0], &[0], &[]).is_none());
}
