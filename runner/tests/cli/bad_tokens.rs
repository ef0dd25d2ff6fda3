//! Token files and tensors that a model cannot use.

use safetensors::Dtype;

use crate::{
    bench::Bench,
    tensor_files::{npy, npy_with_header, rgb_tokens, safetensors, words},
    transcript::Transcript,
};

/// The tokens of a clip of `egom2p-tiny`.
const SHAPE: [usize; 3] = [5, 8, 8];
const N_TOKENS: usize = 5 * 8 * 8;

#[test]
fn tokens_that_no_clip_has_are_refused() {
    let Some(bench) = Bench::with_camera_bundle() else { return };
    let header = |descr: &str, shape: &str| format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}");
    let files: [(&str, Vec<u8>); 14] = [
        ("outside.npy", npy(&SHAPE, &[1000; N_TOKENS])),
        ("negative.npy", npy(&SHAPE, &[-1; N_TOKENS])),
        ("shape.npy", npy(&[5, 8, 7], &[1; 5 * 8 * 7])),
        ("batch.npy", npy(&[2, 5, 8, 8], &vec![1; 2 * N_TOKENS])),
        ("none.npy", npy(&[0], &[])),
        ("float.npy", npy_with_header(&header("<f8", "(5, 8, 8)"), &[0; 8 * N_TOKENS])),
        ("object.npy", npy_with_header(&header("|O", "(1,)"), b"cos\nsystem\n(S'true'\ntR.")),
        ("huge.npy", npy_with_header(&header("<i8", "(1099511627776,)"), &[0; 8])),
        ("overflow.npy", npy_with_header(&header("<i8", "(18446744073709551615, 2)"), &[])),
        ("open.npy", npy_with_header("{'descr': '<i8', 'shape': (5", &[])),
        ("text.npy", b"1, 2, 3\n".to_vec()),
        ("empty.npz", Vec::new()),
        ("other.safetensors", safetensors(&[("gaze", Dtype::I64, &[2], words(&[1, 2]))])),
        ("tokens.txt", b"1 2 3".to_vec()),
    ];
    for (name, bytes) in &files {
        bench.write(name, bytes);
    }
    let mut transcript = Transcript::new(&bench);
    for (name, _) in &files {
        transcript.fails(&format!("run bundle --tokens rgb={name} --to camera --out out"));
    }
    transcript.fails("run bundle --tokens rgb=missing.npy --to camera --out out");
    insta::assert_snapshot!(transcript.text());
}

#[test]
fn settings_that_no_run_can_have_are_refused() {
    let Some(bench) = Bench::with_camera_bundle() else { return };
    bench.write("rgb.npy", rgb_tokens());
    bench.write("file", "mine");
    let mut transcript = Transcript::new(&bench);
    for line in [
        "--to camera --out out --steps 0",
        "--to camera --out out --steps 1000000000000",
        "--to camera --out out --temperature -1",
        "--to camera --out out --temperature nan",
        "--to camera --out out --top-p -0.5",
        "--to camera --out out --guidance inf",
        "--to rgb --out out",
        "--to camera,camera --out out",
        "--to camera --tokens rgb=rgb.npy --out out",
        "--to gaze --out out",
        "--to camera --out file",
        "--to camera --out file/below",
        "--to camera --out /proc/below",
    ] {
        transcript.fails(&format!("run bundle --tokens rgb=rgb.npy {line}"));
    }
    insta::assert_snapshot!(transcript.text());
}

#[test]
fn a_stage_refuses_ids_that_the_model_does_not_have() {
    let Some(bench) = Bench::with_bundle("model,camera", "encoder,camera_decoder") else { return };
    let tokens = |ids: &[i64]| vec![("tokens", Dtype::I64, vec![1, ids.len()], words(ids))];
    let rows = |token: i64, modality: i64, position: i64| {
        let mut inputs = tokens(&[token]);
        inputs.push(("modality", Dtype::I64, vec![1, 1], words(&[modality])));
        inputs.push(("position", Dtype::I64, vec![1, 1], words(&[position])));
        inputs.push(("visible_mask", Dtype::BOOL, vec![1, 1], vec![1]));
        inputs
    };
    let cases = [
        ("camera_decoder", "outside", tokens(&[256; 30])),
        ("camera_decoder", "negative", tokens(&[-1; 30])),
        ("camera_decoder", "short", tokens(&[1; 29])),
        ("camera_decoder", "float", vec![("tokens", Dtype::F32, vec![1, 30], vec![0; 120])]),
        ("camera_decoder", "half", vec![("tokens", Dtype::F16, vec![1, 30], vec![0; 60])]),
        ("camera_decoder", "misnamed", vec![("token", Dtype::I64, vec![1, 30], words(&[1; 30]))]),
        ("camera_decoder", "nothing", vec![]),
        ("encoder", "token", rows(256, 0, 0)),
        ("encoder", "modality", rows(1, 4, 0)),
        ("encoder", "position", rows(1, 0, 30)),
        ("encoder", "unmasked", rows(1, 0, 0).into_iter().take(3).collect()),
        ("gaze_decoder", "absent", tokens(&[1; 30])),
    ];
    let mut transcript = Transcript::new(&bench);
    for (stage, name, tensors) in cases {
        let tensors: Vec<_> =
            tensors.iter().map(|(name, dtype, shape, bytes)| (*name, *dtype, &**shape, bytes.clone())).collect();
        bench.write(&format!("{name}.safetensors"), safetensors(&tensors));
        transcript.fails(&format!("stage bundle {stage} --inputs {name}.safetensors --outputs out.safetensors"));
    }
    bench.write("cut.safetensors", &safetensors(&[("tokens", Dtype::I64, &[1, 30], words(&[1; 30]))])[..100]);
    bench.write("good.safetensors", safetensors(&[("tokens", Dtype::I64, &[1, 30], words(&[1; 30]))]));
    for line in [
        "--inputs cut.safetensors --outputs out.safetensors",
        "--inputs missing.safetensors --outputs out.safetensors",
        "--inputs good.safetensors --outputs missing/out.safetensors",
        "--inputs good.safetensors --outputs bundle",
        "--inputs good.safetensors --outputs /dev/null",
    ] {
        transcript.fails(&format!("stage bundle camera_decoder {line}"));
    }
    insta::assert_snapshot!(transcript.text());
}
