use std::cmp::Ordering;

use super::Draw;
use super::blocks::{BlockMaxima, Candidate};
use super::exponential::{exponential, exponentials, sum_of_exponentials};
use super::settings::Filters;
use crate::decoding::{DecodingError, ExponentialNoise};

/// A weight of e^-88 and below is zero in the sampler's fp32.
const RANGE: f64 = 88.0;
/// Keeps bounds that hold in exact arithmetic true under rounding.
const CAUTION: f64 = 0.99;

/// Draws from single rows; holds the memory that all rows of a thread share.
#[derive(Debug)]
pub(super) struct RowSampler {
    filters: Filters,
    maxima: BlockMaxima,
    candidates: Vec<Candidate>,
    weights: Vec<f32>,
}

impl RowSampler {
    pub(super) fn new(filters: Filters) -> Self {
        Self { filters, maxima: BlockMaxima::default(), candidates: Vec::new(), weights: Vec::new() }
    }

    /// Draws from the logits of `row`, with the row's own noise from index 0 on.
    pub(super) fn draw(
        &mut self,
        logits: &[f32],
        row: usize,
        noise: &ExponentialNoise,
        with_probability: bool,
    ) -> Result<Draw, DecodingError> {
        self.maxima.scan(logits, row)?;
        let Some(temperature) = self.filters.temperature else {
            let probability = || sum_of_exponentials(logits, self.maxima.max(), f64::INFINITY).recip() as f32;
            let token = self.maxima.arg_max(logits) as i64;
            return Ok(Draw { token, probability: with_probability.then(probability) });
        };
        let max = f64::from(self.maxima.max());
        // Rounding to fp32 can make scaled logits equal that are not, by less than a few units in the last place.
        let range = RANGE * f64::from(temperature) + 4.0 * f64::from(f32::EPSILON) * max.abs();
        self.filter(logits, ((max - range) as f32).next_down());
        Ok(self.race(temperature, noise, with_probability))
    }

    /// The tokens that survive top-k and nucleus, ascending.
    pub(super) fn kept(&mut self, logits: &[f32], row: usize) -> Result<Vec<usize>, DecodingError> {
        self.maxima.scan(logits, row)?;
        self.filter(logits, f32::NEG_INFINITY);
        let mut kept: Vec<usize> = self.candidates.iter().map(|candidate| candidate.token as usize).collect();
        kept.sort_unstable();
        Ok(kept)
    }

    /// Leaves the survivors of the filters among the logits that reach `floor` as candidates, in no order.
    fn filter(&mut self, logits: &[f32], floor: f32) {
        if let Some(k) = self.filters.top_k {
            let mass = self.collect_top(logits, k);
            if let Some(top_p) = self.filters.top_p {
                keep_nucleus(&mut self.candidates, top_p * mass);
            }
        } else if let Some(top_p) = self.filters.top_p {
            if self.maxima.few_reach(floor) {
                self.nucleus_near_maximum(logits, top_p, floor);
            } else {
                self.nucleus_at_large(logits, top_p, floor);
            }
        } else {
            self.collect(logits, floor);
        }
    }

    /// Makes the `k` largest logits and those equal to the smallest of them candidates; returns their mass.
    fn collect_top(&mut self, logits: &[f32], k: usize) -> f64 {
        self.maxima.collect(logits, self.maxima.nth_maximum(k), &mut self.candidates);
        if k < self.candidates.len() {
            let descending = |a: &Candidate, b: &Candidate| b.logit.total_cmp(&a.logit);
            let smallest = self.candidates.select_nth_unstable_by(k - 1, descending).1.logit;
            self.candidates.retain(|candidate| candidate.logit >= smallest);
        }
        self.weigh()
    }

    /// The nucleus among few candidates. Most often all of them belong to it, which a part of the normaliser proves:
    /// an entry survives while the mass before it is at most `top_p` of the whole.
    fn nucleus_near_maximum(&mut self, logits: &[f32], top_p: f64, floor: f32) {
        let mass = self.collect(logits, floor);
        if self.candidates.len() < 2 {
            return;
        }
        let last = self.candidates.iter().map(|candidate| candidate.weight).fold(1.0, f32::min);
        let enough = (mass - f64::from(last)) / top_p;
        let normaliser = sum_of_exponentials(logits, self.maxima.max(), enough);
        if normaliser < enough {
            keep_nucleus(&mut self.candidates, top_p * normaliser);
        }
    }

