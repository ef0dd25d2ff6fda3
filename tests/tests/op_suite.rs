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
fn every_operation_that_takes_halves_has_a_case_in_each() {
    // The unsafe ones, and those that read and give no floats.
    let unsafe_in_half = ["layer_norm", "frame_norm", "l2_normalize", "arg_max", "fsq_quantize", "fsq_dequantize"];
    let without_halves = unsafe_in_half.into_iter().chain(["equal", "and"]).collect();
    for prefix in ["fp16/", "bf16/"] {
        let cases = cases::all().into_iter().filter(|case| case.name.starts_with(prefix));
        let covered: BTreeSet<&str> = cases.flat_map(|case| kinds_of(&case.graph)).collect();
        let missing: BTreeSet<_> = kinds().difference(&covered).copied().collect();
        assert_eq!(missing, without_halves, "{prefix}");
    }
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
    fn off(data: LiteralData, factor: f32) -> LiteralData {
        match data {
            LiteralData::F32(values) => {
                LiteralData::F32(values.into_iter().map(|value| value * factor + 1e-5_f32.copysign(value)).collect())
            }
            LiteralData::I64(values) => LiteralData::I64(values.into_iter().map(|value| value + 1).collect()),
            LiteralData::Bool(values) => LiteralData::Bool(values.into_iter().map(|value| !value).collect()),
        }
    }
    let (fine, coarse) = (Interpreter(|data| off(data, 1.002)), Interpreter(|data| off(data, 1.016)));
    for case in cases::all() {
        let off = if case.name.starts_with("bf16/") { &coarse } else { &fine };
        let outputs = interpret(&case.graph, &case.inputs, case.parameters.as_ref()).expect("cases are sound");
        let says_something = outputs.iter().any(|(_, value)| !value.data().is_empty());
        assert_eq!(check_case(off, &case).is_err(), says_something, "{}", case.name);
    }
}

#[test]
fn an_ignore_must_name_a_case() {
    let known = Ignore { case: "add/row", reason: "to see it left out" };
    let report = check_backend(&Interpreter(|data| data), &[known]);
    assert!(report.is_clean() && report.ignored.len() == 1, "{report}");
    let family = Ignore { case: "bf16/", reason: "to see a family left out" };
    let report = check_backend(&Interpreter(|data| data), &[family]);
    let names: Vec<_> =
        cases::all().into_iter().map(|case| case.name).filter(|name| name.starts_with("bf16/")).collect();
    let ignored: Vec<_> = report.ignored.iter().map(|(name, _)| name.clone()).collect();
    assert!(report.is_clean() && ignored == names, "{report}");
    let beginning = Ignore { case: "add/ro", reason: "the beginning of a name is no name" };
    assert!(!check_backend(&Interpreter(|data| data), &[beginning]).is_clean());
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
