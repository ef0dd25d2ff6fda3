//! The PyTorch peer of `egom2p bench` in `tests/peer`: that it has the published sizes, the rows of `egom2p bench`, and the
//! costs that the graphs of the stages have.
//!
//! Needs a Python that imports torch: the one that `EGOM2P_PYTHON` names, else `python3`.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsString,
    path::PathBuf,
    process::{Command, Output},
};

use egom2p_graph::{Bindings, Dim};
use egom2p_model::{Modality, Preset, Stage, expected_tensors, stage_graph, weights::WeightsPart};
use serde_json::Value;

/// Every row that `egom2p bench` prints of a whole bundle.
const ROWS: [&str; 15] = [
    "video_encoder.default",
    "video_decoder.default",
    "camera_encoder.default",
    "camera_decoder.default",
    "gaze_encoder.default",
    "gaze_decoder.default",
    "encoder.masked",
    "encoder.unmasked",
    "decoder.masked",
    "decoder.unmasked",
    "decoder.contextless",
    "head_camera.default",
    "head_depth.default",
    "head_gaze.default",
    "head_rgb.default",
];

/// Parameters of the published networks (specification sections 1.10, 2.1 and 3).
const PUBLISHED_COUNTS: [(&str, u64); 4] =
    [("model", 396_226_560), ("camera", 179_681_330), ("gaze", 179_659_812), ("video", 112_472_182)];

#[test]
fn slow_parameters_are_those_of_the_presets() {
    let Some(python) = python() else { return };
    for preset in Preset::ALL {
        let report = json(&python, &["--parameters", "--preset", preset.name()]);
        if preset == Preset::Base {
            for (network, count) in PUBLISHED_COUNTS {
                assert_eq!(report[network]["count"], count, "{network}");
            }
        }
        let parts = [
            ("model", WeightsPart::Model),
            ("camera", WeightsPart::Camera),
            ("gaze", WeightsPart::Gaze),
            ("video", WeightsPart::Video),
        ];
        for (network, part) in parts {
            let tensors = report[network]["tensors"].as_object().expect("tensors by name");
            let has: BTreeMap<String, Value> = tensors
                .iter()
                .filter(|(name, _)| !is_alias_or_zero(network, name))
                .map(|(name, shape)| (name.clone(), shape.clone()))
                .collect();
            let expected = expected_tensors(&preset.config(), part).expect("a preset has all stages");
            let expected = expected.into_iter().map(|tensor| (tensor.name, Value::from(tensor.shape))).collect();
            assert_eq!(has, expected, "{preset} {network}");
        }
    }
}

