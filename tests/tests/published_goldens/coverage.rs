//! Which test holds which published value: nothing in the folder is left out unnoticed.

use std::{fs, path::Path};

use egom2p_tests::published::{Golden, folder};
use serde_json::Value;

/// What becomes of a tensor.
enum By {
    /// A test, by its file and name.
    Test(&'static str, &'static str),
    /// Nothing that runs here, for this reason.
    Nobody(&'static str),
}

const FORWARD: &str = "tests/tests/published_goldens/forward.rs";
const GENERATION: &str = "tests/tests/published_goldens/generation.rs";
const MOTION: &str = "tests/tests/published_goldens/motion.rs";
const VIDEO: &str = "tests/tests/published_goldens/video.rs";
const HOST_DECODING: &str = "runner/tests/host_goldens/decoding.rs";
const HOST_MOTION: &str = "runner/tests/host_goldens/motion.rs";
const HOST_SAMPLING: &str = "runner/tests/host_goldens/sampling.rs";

const OF_TRAINING: By = By::Nobody("belongs to training");
const SAYS_WHICH_TOKENS: By = By::Nobody("says how clear a draw is; every draw is compared");

/// File, tensors and what becomes of them; the first line that matches counts. A `*` stands for any text.
const TABLE: &[(&str, &str, By)] = &[
    ("tiny_forward", "in/*/decoder_attention_mask", By::Nobody("the published layout of what target_mask says")),
    ("tiny_forward", "*", By::Test(FORWARD, "tiny_forward")),
    ("full_forward", "*", By::Test(FORWARD, "slow_full_forward")),
    ("tiny_gen_*", "*/race_margin", SAYS_WHICH_TOKENS),
    ("tiny_gen_rgb2cam", "*", By::Test(GENERATION, "tiny_gen_rgb2cam")),
    ("tiny_gen_rgb2gaze", "*", By::Test(GENERATION, "tiny_gen_rgb2gaze")),
    ("tiny_gen_rgb2depth", "*", By::Test(GENERATION, "tiny_gen_rgb2depth")),
    ("tiny_gen_depth2rgb", "*", By::Test(GENERATION, "tiny_gen_depth2rgb")),
    ("tiny_gen_rgb2depth_then_cam", "*", By::Test(GENERATION, "tiny_gen_rgb2depth_then_cam")),
    ("full_gen_rgb2cam", "*", By::Test(GENERATION, "slow_full_gen_rgb2cam")),
    ("full_gen_rgb2gaze", "*", By::Test(GENERATION, "slow_full_gen_rgb2gaze")),
    ("cam_tokenizer", "raw_c2w", By::Test(HOST_MOTION, "camera_preprocessing")),
    ("cam_tokenizer", "canonical_9d", By::Test(HOST_MOTION, "camera_preprocessing")),
    ("cam_tokenizer", "x64", By::Test(HOST_MOTION, "camera_preprocessing")),
    ("cam_tokenizer", "*", By::Test(MOTION, "slow_cam_tokenizer")),
    ("gaze_tokenizer", "raw", By::Test(HOST_MOTION, "gaze_preprocessing")),
    ("gaze_tokenizer", "x64", By::Test(HOST_MOTION, "gaze_preprocessing")),
    ("gaze_tokenizer", "*", By::Test(MOTION, "slow_gaze_tokenizer")),
    ("video_tokenizer_clip9", "*", By::Test(VIDEO, "slow_video_tokenizer_clip9")),
    ("video_tokenizer_clip17", "*", By::Test(VIDEO, "slow_video_tokenizer_clip17")),
    ("video_tokenizer_real16", "*", By::Test(VIDEO, "slow_video_tokenizer_real16")),
    ("host_functions", "schedule/*", By::Test(HOST_DECODING, "token_schedules")),
    ("host_functions", "temperature/*", By::Test(HOST_DECODING, "temperature_schedules")),
    ("host_functions", "sampling/noise", By::Test(HOST_DECODING, "exponential_noise")),
    ("host_functions", "sampling/kept/*", By::Test(HOST_SAMPLING, "survivors_of_the_filters")),
    ("host_functions", "sampling/*", By::Test(HOST_SAMPLING, "draws_and_their_probabilities")),
    ("host_functions", "rng/raw32/*", By::Test(HOST_DECODING, "raw_outputs_and_uniform_values")),
    ("host_functions", "rng/rand/*", By::Test(HOST_DECODING, "raw_outputs_and_uniform_values")),
    ("host_functions", "rng/order/*", By::Test(HOST_DECODING, "position_orders_with_their_ties")),
    ("host_functions", "rng/masked_*", By::Test(HOST_DECODING, "masked_orders_with_their_ties")),
    ("host_functions", "rng/exponential*", By::Test(HOST_DECODING, "exponential_noise")),
    ("host_functions", "rng/randperm/*", By::Nobody("decoding draws no permutations")),
    ("host_functions", "metric/*", By::Test(HOST_MOTION, "trajectory_metrics")),
    ("host_functions", "pose/c2w", By::Test(HOST_MOTION, "camera_preprocessing")),
    ("host_functions", "pose/canonical_9d", By::Test(HOST_MOTION, "camera_preprocessing")),
    ("host_functions", "pose/*", By::Test(HOST_MOTION, "camera_postprocessing")),
    ("host_functions", "gaze/*", By::Test(HOST_MOTION, "gaze_preprocessing")),
    ("host_functions", "lr*", OF_TRAINING),
    ("host_functions", "budget/*", OF_TRAINING),
    ("tiny_train", "*", OF_TRAINING),
];

/// Whether a tensor is none that the tests beside this file compare.
pub(crate) fn is_elsewhere(file: &str, tensor: &str) -> bool {
    let line = TABLE.iter().find(|(files, tensors, _)| matches(files, file) && matches(tensors, tensor));
    match line {
        Some((_, _, By::Test(source, _))) => ![FORWARD, GENERATION, MOTION, VIDEO].contains(source),
        Some((_, _, By::Nobody(_))) => true,
        None => false,
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
    for (file, tensors, by) in TABLE {
        match by {
            By::Test(source, name) => {
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

#[test]
fn patterns_match_as_they_read() {
    assert!(matches("*", "") && matches("a*", "a") && matches("a*c", "abc") && matches("*/x", "a/b/x"));
    assert!(!matches("a", "ab") && !matches("a*c", "ab") && !matches("ab*ba", "aba") && !matches("", "a"));
}

/// Whether `text` reads as `pattern`, in which one `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end),
    }
}