    /// The nucleus among all entries: collects deeper and deeper below the maximum until the mass of the candidates
    /// exceeds the nucleus. Everything further down then comes after more than the nucleus, so it cannot survive.
    fn nucleus_at_large(&mut self, logits: &[f32], top_p: f64, floor: f32) {
        let max = self.maxima.max();
        let budget = top_p * sum_of_exponentials(logits, max, f64::INFINITY);
        let mut depth = 2.0_f32;
        loop {
            let threshold = if f64::from(depth) < RANGE { (max - depth).max(floor) } else { floor };
            let mass = self.collect(logits, threshold);
            if mass > budget || threshold <= floor {
                break;
            }
            depth += (0.125 * depth).max(0.75);
        }
        keep_nucleus(&mut self.candidates, budget);
    }

    /// Makes the logits that reach `threshold` candidates; returns their mass.
    fn collect(&mut self, logits: &[f32], threshold: f32) -> f64 {
        self.maxima.collect(logits, threshold, &mut self.candidates);
        self.weigh()
    }

    fn weigh(&mut self) -> f64 {
        self.weights.clear();
        self.weights.extend(self.candidates.iter().map(|candidate| candidate.logit));
        let mass = exponentials(&mut self.weights, self.maxima.max());
        for (candidate, &weight) in self.candidates.iter_mut().zip(&self.weights) {
            candidate.weight = weight;
        }
        mass
    }

    /// The candidate with the largest ratio of probability to noise, the first of equals.
    fn race(&self, temperature: f32, noise: &ExponentialNoise, with_probability: bool) -> Draw {
        let scaled_max = self.maxima.max() / temperature;
        let weight = |logit: f32| {
            if scaled_max.is_finite() {
                exponential(logit / temperature - scaled_max)
            } else {
                exponential((f64::from(logit - self.maxima.max()) / f64::from(temperature)) as f32)
            }
        };
        let mut total = 0.0;
        let mut best = (0.0, f64::NEG_INFINITY, u32::MAX);
        for candidate in &self.candidates {
            let weight = weight(candidate.logit);
            total += f64::from(weight);
            if weight == 0.0 && best.2 != u32::MAX {
                continue;
            }
            let uniform = noise.uniform_at(u64::from(candidate.token));
            // As -ln(u) >= 1 - u, most candidates cannot win and need no logarithm.
            if f64::from(weight) < CAUTION * best.1 * f64::from(1.0 - uniform) {
                continue;
            }
            let ratio = f64::from(weight) / f64::from(ExponentialNoise::from_uniform(uniform));
            let order = ratio.total_cmp(&best.1).then(best.2.cmp(&candidate.token));
            if order == Ordering::Greater {
                best = (weight, ratio, candidate.token);
            }
        }
        let (weight, _, token) = best;
        let probability = (f64::from(weight) / total) as f32;
        Draw { token: i64::from(token), probability: with_probability.then_some(probability) }
    }
}

/// Keeps the candidates whose predecessors, by descending logit and then ascending token, hold at most `budget`
/// together. Selects by halves, so nothing is sorted.
fn keep_nucleus(candidates: &mut Vec<Candidate>, budget: f64) {
    let order = |a: &Candidate, b: &Candidate| b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token));
    let mass = |candidates: &[Candidate]| candidates.iter().map(|candidate| f64::from(candidate.weight)).sum::<f64>();
    let mut n_kept = 0;
    let mut before = 0.0;
    let mut open = &mut candidates[..];
    while !open.is_empty() {
        let middle = open.len() / 2;
        let (larger, candidate, smaller) = open.select_nth_unstable_by(middle, order);
        let mass = mass(larger);
        if before + mass > budget {
            open = larger;
        } else {
            n_kept += middle + 1;
            before += mass + f64::from(candidate.weight);
            open = smaller;
        }
    }
    candidates.truncate(n_kept);
}
