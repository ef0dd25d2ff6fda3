use std::time::{Duration, Instant};

/// The fewest timed runs, however long they take.
const MIN_RUNS: usize = 3;
/// The most timed runs, however short they are.
const MAX_RUNS: usize = 1000;
/// A first run below this many seconds is followed by more warm-up.
const SHORT_SECS: f64 = 1.0;
/// Warm-up runs of what is short; of what is not, there is one.
const SHORT_WARM_UP_RUNS: usize = 3;

/// How runs are repeated, for reports.
pub const REPEAT_RULE: &str = "1 warm-up run, 3 where the first is below 1 s; then timed runs until the time is over, at least 3 and at most \
     1000; p95 is the nearest rank: the smallest time that at least 95 % of the runs do not exceed";

/// What several runs of one thing took.
#[derive(Clone, PartialEq, Debug)]
pub struct Latency {
    /// Runs before the timed ones.
    pub warm_up_runs: usize,
    sorted_secs: Vec<f64>,
}

impl Latency {
    /// The latency of a timed run and of those after it, in any order.
    pub fn new(warm_up_runs: usize, first_secs: f64, more_secs: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted_secs = vec![first_secs];
        sorted_secs.extend(more_secs);
        sorted_secs.sort_by(f64::total_cmp);
        Self { warm_up_runs, sorted_secs }
    }

    /// The number of timed runs.
    pub fn runs(&self) -> usize {
        self.sorted_secs.len()
    }

    /// The middle time; of an even number of runs, the mean of the two in the middle.
    pub fn median_secs(&self) -> f64 {
        let (upper, lower) = (self.runs() / 2, (self.runs() - 1) / 2);
        f64::midpoint(self.sorted_secs[lower], self.sorted_secs[upper])
    }

    /// The smallest time that at least 95 % of the runs do not exceed (nearest rank): of 20 runs the 19th, of fewer the
    /// largest.
    pub fn p95_secs(&self) -> f64 {
        let rank = (self.runs() * 95).div_ceil(100);
        self.sorted_secs[rank - 1]
    }

    /// The smallest time.
    pub fn min_secs(&self) -> f64 {
        self.sorted_secs[0]
    }
}

/// Runs something by [`REPEAT_RULE`] with this much time for the timed runs.
///
/// # Errors
/// The first error of a run.
pub fn measure<E>(budget: Duration, mut run: impl FnMut() -> Result<(), E>) -> Result<Latency, E> {
    let mut timed = || {
        let started = Instant::now();
        run()?;
        Ok(started.elapsed().as_secs_f64())
    };
    let n_warm_up = if timed()? < SHORT_SECS { SHORT_WARM_UP_RUNS } else { 1 };
    for _ in 1..n_warm_up {
        timed()?;
    }
    let started = Instant::now();
    let first = timed()?;
    let mut more = Vec::new();
    while more.len() + 1 < MIN_RUNS || more.len() + 1 < MAX_RUNS && started.elapsed() < budget {
        more.push(timed()?);
    }
    Ok(Latency::new(n_warm_up, first, more))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Latency, MAX_RUNS, MIN_RUNS, SHORT_WARM_UP_RUNS, measure};

    fn of(secs: impl IntoIterator<Item = u32>) -> Latency {
        let mut secs = secs.into_iter().map(f64::from);
        let first = secs.next().expect("there is a run");
        Latency::new(1, first, secs)
    }

    #[test]
    fn median_and_p95_of_known_lists() {
        let statistics = |latency: Latency| (latency.median_secs(), latency.p95_secs(), latency.min_secs());
        assert_eq!(statistics(of([7])), (7.0, 7.0, 7.0));
        assert_eq!(statistics(of([4, 1])), (2.5, 4.0, 1.0));
        assert_eq!(statistics(of([5, 9, 1])), (5.0, 9.0, 1.0));
        assert_eq!(statistics(of((1..=19).rev())), (10.0, 19.0, 1.0));
        assert_eq!(statistics(of((1..=20).rev())), (10.5, 19.0, 1.0));
        assert_eq!(statistics(of(1..=100)), (50.5, 95.0, 1.0));
        assert_eq!(statistics(of(1..=1000)), (500.5, 950.0, 1.0));
    }

    #[test]
    fn runs_are_repeated_by_the_rule() {
        let count = |budget| {
            let mut n_runs = 0;
            let latency = measure(budget, || {
                n_runs += 1;
                Ok::<(), ()>(())
            });
            let latency = latency.expect("no run fails");
            assert_eq!(n_runs, latency.warm_up_runs + latency.runs());
            (latency.warm_up_runs, latency.runs())
        };
        assert_eq!(count(Duration::ZERO), (SHORT_WARM_UP_RUNS, MIN_RUNS));
        assert_eq!(count(Duration::from_hours(1)), (SHORT_WARM_UP_RUNS, MAX_RUNS));
    }

    #[test]
    fn the_first_error_ends_it() {
        let mut n_runs = 0;
        let result = measure(Duration::ZERO, || {
            n_runs += 1;
            if n_runs == 5 { Err("the fifth") } else { Ok(()) }
        });
        assert_eq!((result, n_runs), (Err("the fifth"), 5));
    }
}
