use std::ops::ControlFlow;
use std::path::Path;

use egom2p_model::weights::{
    ExpectedTensor, ImportError, ImportSource, ImportedFile, WeightsFile, WeightsPart, import_weights,
};

use crate::fixture;

fn import(source: ImportSource<'_>, expected: &[ExpectedTensor], folder: &Path) -> Result<ImportedFile, ImportError> {
    import_weights(source, expected, folder, |_| ControlFlow::Continue(()))
}

fn import_model(name: &str) -> Result<(), ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let imported = import(ImportSource::Model(&fixture::path(name)), &fixture::model(), folder.path());
    let n_files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(n_files, usize::from(imported.is_ok()), "{name} left something behind");
    imported.map(drop)
}

/// The first line of the error without the fixtures' folder.
fn what(error: &ImportError) -> String {
    let text = error.to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
    text.lines().next().unwrap().replace(&fixture::path("").display().to_string(), "")
}

fn check_values(file: &WeightsFile, expected: &[ExpectedTensor]) {
    for tensor in expected {
        assert_eq!(file.shape(&tensor.name).unwrap(), tensor.shape, "{}", tensor.name);
        let values = file.read_f32(&tensor.name).unwrap();
        assert_eq!(values, fixture::values(&tensor.name, values.len()), "{}", tensor.name);
    }
}

#[test]
fn a_model_checkpoint_becomes_one_file_of_canonical_names() {
    let mut digests = Vec::new();
    for name in ["model.pth", "model_protocol4.pth", "bare_state_dict.pth", "mixed_layouts.pth"] {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("new/weights");
        let imported = import(ImportSource::Model(&fixture::path(name)), &fixture::model(), &weights).unwrap();
        assert_eq!((imported.n_tensors, imported.n_aliases, imported.n_zero_biases), (20, 4, 5), "{name}");
        let file = WeightsFile::open(&weights.join("model.safetensors")).unwrap();
        assert_eq!(file.names().len(), fixture::model().len());
        check_values(&file, &fixture::model());
        assert_eq!(file.digest().unwrap(), imported.digest);
        digests.push(imported.digest);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "the same weights give the same bytes");
}

#[test]
fn motion_tokenizers_keep_their_codebook_counters() {
    let folder = tempfile::tempdir().unwrap();
    let [gaze, camera] = ["gaze.pth", "camera.pth"].map(fixture::path);
    import(ImportSource::Gaze(&gaze), &fixture::tokenizer(2), folder.path()).unwrap();
    import(ImportSource::Camera(&camera), &fixture::tokenizer(9), folder.path()).unwrap();
    for (name, channels) in [("gaze.safetensors", 2), ("camera.safetensors", 9)] {
        let file = WeightsFile::open(&folder.path().join(name)).unwrap();
        check_values(&file, &fixture::tokenizer(channels));
        for counter in ["quantize._codebook.initted", "quantize._codebook.cluster_size"] {
            assert!(file.contains(counter), "{name}: {counter}");
        }
    }
}

