use egom2p_model::weights::{Checkpoint, CheckpointError, CheckpointKind, StoredDtype};

use crate::fixture;

fn read(checkpoint: &mut Checkpoint, name: &str) -> Result<Vec<f32>, CheckpointError> {
    let mut values = Vec::new();
    checkpoint.read_f32(name, |part| {
        values.extend_from_slice(part);
        Ok::<(), CheckpointError>(())
    })?;
    Ok(values)
}

fn open_error(name: &str) -> String {
    Checkpoint::open(&fixture::path(name)).unwrap_err().to_string()
}

#[test]
fn nested_checkpoints_give_their_state_dict() {
    for name in ["model.pth", "model_protocol4.pth", "bare_state_dict.pth"] {
        let mut checkpoint = Checkpoint::open(&fixture::path(name)).unwrap();
        assert_eq!(checkpoint.kind(), CheckpointKind::StateDict);
        for expected in fixture::model() {
            let tensor = &checkpoint.tensors()[&expected.name];
            assert_eq!(
                (tensor.dtype, &tensor.shape),
                (StoredDtype::Float32, &expected.shape),
                "{name}: {}",
                expected.name
            );
            let n_values = tensor.n_values();
            let values = read(&mut checkpoint, &expected.name).unwrap();
            assert_eq!(values, fixture::values(&expected.name, n_values), "{name}: {}", expected.name);
        }
        let tensors = checkpoint.tensors();
        assert_eq!(
            tensors["decoder_embeddings.tok_cam.to_logits.weight"],
            tensors["decoder_embeddings.tok_cam.token_emb.weight"]
        );
    }
}

#[test]
fn every_float_type_and_layout_gives_the_same_values() {
    let mut checkpoint = Checkpoint::open(&fixture::path("mixed_layouts.pth")).unwrap();
    let dtype = |name: &str| checkpoint.tensors()[name].dtype;
    assert_eq!(dtype("mask_token"), StoredDtype::Float16);
    assert_eq!(dtype("encoder.0.norm1.weight"), StoredDtype::Bfloat16);
    assert_eq!(dtype("encoder_norm.weight"), StoredDtype::Float64);
    for expected in fixture::model() {
        let values = read(&mut checkpoint, &expected.name).unwrap();
        assert_eq!(values, fixture::values(&expected.name, values.len()), "{}", expected.name);
    }
}

#[test]
fn traced_and_scripted_modules_give_their_attribute_paths() {
    for (name, dtype) in [("encoder.jit", StoredDtype::Float32), ("scripted_encoder.jit", StoredDtype::Bfloat16)] {
        let mut checkpoint = Checkpoint::open(&fixture::path(name)).unwrap();
        assert_eq!(checkpoint.kind(), CheckpointKind::TorchScript);
        let names: Vec<&str> = checkpoint.tensors().keys().map(String::as_str).collect();
        let expected = [
            "encoder.conv_in.0.conv3d.bias",
            "encoder.conv_in.0.conv3d.weight",
            "encoder.norm_out.norm.bias",
            "encoder.norm_out.norm.weight",
            "encoder.patcher3d._arange",
            "encoder.patcher3d.wavelets",
            "quant_conv.conv3d.bias",
            "quant_conv.conv3d.weight",
            "quantizer._levels",
        ];
        assert_eq!(names, expected, "{name}");
        assert_eq!(checkpoint.tensors()["quant_conv.conv3d.weight"].dtype, dtype);
        let values = read(&mut checkpoint, "encoder.conv_in.0.conv3d.weight").unwrap();
        assert_eq!(values, fixture::values("encoder.conv_in.0.conv3d.weight", 6));
        assert!(matches!(read(&mut checkpoint, "quantizer._levels"), Err(CheckpointError::Tensor { .. })));
    }
}

#[test]
fn code_is_refused_by_name_wherever_it_hides() {
    for name in ["code_in_args.pth", "code_in_model.pth"] {
        let error = open_error(name);
        let (what, mend) = error.split_once('\n').unwrap();
        assert!(what.ends_with("tries to run code when it is loaded: it calls for posix.system"), "{what}");
        assert!(mend.starts_with("do not load this file"), "{mend}");
    }
}

#[test]
fn strangers_are_inert_but_no_tensors() {
    let error = open_error("stranger_in_model.pth");
    assert!(error.starts_with("tensor mask_token of "), "{error}");
    assert!(error.contains("it is what a call of __main__.stranger makes, expected a tensor"), "{error}");
}

#[test]
fn unusable_archives_say_why() {
    for (name, expected) in [
        ("old_format.pth", "has the layout of PyTorch before 1.6, expected a zip archive"),
        ("compressed.pth", "it is compressed, which PyTorch never does"),
        ("no_model.pth", "holds no model state dict: it has epoch, weights"),
    ] {
        let error = open_error(name);
        assert!(error.lines().next().unwrap().contains(expected), "{error}");
        assert_eq!(error.lines().count(), 2, "{error}");
    }
    let mut checkpoint = Checkpoint::open(&fixture::path("missing_entry.pth")).unwrap();
    let names: Vec<String> = checkpoint.tensors().keys().cloned().collect();
    let errors: Vec<String> =
        names.iter().filter_map(|name| read(&mut checkpoint, name).err()).map(|error| error.to_string()).collect();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("entry data/3 of ") && errors[0].contains("missing from the archive"), "{errors:?}");
}

#[test]
fn files_that_are_no_archives_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.pth");
    let whole = fixture::bytes("model.pth");
    for bytes in
        [vec![], b"a text file".to_vec(), whole[..whole.len() / 2].to_vec(), whole[..whole.len() - 30].to_vec()]
    {
        std::fs::write(&path, bytes).unwrap();
        let error = Checkpoint::open(&path).unwrap_err();
        assert!(matches!(error, CheckpointError::NotAnArchive { .. }), "{error}");
        assert_eq!(error.to_string().lines().count(), 2, "{error}");
    }
    assert!(matches!(Checkpoint::open(&folder.path().join("none")), Err(CheckpointError::Read { .. })));
}

#[test]
fn a_flipped_value_is_found_by_its_checksum() {
    let mut bytes = fixture::bytes("gaze.pth");
    let values: Vec<u8> = fixture::values("encoder.conv.weight", 16).into_iter().flat_map(f32::to_le_bytes).collect();
    let start = bytes.windows(values.len()).position(|window| window == values).unwrap();
    bytes[start] ^= 1;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gaze.pth");
    std::fs::write(&path, bytes).unwrap();
    let mut checkpoint = Checkpoint::open(&path).unwrap();
    let error = read(&mut checkpoint, "encoder.conv.weight").unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
}
