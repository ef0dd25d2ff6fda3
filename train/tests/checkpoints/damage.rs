//! Checkpoints that were changed after they were whole, and those that somebody else made.

use crate::training::{names, training};
use egom2p_train::checkpoint::{self, CheckpointError};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tch::Device;

const FILES: [&str; 4] = ["config.json", "model.safetensors", "optimizer.safetensors", "state.json"];

fn saved(folder: &Path) -> PathBuf {
    checkpoint::save(folder, &training(1), 2).unwrap();
    checkpoint::save(folder, &training(2), 2).unwrap()
}

/// The newest is refused, however it is asked for, and never passed over for an older one.
fn assert_damaged(path: &Path, what: &str) {
    for error in [
        checkpoint::latest(path.parent().unwrap()).unwrap_err(),
        checkpoint::load(path, Device::Cpu).unwrap_err(),
        checkpoint::restore(path, &mut training(0)).unwrap_err(),
    ] {
        assert!(matches!(error, CheckpointError::Damaged { .. }), "{what}: {error}");
        let text = error.to_string();
        assert!(text.contains("step-00000002") && text.contains(what) && text.lines().count() == 2, "{what}: {text}");
    }
}

#[test]
fn a_changed_byte_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    for name in FILES {
        let file = path.join(name);
        let bytes = fs::read(&file).unwrap();
        // Every byte of the state is meant; the other files are covered by one digest each.
        let stride = if name == "state.json" { 1 } else { bytes.len() / 7 };
        for index in (0..bytes.len()).step_by(stride) {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            fs::write(&file, &changed).unwrap();
            let error = checkpoint::load(&path, Device::Cpu).unwrap_err();
            let expected = match error {
                CheckpointError::Damaged { .. } => true,
                // The schema's own digit.
                CheckpointError::Schema { .. } => name == "state.json",
                _ => false,
            };
            assert!(expected, "byte {index} of {name}: {error}");
        }
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        assert_damaged(&path, name);
        fs::write(&file, [&bytes[..], b" x"].concat()).unwrap();
        assert_damaged(&path, name);
        fs::remove_file(&file).unwrap();
        assert_damaged(&path, name);
        fs::write(&file, &bytes).unwrap();
        assert_eq!(checkpoint::latest(folder.path()).unwrap().as_ref(), Some(&path));
    }
}

#[test]
fn an_interrupted_write_is_passed_over_and_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    let left = ["step-00000003.partial", "step-00000000.removed"].map(|name| folder.path().join(name));
    for left in &left {
        fs::create_dir(left).unwrap();
        fs::copy(path.join("config.json"), left.join("config.json")).unwrap();
    }
    fs::create_dir(folder.path().join("notes.partial")).unwrap();
    assert_eq!(checkpoint::latest(folder.path()).unwrap().as_ref(), Some(&path));
    let [partial, removed] = left;
    assert_eq!(checkpoint::interrupted(folder.path()).unwrap(), [removed, partial]);
    checkpoint::save(folder.path(), &training(3), 2).unwrap();
    assert_eq!(names(folder.path()), ["notes.partial", "step-00000002", "step-00000003"]);
}

#[test]
fn a_renamed_checkpoint_is_not_the_latest() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    fs::rename(&path, folder.path().join("step-00000009")).unwrap();
    let error = checkpoint::latest(folder.path()).unwrap_err();
    assert!(error.to_string().contains("it is of step 2"), "{error}");
}

/// Puts bytes into a file of a checkpoint and makes every digest fit.
fn forge(path: &Path, name: &str, bytes: &[u8]) {
    fs::write(path.join(name), bytes).unwrap();
    forge_state(path, |state| {
        let entry = json!({"n_bytes": bytes.len(), "digest": blake3::hash(bytes).to_hex().to_string()});
        state["files"][name] = entry;
    });
}

fn forge_state(path: &Path, change: impl FnOnce(&mut Value)) {
    let file = path.join("state.json");
    let mut state: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    change(&mut state);
    state["digest"] = json!("");
    let digest = blake3::hash(&serde_json::to_vec(&state).unwrap()).to_hex().to_string();
    state["digest"] = json!(digest);
    fs::write(&file, serde_json::to_vec(&state).unwrap()).unwrap();
}

