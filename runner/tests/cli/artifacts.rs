//! Whether `docs/artifacts.md` names what the files hold.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{bench::Bench, engine_files::write_engine, tensor_files::rgb_tokens};

/// The names of an object's members.
fn members(value: &Value) -> Vec<String> {
    let object = value.as_object().expect("an object");
    object.keys().cloned().collect()
}

fn json(bench: &Bench, file: &str) -> Value {
    serde_json::from_slice(&fs::read(bench.path(file)).expect("it was written")).expect("it is JSON")
}

#[test]
fn every_field_and_file_is_documented() {
    let Some(bench) = Bench::with_camera_bundle() else { return };
    bench.write("rgb.npy", rgb_tokens());
    bench.succeed(&["run", "bundle", "--tokens", "rgb=rgb.npy", "--to", "camera", "--steps", "1", "--out", "out"]);
    let (export, bundle, run) =
        (json(&bench, "onnx/export.json"), json(&bench, "bundle/bundle.json"), json(&bench, "out/run.json"));
    let record = serde_json::to_value(write_engine(&bench, "some.engine", 1)).expect("a record is JSON");
    let engine = &bundle["stages"]["encoder"]["masked"];
    let mut names: Vec<String> = [
        &export,
        &export["stages"]["encoder"][0],
        &export["files"]["model.weights"],
        &bundle,
        engine,
        &engine["profiles"][0]["visible"],
        &record,
        &record["memory"],
        &record["layers"][0],
        &run,
        &run["versions"],
        &run["bundle"],
        &run["input"],
        &run["input"]["tokens"][0],
        &run["settings"],
        &run["settings"]["targets"][0],
        &run["secs"],
        &run["engines"]["encoder.unmasked"],
        &run["steps"][0],
        &run["steps"][0]["secs"],
    ]
    .into_iter()
    .flat_map(members)
    .collect();
    for folder in ["weights", "onnx", "bundle", "out"] {
        let entries = fs::read_dir(bench.path(folder)).expect("it was written");
        let files = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.extend(files.filter(|name| Path::new(name).extension().is_none_or(|extension| extension != "onnx")));
    }
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/artifacts.md"));
    let page = page.expect("the page is there");
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let is_named = |name: &String| {
        page.match_indices(name.as_str())
            .any(|(at, _)| !page[..at].ends_with(is_letter) && !page[at + name.len()..].starts_with(is_letter))
    };
    let missing: Vec<_> = names.into_iter().filter(|name| !is_named(name)).collect();
    assert!(missing.is_empty(), "docs/artifacts.md does not name {}", missing.join(", "));
}
