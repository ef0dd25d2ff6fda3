//! The published sampling as it reads, with a full sort and in fp64, and the sampler held to it.

use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::{Logits, Sampler, SamplerSettings, TopK};
use crate::decoding::{ExponentialNoise, TorchGenerator};

/// Decisions closer than this (relative) are left to rounding: the sampler sums fp32 exponentials.
const MARGIN: f64 = 2e-6;

/// What the published code does with one row.
struct Reference {
    /// Survivors of the filters, ascending.
    kept: Vec<usize>,
    /// Smallest distance of the mass before an entry to the nucleus.
    nucleus_margin: f64,
    /// The drawn token.
    token: usize,
    /// Its probability.
    probability: f64,
    /// How far the winner leads the second, relative.
    race_margin: f64,
}

impl Reference {
    fn new(logits: &[f32], settings: &SamplerSettings, noise: &ExponentialNoise) -> Self {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        let top_k = match settings.top_k {
            TopK::Off => logits.len(),
            TopK::Count(count) => count.min(logits.len()),
            TopK::Fraction(share) => (share * logits.len() as f64) as usize,
        };
        let smallest = logits[order[top_k - 1]];
        order.retain(|&token| logits[token] >= smallest && logits[token] > f32::NEG_INFINITY);

        let max = logits[order[0]];
        let mut nucleus_margin = f64::INFINITY;
        if settings.top_p > 0.0 && settings.top_p < 1.0 {
            let weights: Vec<f64> = order.iter().map(|&token| f64::from(logits[token] - max).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mut before = 0.0;
            let mut n_kept = 0;
            for (i, weight) in weights.iter().enumerate() {
                if i > 0 {
                    nucleus_margin = nucleus_margin.min((before / total - settings.top_p).abs());
                }
                n_kept += usize::from(before / total <= settings.top_p);
                before += weight;
            }
            order.truncate(n_kept);
        }
        order.sort_unstable();

        let temperature = settings.temperature as f32;
        let scaled = |token: usize| {
            let difference = logits[token] / temperature - max / temperature;
            if difference.is_nan() {
                (f64::from(logits[token]) - f64::from(max)) / f64::from(temperature)
            } else {
                f64::from(difference)
            }
        };
        let weights: Vec<f64> = order.iter().map(|&token| scaled(token).exp()).collect();
        let ratio = |i: usize| weights[i] / f64::from(noise.at(order[i] as u64));
        let best = (0..order.len()).fold(0, |best, i| if ratio(i) > ratio(best) { i } else { best });
        let second = (0..order.len()).filter(|&i| i != best).map(ratio).fold(0.0, f64::max);
        Self {
            nucleus_margin,
            token: order[best],
            probability: weights[best] / weights.iter().sum::<f64>(),
            race_margin: 1.0 - second / ratio(best),
            kept: order,
        }
    }
}

/// Rows of one kind each, so that extreme rows stay extreme: plain, full of ties, of huge range, with holes, all equal;
/// every other one has its maximum twice.
fn rows() -> impl Strategy<Value = Vec<f32>> {
    let n = prop_oneof![1_usize..4, 1_usize..100, 100_usize..4000];
    (n, 0_u8..5, any::<bool>()).prop_flat_map(|(n, kind, twice)| {
        let logit = match kind {
            0 => (-9.0_f32..9.0).boxed(),
            1 => (0_u8..4).prop_map(f32::from).boxed(),
            2 => prop::num::f32::NORMAL.prop_map(|logit| logit.clamp(-1e37, 1e37)).boxed(),
            3 => prop_oneof![5 => Just(f32::NEG_INFINITY), 1 => -2.0_f32..2.0].boxed(),
            _ => Just(0.25_f32).boxed(),
        };
        prop::collection::vec(logit, n).prop_map(move |mut row| {
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max).max(f32::MIN);
            row[0] = if twice { max } else { row[0].max(f32::MIN) };
            row
        })
    })
}

fn settings() -> impl Strategy<Value = SamplerSettings> {
    let temperature = prop::sample::select(vec![1e-9, 0.01, 0.3, 1.0, 5.0, 1e6]);
    let top_p = prop::sample::select(vec![0.0, 0.1, 0.5, 0.8, 0.95, 0.999, 1.0]);
    let top_k = prop_oneof![
        3 => Just(TopK::Off),
        1 => (1_usize..5000).prop_map(TopK::Count),
        1 => (1_usize..20).prop_map(TopK::Count),
        1 => Just(TopK::Fraction(1.0)),
    ];
    (temperature, top_p, top_k).prop_map(|(temperature, top_p, top_k)| SamplerSettings { temperature, top_p, top_k })
}

/// Fails where the sampler differs from the reference by more than rounding; says how many decisions were clear.
fn check(logits: &[f32], settings: &SamplerSettings, seed: u64) -> Result<(), TestCaseError> {
    let noise = ExponentialNoise::new(&mut TorchGenerator::new(seed));
    let reference = Reference::new(logits, settings, &noise);
    let sampler = Sampler::new(settings, logits.len(), NonZeroUsize::MIN).expect("in range").with_probabilities();
    if reference.nucleus_margin <= MARGIN {
        return Ok(());
    }
    prop_assert_eq!(sampler.kept(logits).expect("a finite row"), reference.kept);
    let draw = sampler.sample(Logits::Plain(logits), &noise, 0).expect("a finite row")[0];
    if reference.race_margin > MARGIN {
        prop_assert_eq!(draw.token, reference.token as i64);
        let probability = f64::from(draw.probability.expect("was asked for"));
        prop_assert!((probability - reference.probability).abs() <= MARGIN, "{probability}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn samples_like_the_published_sort(logits in rows(), settings in settings(), seed in 0_u64..1000) {
        check(&logits, &settings, seed)?;
    }

    #[test]
    fn arg_max_is_the_first_maximum(logits in rows()) {
        let settings = SamplerSettings { temperature: 0.0, ..SamplerSettings::default() };
        let sampler = Sampler::new(&settings, logits.len(), NonZeroUsize::MIN).expect("in range");
        let noise = ExponentialNoise::new(&mut TorchGenerator::new(0));
        let draw = sampler.sample(Logits::Plain(&logits), &noise, 0).expect("a finite row")[0];
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        prop_assert_eq!(Some(draw.token as usize), logits.iter().position(|&logit| logit >= max));
    }
}

/// Rows of the published size, whose nucleus is narrowed down over the whole row.
#[test]
fn full_vocabulary_rows() {
    let mut generator = TorchGenerator::new(77);
    for spread in [0.1, 3.0, 8.0] {
        let logits: Vec<f32> =
            (0..64_000).map(|_| spread * (0..12).map(|_| generator.next_f32()).sum::<f32>() - 6.0 * spread).collect();
        for temperature in [0.01, 0.7, 1.0] {
            for top_p in [0.0, 0.3, 0.8, 0.99] {
                for top_k in [TopK::Off, TopK::Count(50), TopK::Fraction(0.2)] {
                    let settings = SamplerSettings { temperature, top_p, top_k };
                    check(&logits, &settings, 5).expect("the reference's draw");
                }
            }
        }
    }
}
