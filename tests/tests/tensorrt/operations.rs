//! The suite of operations through export and the compiler. Nothing is run: that the same files compute what they
//! should is what ONNX Runtime shows.

use std::{collections::BTreeMap, error::Error, fs, time::Instant};

use egom2p_calibration::Precision;
use egom2p_engine_core::{BuildRequest, Device, DimRange, Profile, RelativePath};
use egom2p_export::{ExternalLayout, Target, export_graph, write_weights};
use egom2p_tests::op_suite::{Case, cases};

use crate::workshop::{Workshop, opset, options_for};

/// How much longer than in the case a named dimension may be.
const SLACK: usize = 4;

fn check(precision: Precision) {
    let Some(workshop) = Workshop::open() else { return };
    let belongs = |case: &&Case| match precision {
        Precision::Fp32 => !case.name.starts_with("fp16/") && !case.name.starts_with("bf16/"),
        half => case.name.starts_with(&format!("{half}/")),
    };
    let all = cases::all();
    let started = Instant::now();
    let (mut n_built, mut failures) = (0, Vec::new());
    for case in all.iter().filter(belongs) {
        match build(&workshop, case, precision) {
            Ok(()) => n_built += 1,
            Err(error) => failures.push(format!("{}: {error}", case.name)),
        }
    }
    eprintln!("{precision}: {n_built} cases in {:.1} s", started.elapsed().as_secs_f64());
    assert!(failures.is_empty() && n_built > 0, "{}", failures.join("\n"));
}

fn build(workshop: &Workshop, case: &Case, precision: Precision) -> Result<(), Box<dyn Error>> {
    const WEIGHTS: &str = "case.weights";
    let folder = tempfile::tempdir_in(workshop.path(""))?;
    let (onnx, engine_dir) = (RelativePath::new("case.onnx")?, RelativePath::new("engines")?);
    let layout = ExternalLayout::new(WEIGHTS, [&case.graph])?;
    write_weights(&folder.path().join(WEIGHTS), &layout, [&case.graph], case.parameters.as_ref())?;
    let model = export_graph(&case.graph, Target::Standard { opset: opset(precision) }, &layout)?;
    fs::write(onnx.below(folder.path()), model)?;
    workshop.backend().build(&BuildRequest {
        root: folder.path(),
        onnx: &onnx,
        engine_dir: &engine_dir,
        name: "case",
        profiles: &[profile(case)],
        device: Device::Cuda,
        options: &options_for(&["8.6"]).compile,
        monitor: &(),
    })?;
    Ok(())
}

/// The lengths that the case's inputs have, and some more.
fn profile(case: &Case) -> Profile {
    let mut dims = BTreeMap::new();
    for (name, fact) in case.graph.inputs() {
        let (_, value) = case.inputs.iter().find(|(fed, _)| *fed == name).expect("every input is fed");
        for (dim, &length) in fact.shape.iter().zip(value.shape()) {
            if let Some(name) = dim.as_named() {
                dims.insert(name.to_owned(), DimRange { min: length, opt: length, max: length + SLACK });
            }
        }
    }
    Profile { dims }
}

#[test]
fn slow_operations_in_fp32() {
    check(Precision::Fp32);
}

#[test]
fn slow_operations_in_fp16() {
    check(Precision::Fp16);
}

#[test]
fn slow_operations_in_bf16() {
    check(Precision::Bf16);
}
