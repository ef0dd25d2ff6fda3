//! Steps that are timed.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::console::{fail, failure, print, say};

/// Steps with how they ended and how long they took.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: &'static str,
    passed: bool,
    time: Duration,
}

impl Steps {
    /// Runs a step that everything after it needs.
    pub(crate) fn run<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let begin = Instant::now();
        say(format_args!("== {name}"));
        let outcome = step();
        self.done.push(Step { name, passed: outcome.is_ok(), time: begin.elapsed() });
        outcome
    }

    /// Runs a step whose failure does not stop the others.
    pub(crate) fn check(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) {
        if let Err(error) = self.run(name, step) {
            fail(&error);
        }
    }

    /// Prints how long every step took; an error where one failed.
    pub(crate) fn finish(self) -> Result<()> {
        for step in &self.done {
            let outcome = if step.passed { "ok" } else { "FAILED" };
            print(format_args!("{:<28} {outcome:<6} {:>7.1} s", step.name, step.time.as_secs_f64()));
        }
        let total: Duration = self.done.iter().map(|step| step.time).sum();
        print(format_args!("{:<28} {:<6} {:>7.1} s", "total", "", total.as_secs_f64()));
        let failed: Vec<_> = self.done.iter().filter(|step| !step.passed).map(|step| step.name).collect();
        if failed.is_empty() {
            Ok(())
        } else {
            Err(failure(format_args!("failed: {}", failed.join(", ")), "the output of each step is above"))
        }
    }
}
