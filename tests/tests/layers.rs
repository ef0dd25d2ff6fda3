//! Which crate may know which: the arrows of `docs/architecture.md`, and what native libraries each room may link.

use std::{collections::BTreeMap, path::Path, process::Command};

/// Every crate of the workspace with the crates of the workspace that it may name outside of its tests.
const ARROWS: &[(&str, &[&str])] = &[
    ("egom2p-graph", &[]),
    ("egom2p-model", &["egom2p-graph"]),
    ("egom2p-calibration", &["egom2p-graph"]),
    ("egom2p-kernels", &[]),
    ("egom2p-motion", &[]),
    ("egom2p-onnx-proto", &[]),
    ("egom2p-plot", &[]),
    ("egom2p-export", &["egom2p-graph", "egom2p-onnx-proto", "egom2p-engine-core"]),
    ("egom2p-device", &["egom2p-kernels"]),
    ("egom2p-engine-core", &["egom2p-device", "egom2p-onnx-proto"]),
    ("egom2p-engine-onnxruntime", &["egom2p-device", "egom2p-engine-core", "egom2p-onnx-proto"]),
    ("egom2p-tensorrt-sys", &["egom2p-device"]),
    ("egom2p-engine-tensorrt", &["egom2p-device", "egom2p-engine-core", "egom2p-onnx-proto", "egom2p-tensorrt-sys"]),
    (
        "egom2p-engines",
        &[
            "egom2p-device",
            "egom2p-engine-core",
            "egom2p-engine-onnxruntime",
            "egom2p-engine-tensorrt",
            "egom2p-onnx-proto",
        ],
    ),
    ("egom2p-synth", &["egom2p-model"]),
    ("egom2p-torch-native", &[]),
    ("egom2p-torch", &["egom2p-graph", "egom2p-torch-native"]),
    (
        "egom2p-train",
        &[
            "egom2p-graph",
            "egom2p-model",
            "egom2p-calibration",
            "egom2p-engine-core",
            "egom2p-engines",
            "egom2p",
            "egom2p-motion",
            "egom2p-plot",
            "egom2p-synth",
            "egom2p-torch",
            "egom2p-torch-native",
        ],
    ),
    ("egom2p-video-protocol", &[]),
    ("egom2p-video", &["egom2p-video-protocol"]),
    (
        "egom2p",
        &[
            "egom2p-graph",
            "egom2p-model",
            "egom2p-motion",
            "egom2p-calibration",
            "egom2p-export",
            "egom2p-kernels",
            "egom2p-onnx-proto",
            "egom2p-device",
            "egom2p-engine-core",
            "egom2p-engines",
            "egom2p-video-protocol",
        ],
    ),
];

/// Crates that reach a native library, with the only crate that may name them.
const NATIVE: &[(&str, &str)] =
    &[("cudarc", "egom2p-device"), ("ort", "egom2p-engine-onnxruntime"), ("opencv", "egom2p-video")];

/// Crates that may name anything, and that nothing may name.
const TOP: &[&str] = &["egom2p-tests", "xtask"];

#[test]
fn dependencies_follow_the_arrows() {
    let dependencies = dependencies();
    let mut wrong = Vec::new();
    for (package, names) in &dependencies {
        let allowed = ARROWS.iter().find(|(name, _)| name == package).map(|(_, allowed)| *allowed);
        match allowed {
            None if TOP.contains(&package.as_str()) => {}
            None => wrong.push(format!("{package} is not in the table of arrows")),
            Some(allowed) => {
                let ours = names.iter().filter(|name| dependencies.contains_key(*name));
                let strangers = ours.filter(|name| !allowed.contains(&name.as_str()));
                wrong.extend(strangers.map(|name| format!("{package} must not depend on {name}")));
            }
        }
        for (native, owner) in NATIVE {
            if package != owner && names.iter().any(|name| name == native) {
                wrong.push(format!("{package} must not depend on {native}: only {owner} does"));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/architecture.md forbids:\n{}", wrong.join("\n"));
}

#[test]
fn every_arrow_names_a_crate() {
    let dependencies = dependencies();
    for (package, allowed) in ARROWS {
        assert!(dependencies.contains_key(*package), "{package} is not in the workspace");
        assert!(allowed.iter().all(|name| dependencies.contains_key(*name)), "{package} names a stranger: {allowed:?}");
    }
}

/// The packages of the workspace with the names of what they depend on outside of tests.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is inside the workspace");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("a list of dependencies");
            let names = dependencies
                .iter()
                .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
                .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned));
            (package["name"].as_str().unwrap_or_default().to_owned(), names.collect())
        })
        .collect()
}
