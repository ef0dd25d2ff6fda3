use std::collections::BTreeSet;
use std::fmt;

use super::{Damage, DataError};

/// Who is told of damage.
pub(super) type Report = Box<dyn FnMut(&Damage) + Send>;

/// What of the data is damaged: everything is told once, and counted.
pub(super) struct Ledger {
    report: Report,
    limit: usize,
    damaged: BTreeSet<String>,
    n_skipped: u64,
    /// The damage that was one too many.
    last: Option<String>,
}

impl Ledger {
    pub(super) fn new(limit: usize, report: Report) -> Self {
        Self { report, limit, damaged: BTreeSet::new(), n_skipped: 0, last: None }
    }

    /// Fails once there was more damage than the limit.
    pub(super) fn check(&self) -> Result<(), DataError> {
        let error = |last: &String| DataError::TooMuchDamage { limit: self.limit, last: last.clone() };
        self.last.as_ref().map_or(Ok(()), |last| Err(error(last)))
    }

    /// Enters a damage. Fails past the limit.
    pub(super) fn enter(&mut self, damage: &Damage) -> Result<(), DataError> {
        self.n_skipped += 1;
        let what = damage.what();
        if !self.damaged.contains(&what) {
            (self.report)(damage);
            if self.damaged.len() >= self.limit {
                self.last = Some(what);
            } else {
                self.damaged.insert(what);
            }
        }
        self.check()
    }

    /// The first lines of all different damages.
    pub(super) fn damaged(&self) -> &BTreeSet<String> {
        &self.damaged
    }

    /// How often something was passed over; what is drawn again counts again.
    pub(super) fn n_skipped(&self) -> u64 {
        self.n_skipped
    }

    /// Goes back to what a position says.
    pub(super) fn restore(&mut self, damaged: BTreeSet<String>, n_skipped: u64) {
        (self.damaged, self.n_skipped, self.last) = (damaged, n_skipped, None);
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("damaged", &self.damaged)
            .field("n_skipped", &self.n_skipped)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::Ledger;
    use crate::data::{Damage, DataError};

    #[test]
    fn every_damage_is_told_once_and_counted_until_the_limit() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&told);
        let mut ledger = Ledger::new(2, Box::new(move |damage| to.lock().expect("one thread").push(damage.clone())));
        let missing = |path: &str| Damage::Missing { path: path.to_owned() };
        for path in ["a", "b", "a", "a"] {
            ledger.enter(&missing(path)).expect("two of two");
        }
        assert_eq!((ledger.n_skipped(), ledger.damaged().len()), (4, 2));
        for result in [ledger.enter(&missing("c")), ledger.check()] {
            let error = result.expect_err("a third");
            assert!(
                matches!(&error, DataError::TooMuchDamage { limit: 2, last } if last == "c is not there"),
                "{error}"
            );
        }
        assert_eq!(*told.lock().expect("one thread"), ["a", "b", "c"].map(missing));
    }
}
