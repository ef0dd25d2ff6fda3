//! The suite of operations, judged by itself: it covers every operation and catches what is wrong.

use std::{collections::BTreeSet, error::Error};

use egom2p_graph::{Literal, LiteralData, interpreter::interpret};
use egom2p_tests::op_suite::{Case, Ignore, Runs, cases, check_backend, check_case, kinds, kinds_of};
use proptest::prelude::*;

/// The interpreter, and what is done to its outputs.
struct Interpreter(fn(LiteralData) -> LiteralData);

impl Runs for Interpreter {
    fn name(&self) -> String {
        "interpreter".to_owned()
    }

    fn run(&self, case: &Case) -> Result<Vec<(String, Literal)>, Box<dyn Error>> {
        let outputs = interpret(&case.graph, &case.inputs, case.parameters.as_ref())?;
        let changed = outputs.into_iter().map(|(name, value)| {
            let shape = value.shape().to_vec();
            Ok((name.to_owned(), Literal::new(shape, (self.0)(value.into_data()))?))
        });
        changed.collect()
    }
}

#[test]
fn every_operation_has_a_case() {
    let covered: BTreeSet<&str> = cases::all().iter().flat_map(|case| kinds_of(&case.graph)).collect();
    let missing: Vec<_> = kinds().difference(&covered).copied().collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

#[test]
fn names_are_unique_and_values_finite() {
    let mut names = BTreeSet::new();
    for case in cases::all() {
        assert!(names.insert(case.name.clone()), "two cases are called {}", case.name);
        let outputs = interpret(&case.graph, &case.inputs, case.parameters.as_ref());
        let outputs = outputs.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        for (name, value) in outputs {
            let finite = value.as_f32().is_none_or(|values| values.iter().all(|value| value.is_finite()));
            assert!(finite, "{}: {name} is not finite", case.name);
        }
    }
}

#[test]
fn the_truth_agrees_with_itself() {
    let report = check_backend(&Interpreter(|data| data), &[]);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.passed, cases::all().len());
}

#[test]
fn a_backend_that_is_off_by_little_is_caught() {
    let off = Interpreter(|data| match data {
        LiteralData::F32(values) => {
            LiteralData::F32(values.into_iter().map(|value| value * 1.002 + 1e-5_f32.copysign(value)).collect())
        }
        LiteralData::I64(values) => LiteralData::I64(values.into_iter().map(|value| value + 1).collect()),
        LiteralData::Bool(values) => LiteralData::Bool(values.into_iter().map(|value| !value).collect()),
    });
    for case in cases::all() {
        let outputs = interpret(&case.graph, &case.inputs, case.parameters.as_ref()).expect("cases are sound");
        let says_something = outputs.iter().any(|(_, value)| !value.data().is_empty());
        assert_eq!(check_case(&off, &case).is_err(), says_something, "{}", case.name);
    }
}

#[test]
fn an_ignore_must_name_a_case() {
    let known = Ignore { case: "add/row", reason: "to see it left out" };
    let report = check_backend(&Interpreter(|data| data), &[known]);
    assert!(report.is_clean() && report.ignored.len() == 1, "{report}");
    let unknown = Ignore { case: "add/nothing", reason: "it was renamed" };
    let report = check_backend(&Interpreter(|data| data), &[unknown]);
    assert_eq!(report.failures, ["add/nothing: ignored, but no case has this name"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_seed_gives_a_sound_case(seed in any::<u64>()) {
        let case = cases::random(seed);
        prop_assert_eq!(check_case(&Interpreter(|data| data), &case), Ok(0.0));
    }
}
