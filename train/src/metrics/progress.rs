use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What throughput is measured over.
const WINDOW: Duration = Duration::from_mins(1);
/// The share of the past in the loss that is shown.
const SMOOTHING: f64 = 0.95;

/// What a progress line says after a step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Progress {
    /// Steps that the optimiser has made.
    pub step: u64,
    /// Tokens that were trained on, those before a resume too.
    pub n_tokens: u64,
    /// Tokens at which the training ends.
    pub total_tokens: u64,
    /// The loss, smoothed over some twenty steps.
    pub loss: f64,
    /// Throughput of the last minute; `None` before there is one.
    pub tokens_per_sec: Option<f64>,
    /// What is left at this throughput.
    pub remaining_secs: Option<f64>,
}

/// Measures a training's throughput.
#[derive(Debug)]
pub struct ProgressMeter {
    total_tokens: u64,
    /// When how many tokens were done: the last minute, and what came just before it.
    moments: VecDeque<(Instant, u64)>,
    /// Of the losses, with the sum of their weights.
    weighted: (f64, f64),
}

impl ProgressMeter {
    /// A training of `total_tokens`, of which `n_tokens` are done, that goes on now.
    pub fn new(n_tokens: u64, total_tokens: u64, now: Instant) -> Self {
        Self { total_tokens, moments: VecDeque::from([(now, n_tokens)]), weighted: (0.0, 0.0) }
    }

    /// Takes note of a step, after which `n_tokens` are done in all.
    pub fn update(&mut self, step: u64, n_tokens: u64, loss: f64, now: Instant) -> Progress {
        self.moments.push_back((now, n_tokens));
        while self.moments.get(1).is_some_and(|(then, _)| now.saturating_duration_since(*then) >= WINDOW) {
            self.moments.pop_front();
        }
        let (sum, weight) = self.weighted;
        self.weighted = (SMOOTHING * sum + loss, SMOOTHING * weight + 1.0);
        let tokens_per_sec = self.moments.front().and_then(|(then, before)| {
            let secs = now.saturating_duration_since(*then).as_secs_f64();
            let rate = n_tokens.saturating_sub(*before) as f64 / secs;
            (rate.is_finite() && rate > 0.0).then_some(rate)
        });
        let left = self.total_tokens.saturating_sub(n_tokens) as f64;
        Progress {
            step,
            n_tokens,
            total_tokens: self.total_tokens,
            loss: self.weighted.0 / self.weighted.1,
            tokens_per_sec,
            remaining_secs: tokens_per_sec.map(|rate| left / rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ProgressMeter;
    use std::time::{Duration, Instant};

    #[test]
    fn throughput_is_that_of_the_last_minute() {
        let start = Instant::now();
        let mut meter = ProgressMeter::new(1_000_000, 2_000_000, start);
        let mut tokens = 1_000_000;
        // Two minutes at 100 tokens per second, then one at 1000.
        let mut last = None;
        for step in 1..=180 {
            tokens += if step <= 120 { 100 } else { 1000 };
            let progress = meter.update(step, tokens, 2.5, start + Duration::from_secs(step));
            assert!((progress.loss - 2.5).abs() < 1e-12);
            if step == 120 {
                assert_eq!(progress.tokens_per_sec, Some(100.0));
            }
            last = Some(progress);
        }
        let last = last.expect("steps");
        assert_eq!((last.step, last.n_tokens, last.tokens_per_sec), (180, 1_072_000, Some(1000.0)));
        assert_eq!(last.remaining_secs, Some(928.0));
    }

    #[test]
    fn nothing_is_known_before_time_has_passed() {
        let start = Instant::now();
        let progress = ProgressMeter::new(0, 10, start).update(1, 5, 1.0, start);
        assert_eq!((progress.tokens_per_sec, progress.remaining_secs), (None, None));
    }

    #[test]
    fn slow_steps_are_measured_over_the_last_one() {
        let start = Instant::now();
        let mut meter = ProgressMeter::new(0, 100, start);
        meter.update(1, 10, 1.0, start + Duration::from_secs(100));
        let progress = meter.update(2, 20, 3.0, start + Duration::from_mins(5));
        assert_eq!((progress.tokens_per_sec, progress.remaining_secs), (Some(0.05), Some(1600.0)));
        assert!(progress.loss > 2.0 && progress.loss < 2.1);
    }
}