type Change = fn(&mut Value);

fn safetensors(header: &str, n_data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + n_data, 0);
    bytes
}

#[test]
fn hostile_files_with_fitting_digests_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    let file = path.join("optimizer.safetensors");
    let whole = fs::read(&file).unwrap();
    forge(&path, "optimizer.safetensors", &whole);
    checkpoint::load(&path, Device::Cpu).unwrap();
    let name = "optimizer.first.encoder_norm.weight";
    let tensor = |name: &str, dtype: &str, shape: &str, end: &str| {
        format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#)
    };
    let refused = [
        ("no header", Vec::new()),
        ("a header without end", u64::MAX.to_le_bytes().to_vec()),
        ("no JSON", safetensors("{", 0)),
        ("nested", safetensors(&"[".repeat(100_000), 0)),
        ("a shape that overflows", safetensors(&tensor(name, "F32", "[4294967296,4294967296,4]", "0"), 0)),
        ("more data than there is", safetensors(&tensor(name, "F32", "[12]", "48"), 8)),
        ("less data than there is", safetensors(&tensor(name, "F32", "[12]", "48"), 64)),
        ("an end before the start", safetensors(&tensor(name, "F32", "[12]", "-48"), 48)),
        ("another shape", safetensors(&tensor(name, "F32", "[3,4]", "48"), 48)),
        ("many axes", safetensors(&tensor(name, "F32", &format!("[{}1]", "1,".repeat(100_000)), "4"), 4)),
        ("another type", safetensors(&tensor(name, "I32", "[12]", "48"), 48)),
        ("another precision", safetensors(&tensor(name, "F64", "[12]", "96"), 96)),
        ("nobody's moment", safetensors(&tensor("optimizer.first.nobody", "F32", "[12]", "48"), 48)),
        ("a name with control characters", safetensors(&tensor("a\\n\\u001b[2J", "F32", "[12]", "48"), 48)),
        ("a long name", safetensors(&tensor(&"a".repeat(1 << 20), "F32", "[12]", "48"), 48)),
    ];
    for (what, bytes) in refused {
        forge(&path, "optimizer.safetensors", &bytes);
        let error = checkpoint::load(&path, Device::Cpu).expect_err(what).to_string();
        assert!(error.lines().count() == 2 && error.len() < 1000 && !error.contains('\u{1b}'), "{what}: {error}");
        checkpoint::restore(&path, &mut training(0)).expect_err(what);
    }
}

#[test]
fn hostile_states_with_fitting_digests_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    let whole = fs::read(path.join("state.json")).unwrap();
    let refused: [(&str, Change); 9] = [
        ("another schema", |state| state["schema"] = json!(2)),
        ("no schema", |state| state["schema"] = json!("one")),
        ("a negative step", |state| state["step"] = json!(-1)),
        ("another file", |state| state["weights"] = json!("../../elsewhere.safetensors")),
        ("a file without digest", |state| state["files"] = json!({})),
        ("a large config", |state| state["files"]["config.json"]["n_bytes"] = json!(u64::MAX)),
        ("a large file", |state| state["files"]["model.safetensors"]["n_bytes"] = json!(u64::MAX)),
        ("a field more", |state| state["more"] = json!(1)),
        ("the tokenizer's name", |state| {
            state["weights"] = json!("gaze.safetensors");
            state["files"]["gaze.safetensors"] = state["files"]["model.safetensors"].clone();
        }),
    ];
    for (what, change) in refused {
        forge_state(&path, change);
        let error = checkpoint::load(&path, Device::Cpu).expect_err(what);
        assert_eq!(error.to_string().lines().count(), 2, "{what}: {error}");
        assert_eq!(matches!(error, CheckpointError::Schema { got: 2, .. }), what == "another schema", "{error}");
        fs::write(path.join("state.json"), &whole).unwrap();
    }
    forge(&path, "config.json", (" ".repeat(1 << 20) + "{").as_bytes());
    assert_damaged(&path, "config.json has 1048577 bytes");
    fs::write(path.join("state.json"), "[".repeat(1_000_000)).unwrap();
    assert_damaged(&path, "state.json is not readable");
}
