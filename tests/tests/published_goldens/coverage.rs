//! Which test holds which published value: nothing in the folder is left out unnoticed.

use std::{env, fs, path::Path, process::Command};

use egom2p_tests::published::{Form, Golden, folder, matches};
use serde_json::Value;

/// What becomes of a tensor.
enum By {
    /// A test of every form beside this file.
    EveryForm(&'static str),
    /// A test of code that no form differs in, by its file and name.
    Host(&'static str, &'static str),
    /// Nothing that runs here, for this reason.
    Nobody(&'static str),
}

const HOST_DECODING: &str = "runner/tests/host_goldens/decoding.rs";
const HOST_MOTION: &str = "runner/tests/host_goldens/motion.rs";
const HOST_SAMPLING: &str = "runner/tests/host_goldens/sampling.rs";

const OF_TRAINING: By = By::Nobody("belongs to training");
const SAYS_WHICH_TOKENS: By = By::Nobody("says how clear a draw is; every draw is compared");

/// File, tensors and what becomes of them; the first line that matches counts. A `*` stands for any text.
const TABLE: &[(&str, &str, By)] = &[
    ("tiny_forward", "in/*/decoder_attention_mask", By::Nobody("the published layout of what target_mask says")),
    ("tiny_forward", "*", By::EveryForm("forward::tiny_forward")),
    ("full_forward", "*", By::EveryForm("forward::slow_full_forward")),
    ("tiny_gen_*", "*/race_margin", SAYS_WHICH_TOKENS),
    ("tiny_gen_rgb2cam", "*", By::EveryForm("generation::tiny_gen_rgb2cam")),
    ("tiny_gen_rgb2gaze", "*", By::EveryForm("generation::tiny_gen_rgb2gaze")),
    ("tiny_gen_rgb2depth", "*", By::EveryForm("generation::tiny_gen_rgb2depth")),
    ("tiny_gen_depth2rgb", "*", By::EveryForm("generation::tiny_gen_depth2rgb")),
    ("tiny_gen_rgb2depth_then_cam", "*", By::EveryForm("generation::tiny_gen_rgb2depth_then_cam")),
    ("full_gen_rgb2cam", "*", By::EveryForm("generation::slow_full_gen_rgb2cam")),
    ("full_gen_rgb2gaze", "*", By::EveryForm("generation::slow_full_gen_rgb2gaze")),
    ("cam_tokenizer", "raw_c2w", By::Host(HOST_MOTION, "camera_preprocessing")),
    ("cam_tokenizer", "canonical_9d", By::Host(HOST_MOTION, "camera_preprocessing")),
    ("cam_tokenizer", "x64", By::Host(HOST_MOTION, "camera_preprocessing")),
    ("cam_tokenizer", "*", By::EveryForm("motion::slow_cam_tokenizer")),
    ("gaze_tokenizer", "raw", By::Host(HOST_MOTION, "gaze_preprocessing")),
    ("gaze_tokenizer", "x64", By::Host(HOST_MOTION, "gaze_preprocessing")),
    ("gaze_tokenizer", "*", By::EveryForm("motion::slow_gaze_tokenizer")),
    ("video_tokenizer_clip9", "*", By::EveryForm("video::slow_video_tokenizer_clip9")),
    ("video_tokenizer_clip17", "*", By::EveryForm("video::slow_video_tokenizer_clip17")),
    ("video_tokenizer_real16", "*", By::EveryForm("video::slow_video_tokenizer_real16")),
    ("host_functions", "schedule/*", By::Host(HOST_DECODING, "token_schedules")),
    ("host_functions", "temperature/*", By::Host(HOST_DECODING, "temperature_schedules")),
    ("host_functions", "sampling/noise", By::Host(HOST_DECODING, "exponential_noise")),
    ("host_functions", "sampling/kept/*", By::Host(HOST_SAMPLING, "survivors_of_the_filters")),
    ("host_functions", "sampling/*", By::Host(HOST_SAMPLING, "draws_and_their_probabilities")),
    ("host_functions", "rng/raw32/*", By::Host(HOST_DECODING, "raw_outputs_and_uniform_values")),
    ("host_functions", "rng/rand/*", By::Host(HOST_DECODING, "raw_outputs_and_uniform_values")),
    ("host_functions", "rng/order/*", By::Host(HOST_DECODING, "position_orders_with_their_ties")),
    ("host_functions", "rng/masked_*", By::Host(HOST_DECODING, "masked_orders_with_their_ties")),
    ("host_functions", "rng/exponential*", By::Host(HOST_DECODING, "exponential_noise")),
    ("host_functions", "rng/randperm/*", By::Nobody("decoding draws no permutations")),
    ("host_functions", "metric/*", By::Host(HOST_MOTION, "trajectory_metrics")),
    ("host_functions", "pose/c2w", By::Host(HOST_MOTION, "camera_preprocessing")),
    ("host_functions", "pose/canonical_9d", By::Host(HOST_MOTION, "camera_preprocessing")),
    ("host_functions", "pose/*", By::Host(HOST_MOTION, "camera_postprocessing")),
    ("host_functions", "gaze/*", By::Host(HOST_MOTION, "gaze_preprocessing")),
    ("host_functions", "lr*", OF_TRAINING),
    ("host_functions", "budget/*", OF_TRAINING),
    ("tiny_train", "*", OF_TRAINING),
];

/// Whether a tensor is none that the tests beside this file compare.
pub(crate) fn is_elsewhere(file: &str, tensor: &str) -> bool {
    let line = TABLE.iter().find(|(files, tensors, _)| matches(files, file) && matches(tensors, tensor));
    match line {
        Some((_, _, By::Host(..) | By::Nobody(_))) => true,
        Some((_, _, By::EveryForm(_))) | None => false,
    }
}

#[test]
fn every_published_value_has_a_test() {
    let Some(folder) = folder() else { return };
    let manifest = fs::read_to_string(folder.join("manifest.json")).expect("the folder has a manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("the manifest is JSON");
    let files = manifest.as_object().expect("the manifest lists files");
    assert!(!files.is_empty(), "the manifest lists files");
    let mut is_used = vec![false; TABLE.len()];
    let mut wrong = Vec::new();
    for (file, about) in files {
        let n_bytes = fs::metadata(folder.join(file)).map_or(0, |metadata| metadata.len());
        if about["bytes"].as_u64() != Some(n_bytes) {
            wrong.push(format!("{file} has {n_bytes} bytes, the manifest says {}", about["bytes"]));
            continue;
        }
        let name = file.trim_end_matches(".safetensors");
        for tensor in Golden::open(name).expect("the folder is there").names() {
            let line = TABLE.iter().position(|(file, tensors, _)| matches(file, name) && matches(tensors, &tensor));
            match line {
                Some(line) => is_used[line] = true,
                None => wrong.push(format!("{name}: nobody looks at {tensor}")),
            }
        }
    }
    for ((file, tensors, _), _) in TABLE.iter().zip(is_used).filter(|(_, is_used)| !is_used) {
        wrong.push(format!("no published value is called {file}: {tensors}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_named_test_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is inside the workspace");
    let here = tests_of_this_program();
    for (file, tensors, by) in TABLE {
        match by {
            By::EveryForm(name) => {
                for form in Form::ALL {
                    let name = format!("{name}::{}", form.name());
                    assert!(here.contains(&name), "there is no test {name}, which holds {file}: {tensors}");
                }
            }
            By::Host(source, name) => {
                let text = fs::read_to_string(root.join(source)).unwrap_or_default();
                let before = text.split_once(&format!("\nfn {name}() {{")).map(|(before, _)| before);
                // Attributes stand between the words `#[test]` and the function.
                let is_test = before.is_some_and(|before| {
                    let lines = before.lines().rev().take_while(|line| line.starts_with("#["));
                    lines.into_iter().any(|line| line == "#[test]")
                });
                assert!(is_test, "{source} has no test {name}, which holds {file}: {tensors}");
            }
            By::Nobody(reason) => assert!(!reason.is_empty(), "{file}: {tensors}"),
        }
    }
}

/// The names of all tests that this program runs.
fn tests_of_this_program() -> Vec<String> {
    let program = env::current_exe().expect("the program knows its file");
    let output = Command::new(program).args(["--list", "--format", "terse"]).output().expect("it runs");
    let lines = String::from_utf8(output.stdout).expect("names of tests are text");
    lines.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}
