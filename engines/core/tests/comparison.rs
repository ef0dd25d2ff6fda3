//! The numbers in comparison reports, against hand-computed ones.

#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests panic where they fail, and these numbers are exact")]

use egom2p_engine_core::{Comparison, Tensor, Tolerance};
use std::slice::from_ref;

const TIGHT: Tolerance = Tolerance { abs: 1e-3, rel: 0.0 };

fn f32s(name: &str, data: &[f32]) -> (String, Tensor) {
    (name.to_owned(), Tensor::f32([data.len()], data.to_vec()).unwrap())
}

#[test]
fn statistics_and_passing_tolerances() {
    let reference = f32s("y", &[1.0, 2.0, 4.0, -8.0]);
    let actual = f32s("y", &[1.0, 2.5, 4.0, -9.0]);
    let report = Comparison::new(from_ref(&actual), from_ref(&reference), TIGHT);
    let y = &report.outputs[0];
    let abs = y.abs.unwrap();
    assert_eq!((abs.max, abs.mean, abs.median, abs.p99), (1.0, 0.375, 0.0, 1.0));
    assert_eq!(y.rel.unwrap().max, 0.25);
    assert_eq!((y.n_outside, y.passing_abs), (2, Some(1.0)));
    let worst = y.worst.as_ref().unwrap();
    assert_eq!((worst.index.clone(), &*worst.actual, &*worst.reference), (vec![3], "-9", "-8"));
    assert!(!report.passed());

    let passing = Tolerance { abs: y.passing_abs.unwrap(), rel: 0.0 };
    assert!(Comparison::new(from_ref(&actual), from_ref(&reference), passing).passed());
    let passing = Tolerance { abs: TIGHT.abs, rel: y.passing_rel.unwrap() + 1e-12 };
    assert!(Comparison::new(from_ref(&actual), from_ref(&reference), passing).passed());
    let failing = Tolerance { abs: TIGHT.abs, rel: y.passing_rel.unwrap() * 0.99 };
    assert!(!Comparison::new(from_ref(&actual), from_ref(&reference), failing).passed());
}

#[test]
fn unmatched_names_and_shapes_fail() {
    let (a, b) = (f32s("a", &[1.0]), f32s("b", &[1.0]));
    let report = Comparison::new(from_ref(&a), &[a.clone(), b.clone()], TIGHT);
    assert!(!report.passed());
    assert_eq!(report.only_reference, ["b"]);
    let report = Comparison::new(&[a.clone(), b], from_ref(&a), TIGHT);
    assert!(!report.passed());
    assert_eq!(report.only_actual, ["b"]);
    let longer = f32s("a", &[1.0, 1.0]);
    let report = Comparison::new(&[longer], from_ref(&a), TIGHT);
    assert!(report.outputs[0].incomparable.as_ref().unwrap().starts_with("shape"));
    assert!(!report.passed());
    assert!(!Comparison::new(&[], &[], TIGHT).passed(), "comparing nothing is no success");
}

#[test]
fn non_finite_elements() {
    let reference = f32s("y", &[f32::NAN, f32::INFINITY, 1.0]);
    assert!(Comparison::new(from_ref(&reference), from_ref(&reference), TIGHT).passed());
    for bad in [[0.0, f32::INFINITY, 1.0], [f32::NAN, f32::NEG_INFINITY, 1.0], [f32::NAN, f32::INFINITY, f32::NAN]] {
        let report = Comparison::new(&[f32s("y", &bad)], from_ref(&reference), Tolerance { abs: 1e30, rel: 1e30 });
        let y = &report.outputs[0];
        assert!(!report.passed(), "{bad:?}");
        assert_eq!((y.n_non_finite, y.passing_abs, y.passing_rel), (1, None, None));
        let json = serde_json::to_string(&report).unwrap();
        let back: Comparison = serde_json::from_str(&json).unwrap();
        assert_eq!(back, report, "a report survives JSON");
    }
}

#[test]
fn integers_are_compared_exactly() {
    let tensor = |value: i64| ("t".to_owned(), Tensor::i64([1], vec![value]).unwrap());
    let loose = Tolerance { abs: 100.0, rel: 1.0 };
    assert!(Comparison::new(&[tensor(7)], &[tensor(7)], loose).passed());
    assert!(!Comparison::new(&[tensor(8)], &[tensor(7)], loose).passed());
    let large = 1 << 60;
    assert!(!Comparison::new(&[tensor(large + 1)], &[tensor(large)], loose).passed());
}

#[test]
fn the_worst_tensor_stands_first_and_the_table_shows_it() {
    let reference = [f32s("good", &[1.0]), f32s("bad", &[1.0]), f32s("worse", &[1.0])];
    let actual = [f32s("good", &[1.0]), f32s("bad", &[1.1]), f32s("worse", &[2.0])];
    let report = Comparison::new(&actual, &reference, TIGHT);
    let order: Vec<&str> = report.outputs.iter().map(|output| &*output.name).collect();
    assert_eq!(order, ["worse", "bad", "good"]);
    let table = report.to_string();
    assert!(table.lines().nth(1).unwrap().starts_with("FAIL  worse"), "{table}");
    assert!(table.ends_with("failed with abs 1.0e-3, rel 0.0e0"), "{table}");
}
