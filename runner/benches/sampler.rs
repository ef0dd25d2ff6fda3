//! Sampling one step of rgb -> depth at the published size: 1707 queries over a vocabulary of 64000.
//!
//! `read` is the floor: one vectorised pass over the same bytes by the same number of threads.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use egom2p::decoding::{ExponentialNoise, Logits, Sampler, SamplerSettings, TopK, TorchGenerator};

const N_QUERIES: usize = 1707;
const N_VOCABULARY: usize = 64_000;

/// Normal logits of standard deviation 3, as a model with the reproducible weights gives.
fn logits(seed: u64) -> Vec<f32> {
    let mut generator = TorchGenerator::new(seed);
    let mut pair = || {
        let radius = 3.0 * (-2.0 * (1.0 - generator.next_f32()).ln()).sqrt();
        let (sine, cosine) = (std::f32::consts::TAU * generator.next_f32()).sin_cos();
        [radius * cosine, radius * sine]
    };
    // A prime number of pairs, repeated, gives different rows without a minute of set-up.
    let block: Vec<f32> = (0..1_000_003).flat_map(|_| pair()).collect();
    block.into_iter().cycle().take(N_QUERIES * N_VOCABULARY).collect()
}

fn read(values: &[f32], n_threads: usize) -> f32 {
    let n_per_thread = values.len().div_ceil(n_threads);
    thread::scope(|scope| {
        let parts = values.chunks(n_per_thread);
        let threads: Vec<_> = parts
            .map(|part| {
                scope.spawn(|| {
                    let mut lanes = [0.0_f32; 32];
                    for group in part.as_chunks::<32>().0 {
                        for (lane, &value) in lanes.iter_mut().zip(group) {
                            *lane = if value > *lane { value } else { *lane };
                        }
                    }
                    lanes.iter().copied().fold(0.0, f32::max)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(0.0)).fold(0.0, f32::max)
    })
}

fn sampler(criterion: &mut Criterion) {
    let logits = [logits(1), logits(2)];
    let noise = ExponentialNoise::new(&mut TorchGenerator::new(0));
    let n_cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let mut group = criterion.benchmark_group("sampler_1707x64000");
    group.throughput(Throughput::Bytes(4 * (N_QUERIES * N_VOCABULARY) as u64));
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    group.bench_function("read", |bencher| bencher.iter(|| read(black_box(&logits[0]), n_cores.get())));
    for (name, temperature, top_p, guided) in [
        ("arg_max", 0.0, 0.8, false),
        ("temperature_0.01_top_p_0.8", 0.01, 0.8, false),
        ("temperature_1_top_p_0.8", 1.0, 0.8, false),
        ("temperature_1_no_filter", 1.0, 0.0, false),
        ("guided_temperature_0.01_top_p_0.8", 0.01, 0.8, true),
    ] {
        let settings = SamplerSettings { temperature, top_p, top_k: TopK::Off };
        let sampler = Sampler::new(&settings, N_VOCABULARY, n_cores).expect("the settings are in range");
        let logits = if guided {
            Logits::Guided { conditional: &logits[0], unconditional: &logits[1], weight: 2.0 }
        } else {
            Logits::Plain(&logits[0])
        };
        group.bench_function(name, |bencher| bencher.iter(|| sampler.sample(black_box(logits), &noise, 0)));
    }
    group.finish();
}

criterion_group!(benches, sampler);
criterion_main!(benches);