#[test]
fn video_archives_are_joined_and_traced_constants_left_out() {
    let decoder = fixture::path("decoder.jit");
    let mut digests = Vec::new();
    for encoder in ["encoder.jit", "scripted_encoder.jit", "numbered_encoder.jit"] {
        let folder = tempfile::tempdir().unwrap();
        let encoder = fixture::path(encoder);
        let source = ImportSource::Video { encoder: Some(&encoder), decoder: Some(&decoder) };
        digests.push(import(source, &fixture::video(), folder.path()).unwrap().digest);
        let file = WeightsFile::open(&folder.path().join("video.safetensors")).unwrap();
        let required: Vec<ExpectedTensor> = fixture::video().into_iter().filter(|tensor| !tensor.optional).collect();
        assert_eq!(file.names().len(), required.len());
        check_values(&file, &required);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
}

#[test]
fn one_video_archive_is_enough_for_its_stages() {
    let folder = tempfile::tempdir().unwrap();
    let [encoder, decoder] = ["encoder.jit", "decoder.jit"].map(fixture::path);
    for (source, n_tensors) in [
        (ImportSource::Video { encoder: Some(&encoder), decoder: None }, 6),
        (ImportSource::Video { encoder: None, decoder: Some(&decoder) }, 4),
    ] {
        assert_eq!(import(source, &fixture::video(), folder.path()).unwrap().n_tensors, n_tensors);
    }
    let twice = ImportSource::Video { encoder: Some(&encoder), decoder: Some(&encoder) };
    let error = import(twice, &fixture::video(), folder.path()).unwrap_err();
    assert!(matches!(error, ImportError::Overlap { .. }), "{error}");
    let none = ImportSource::Video { encoder: None, decoder: None };
    let error = import(none, &fixture::video(), folder.path()).unwrap_err();
    assert!(matches!(error, ImportError::NoSource { part: WeightsPart::Video }), "{error}");
}

#[test]
fn every_flaw_has_its_own_line_and_leaves_no_file() {
    for (name, expected) in [
        ("shape_mismatch.pth", "shape mismatch for encoder.0.attn.qkv.weight: expected [12, 4], got [4, 12]"),
        ("missing_tensor.pth", "missing_tensor.pth does not fit the preset: it lacks decoder_norm.weight"),
        ("unexpected_tensor.pth", "unexpected_tensor.pth does not fit the preset: the preset has no register_tokens"),
        (
            "bias_not_zero.pth",
            "tensor decoder.0.query_norm.bias of bias_not_zero.pth must be zero, but value 2 is 0.25",
        ),
        (
            "alias_differs.pth",
            "tensor decoder_embeddings.tok_cam.to_logits.weight of alias_differs.pth differs from \
             decoder_embeddings.tok_cam.token_emb.weight, which it must repeat",
        ),
        ("not_finite.pth", "tensor mask_token of not_finite.pth is not finite: value 1 is NaN"),
        (
            "integers.pth",
            "tensor mask_token of integers.pth cannot be read: it holds int64, expected floating point numbers",
        ),
        ("gaze.pth", "gaze.pth is a checkpoint of the gaze tokenizer, expected the EgoM2P model"),
        ("encoder.jit", "encoder.jit is a checkpoint of the video tokenizer, expected the EgoM2P model"),
        ("code_in_args.pth", "code_in_args.pth tries to run code when it is loaded: it calls for posix.system"),
    ] {
        assert_eq!(what(&import_model(name).unwrap_err()), expected);
    }
}

#[test]
fn a_larger_preset_is_told_by_a_few_names() {
    let mut expected = fixture::model();
    for i in 1..8 {
        let name = format!("encoder.{i}.attn.qkv.weight");
        expected.push(ExpectedTensor { name, shape: vec![12, 4], optional: false });
    }
    let folder = tempfile::tempdir().unwrap();
    let path = fixture::path("model.pth");
    let error = import(ImportSource::Model(&path), &expected, folder.path()).unwrap_err();
    let names =
        "encoder.1.attn.qkv.weight, encoder.2.attn.qkv.weight, encoder.3.attn.qkv.weight, encoder.4.attn.qkv.weight";
    assert_eq!(what(&error), format!("model.pth does not fit the preset: it lacks {names}, and 3 more"));
    let wider: Vec<ExpectedTensor> = fixture::model()
        .into_iter()
        .map(|tensor| ExpectedTensor { shape: tensor.shape.iter().map(|size| size * 2).collect(), ..tensor })
        .collect();
    let error = import(ImportSource::Model(&path), &wider, folder.path()).unwrap_err();
    assert!(what(&error).ends_with("expected [2, 2, 8], got [1, 1, 4], and 19 more tensors"), "{error}");
}

#[test]
fn progress_counts_every_tensor_and_can_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture::path("model.pth");
    let mut seen = Vec::new();
    import_weights(ImportSource::Model(&path), &fixture::model(), folder.path(), |progress| {
        seen.push((progress.n_done, progress.n_tensors));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(seen, (0..29).map(|n_done| (n_done, 29)).collect::<Vec<_>>());

    let other = tempfile::tempdir().unwrap();
    let error = import_weights(ImportSource::Model(&path), &fixture::model(), other.path(), |progress| {
        if progress.n_done == 15 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap_err();
    assert!(matches!(error, ImportError::Interrupted { part: WeightsPart::Model }), "{error}");
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
}
