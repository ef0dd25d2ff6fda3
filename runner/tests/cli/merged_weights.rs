//! `egom2p weights merge`: parts from several folders, in one.

use std::fs;

use egom2p_model::weights::{TensorSpec, WeightsDtype, WeightsFile, WeightsStorage, WeightsWriter};

use crate::{bench::Bench, transcript::Transcript};

/// A tensor of the motion tokenizers.
const CODES: &str = "quantize._codebook.embed";

/// Weights of some parts of `egom2p-tiny` in a folder.
fn weights(bench: &Bench, parts: &str, seed: &str, folder: &str) {
    let preset = ["weights", "reproducible", "--preset", "egom2p-tiny"];
    bench.succeed(&[&preset[..], &["--parts", parts, "--seed", seed, "--out", folder]].concat());
}

/// A value with the last 16 bits rounded away, ties to even.
fn to_bfloat16(value: f32) -> f32 {
    let bits = value.to_bits();
    f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}

/// Writes a file again, with its values changed.
fn rewrite(bench: &Bench, file: &str, change: impl Fn(&str, Vec<f32>) -> Option<Vec<f32>>) {
    let path = bench.path(file);
    let old = WeightsFile::open(&path).expect("a weights file");
    let values = old.names().iter().map(|name| (name, old.read_f32(name).expect("a tensor")));
    let values: Vec<_> = values.filter_map(|(name, values)| Some((name, change(name, values)?))).collect();
    let spec = |(name, _): &(&String, _)| TensorSpec {
        name: (*name).clone(),
        shape: old.shape(name).expect("a tensor").to_vec(),
    };
    let mut writer = WeightsWriter::create(&path, values.iter().map(spec).collect()).expect("the folder is writable");
    for (_, values) in &values {
        writer.next_tensor().expect("whole tensors").expect("as many").write(values).expect("room");
    }
    writer.finish().expect("room");
}

#[test]
fn parts_of_several_folders_become_one() {
    let bench = Bench::new();
    weights(&bench, "camera", "1", "a");
    weights(&bench, "gaze", "2", "b");
    // What training keeps beside the weights.
    fs::copy(bench.path("a/camera.safetensors"), bench.path("a/optimizer.safetensors")).expect("room");
    bench.write("a/state.json", "{}");
    let mut transcript = Transcript::new(&bench);
    transcript.succeeds("weights merge b a --out merged");
    transcript.succeeds("weights merge a b --store bf16 --out halves");
    transcript.succeeds("inspect halves");
    insta::assert_snapshot!(transcript.text());

    for (folder, name) in [("a", "camera.safetensors"), ("b", "gaze.safetensors")] {
        let [source, merged, halves] = [folder, "merged", "halves"]
            .map(|folder| WeightsFile::open(&bench.path(&format!("{folder}/{name}"))).expect("a weights file"));
        // The rule also makes what published checkpoints hold and no stage reads.
        let left_out = |name: &&String| name.starts_with("quantize._codebook.") && name.as_str() != CODES;
        let expected: Vec<_> = source.names().iter().filter(|name| !left_out(name)).cloned().collect();
        assert!(expected.len() < source.names().len());
        assert_eq!(merged.names(), expected);
        assert_eq!(halves.names(), expected);
        for name in &expected {
            let values = source.read_f32(name).expect("a tensor");
            assert_eq!(merged.tensor_digest(name).expect("a tensor"), source.tensor_digest(name).expect("a tensor"));
            assert_eq!(halves.dtype(name).expect("a tensor"), WeightsDtype::BF16);
            let rounded: Vec<f32> = values.iter().map(|value| to_bfloat16(*value)).collect();
            assert_eq!(halves.read_f32(name).expect("a tensor"), rounded, "{name}");
        }
    }
    let listed = bench.files();
    let in_merged: Vec<_> = listed.keys().filter_map(|name| name.strip_prefix("merged/")).collect();
    assert_eq!(in_merged, ["camera.safetensors", "config.json", "gaze.safetensors"]);
}

#[test]
fn halves_are_exported_as_what_they_were_rounded_to() {
    let bench = Bench::new();
    weights(&bench, "gaze", "3", "weights");
    for store in WeightsStorage::ALL {
        let merged = format!("merged-{store}");
        bench.succeed(&["weights", "merge", "weights", "--store", store.name(), "--out", &merged]);
        bench.succeed(&["export", &merged, "--out", &format!("onnx-{store}")]);
        let rounded = format!("rounded-{store}");
        bench.copy(&merged, &rounded);
        // The same values as fp32.
        rewrite(&bench, &format!("{rounded}/gaze.safetensors"), |_, values| Some(values));
        bench.succeed(&["export", &rounded, "--out", &format!("onnx-rounded-{store}")]);
        let exported = |folder: &str| fs::read(bench.path(&format!("{folder}/gaze.weights"))).expect("it was exported");
        assert!(exported(&format!("onnx-{store}")) == exported(&format!("onnx-rounded-{store}")), "{store}");
    }
    let exported = |store: &str| fs::read(bench.path(&format!("onnx-{store}/gaze.weights"))).expect("it was exported");
    assert!(exported("fp32") != exported("bf16") && exported("bf16") != exported("fp16"), "nothing was rounded");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let bench = Bench::new();
    weights(&bench, "camera,gaze", "1", "a");
    weights(&bench, "gaze", "2", "b");
    let base = ["weights", "reproducible", "--preset", "egom2p-base", "--parts", "camera", "--out", "base"];
    bench.succeed(&base);
    for folder in ["lacking", "broken", "loud"] {
        bench.copy("b", folder);
    }
    let changed = |name: &str, mut values: Vec<f32>, value: f32| {
        if name == CODES {
            values[0] = value;
        }
        Some(values)
    };
    rewrite(&bench, "lacking/gaze.safetensors", |name, values| (name != CODES).then_some(values));
    rewrite(&bench, "broken/gaze.safetensors", |name, values| changed(name, values, f32::NAN));
    rewrite(&bench, "loud/gaze.safetensors", |name, values| changed(name, values, 1e6));
    let mut transcript = Transcript::new(&bench);
    for line in [
        "weights merge a b --out merged",
        "weights merge b base --out merged",
        "weights merge a nothing --out merged",
        "weights merge lacking --out merged",
        "weights merge broken --out merged",
        "weights merge loud --store fp16 --out merged",
        "weights merge b --out base",
    ] {
        transcript.fails(line);
    }
    transcript.succeeds("weights merge loud --store bf16 --out merged");
    insta::assert_snapshot!(transcript.text());
}
