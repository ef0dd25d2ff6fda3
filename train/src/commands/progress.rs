use crate::console;
use egom2p_train::metrics::{LOSS, ProgressMeter};
use indicatif::{FormattedDuration, ProgressBar};
use std::time::{Duration, Instant};

/// The name of the number of tokens that a step saw.
pub(super) const TOKENS: &str = "tokens";

/// How far a training is, as a bar with its loss, tokens per second and the time that is left.
pub(super) struct TrainingProgress {
    bar: ProgressBar,
    end: u64,
    steps: ProgressMeter,
    tokens: ProgressMeter,
    n_tokens: u64,
    /// The smoothed loss; `None` before the first step.
    loss: Option<f64>,
    /// Loss, throughput and what is left, in words.
    line: String,
}

impl TrainingProgress {
    /// A training that goes on behind `step` and ends at `end`.
    pub(super) fn start(step: u64, end: u64) -> Self {
        let (bar, now) = (console::progress(end), Instant::now());
        bar.set_position(step);
        let (steps, tokens) = (ProgressMeter::new(step, end, now), ProgressMeter::new(0, 0, now));
        Self { bar, end, steps, tokens, n_tokens: 0, loss: None, line: String::new() }
    }

    /// Takes note of a step and its values.
    pub(super) fn update(&mut self, step: u64, values: &[(String, f64)]) {
        let value = |name: &str| values.iter().find(|(found, _)| found == name).map(|(_, value)| *value);
        let (now, loss) = (Instant::now(), value(LOSS).unwrap_or(f64::NAN));
        self.n_tokens += value(TOKENS).unwrap_or(0.0) as u64;
        let steps = self.steps.update(step, step, loss, now);
        let tokens = self.tokens.update(step, self.n_tokens, loss, now);
        self.loss = Some(steps.loss);
        let speed = tokens.tokens_per_sec.map(|rate| format!(", {rate:.0} tokens/s")).unwrap_or_default();
        let left = steps.remaining_secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
        let left = left.map(|left| format!(", {} left", FormattedDuration(left))).unwrap_or_default();
        self.line = format!("loss {:.4}{speed}{left}", steps.loss);
        self.bar.set_position(step);
        self.bar.set_message(self.line.clone());
    }

    /// Says so in a line that stays.
    pub(super) fn say(&self, step: u64) {
        console::note(format_args!("step {step} of {}: {}", self.end, self.line));
    }

    /// The loss, smoothed over some twenty steps; `None` before the first step.
    pub(super) fn loss(&self) -> Option<f64> {
        self.loss
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