#[test]
fn slow_rows_are_those_of_bench_and_cost_what_the_graphs_cost() {
    let Some(python) = python() else { return };
    let preset = Preset::Tiny;
    let arguments =
        ["--preset", preset.name(), "--device", "cpu", "--secs", "0", "--clips", "1", "--steps", "1", "--json"];
    let report = json(&python, &arguments);

    let rows = report["engines"].as_array().expect("a list of rows");
    let names: Vec<_> = rows.iter().map(|row| format!("{}.{}", text(&row["stage"]), text(&row["variant"]))).collect();
    assert_eq!(names, ROWS);
    for (row, name) in rows.iter().zip(&names) {
        let stage = Stage::from_name(text(&row["stage"])).expect("a stage");
        let variants = stage.variants().iter();
        let variant = variants.copied().find(|variant| variant.name() == text(&row["variant"])).expect("a variant");
        let graph = stage_graph(&preset.config(), stage, variant).expect("a preset has all stages");
        let dims = graph.inputs().flat_map(|(_, fact)| fact.shape.iter().flat_map(Dim::names));
        let dims: Bindings = dims
            .map(|dim| {
                let size = row["dims"][dim].as_u64().unwrap_or_else(|| panic!("{name} has no {dim}"));
                (dim, usize::try_from(size).expect("a length"))
            })
            .collect();
        let cost = graph.cost(&dims).expect("all dimensions are bound");
        assert_eq!(row["flops"], cost.flops, "{name}");
        assert_eq!(row["bytes"], cost.bytes, "{name}");
        let secs = |field: &str| row[field].as_f64().expect("seconds");
        assert!(0.0 < secs("min_secs") && secs("min_secs") <= secs("median_secs"), "{name}");
        assert!(secs("median_secs") <= secs("p95_secs"), "{name}");
    }

    let n_tokens: usize = [Modality::Depth, Modality::Camera, Modality::Gaze]
        .map(|modality| preset.config().n_tokens(modality))
        .iter()
        .sum();
    for (scope, engines) in [
        (
            "predictions",
            &[
                ("video_encoder.default", 1),
                ("video_decoder.default", 1),
                ("camera_decoder.default", 1),
                ("gaze_decoder.default", 1),
                ("encoder.unmasked", 3),
                ("decoder.unmasked", 3),
                ("decoder.contextless", 3),
                ("head_camera.default", 2),
                ("head_depth.default", 2),
                ("head_gaze.default", 2),
            ][..],
        ),
        (
            "tokens",
            &[
                ("encoder.unmasked", 3),
                ("decoder.unmasked", 3),
                ("decoder.contextless", 3),
                ("head_camera.default", 2),
                ("head_depth.default", 2),
                ("head_gaze.default", 2),
            ][..],
        ),
    ] {
        let clips = &report["clips"][scope];
        assert_eq!(clips["tokens"], n_tokens, "{scope}");
        let has: BTreeSet<(&str, u64)> = clips["engines"]
            .as_object()
            .expect("engines by name")
            .iter()
            .map(|(name, engine)| (name.as_str(), engine["calls"].as_u64().expect("a count")))
            .collect();
        assert_eq!(has, engines.iter().copied().collect(), "{scope}");
    }
    assert_eq!(report["bundle"]["preset"], preset.name());
}

#[test]
fn stages_and_greedy_tokens_are_those_of_the_goldens() {
    let Some(python) = python() else { return };
    let goldens = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    if !succeeds(&python, "import numpy, safetensors") {
        eprintln!("skipped: {} does not import numpy and safetensors", python.display());
        return;
    }
    let output = peer(&python, &["--device", "cpu", "--check", goldens.to_str().expect("a path in UTF-8")]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let good = text.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(good >= 40 && !text.contains("skip "), "{text}");
}

/// Names that a weights folder does not hold: aliases of other tensors, and `EgoM2P`'s norm biases, which are zeros.
fn is_alias_or_zero(network: &str, name: &str) -> bool {
    let is_alias =
        name.starts_with("decoder_embeddings.") && name.ends_with(".mod_emb") || name.contains(".to_logits.");
    let is_zero = network == "model" && name.contains("norm") && name.strip_suffix(".bias").is_some();
    is_alias || is_zero
}

/// A Python that has torch; `None`, with a line on standard error, where there is none.
fn python() -> Option<OsString> {
    let python = env::var_os("EGOM2P_PYTHON").unwrap_or_else(|| "python3".into());
    if succeeds(&python, "import torch") {
        return Some(python);
    }
    eprintln!("skipped: {} does not import torch; set EGOM2P_PYTHON", python.display());
    None
}

fn succeeds(python: &OsString, statement: &str) -> bool {
    Command::new(python).args(["-c", statement]).output().is_ok_and(|output| output.status.success())
}

fn json(python: &OsString, arguments: &[&str]) -> Value {
    let output = peer(python, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the peer prints one JSON object")
}

fn peer(python: &OsString, arguments: &[&str]) -> Output {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peer/egom2p_peer.py");
    // Compiled modules would be written beside the sources.
    let mut command = Command::new(python);
    command.arg("-B").arg(script).args(arguments).env("OMP_NUM_THREADS", "2").output().expect("Python starts")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a name")
}
