//! The fixtures: where they are, what they hold.

use std::path::PathBuf;

use egom2p_model::weights::ExpectedTensor;

pub(crate) const DIM: usize = 4;
const VOCABULARY: usize = 6;
const TOKENS: usize = 3;

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints").join(name)
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("a committed fixture")
}

/// The values that the recipe gives a tensor.
pub(crate) fn values(name: &str, n_values: usize) -> Vec<f32> {
    (0..n_values).map(|i| ((7 * i + 3 * name.len()) % 32) as f32 / 8.0 - 2.0).collect()
}

/// What the tiny EgoM2P checkpoints hold under canonical names.
pub(crate) fn model() -> Vec<ExpectedTensor> {
    let mut tensors = vec![tensor("mask_token", &[1, 1, DIM])];
    for modality in ["tok_cam", "tok_rgb"] {
        tensors.push(tensor(&format!("encoder_embeddings.{modality}.mod_emb"), &[1, 1, DIM]));
        for side in ["encoder", "decoder"] {
            tensors.push(tensor(&format!("{side}_embeddings.{modality}.pos_emb"), &[1, TOKENS, DIM]));
            tensors.push(tensor(&format!("{side}_embeddings.{modality}.token_emb.weight"), &[VOCABULARY, DIM]));
        }
    }
    for norm in ["encoder.0.norm1", "encoder_norm", "decoder.0.query_norm", "decoder.0.context_norm", "decoder_norm"] {
        tensors.push(tensor(&format!("{norm}.weight"), &[DIM]));
    }
    tensors.push(tensor("encoder.0.attn.qkv.weight", &[3 * DIM, DIM]));
    tensors.push(tensor("decoder.0.cross_attn.kv.weight", &[2 * DIM, DIM]));
    tensors.push(tensor("decoder_proj_context.weight", &[DIM, DIM]));
    tensors.push(tensor("decoder_proj_context.bias", &[DIM]));
    tensors
}

/// What the tiny motion tokenizer checkpoints hold, without the codebook's counters.
pub(crate) fn tokenizer(channels: usize) -> Vec<ExpectedTensor> {
    vec![
        tensor("encoder.position_embeddings", &[1, TOKENS, DIM]),
        tensor("encoder.conv.weight", &[DIM, channels, 2]),
        tensor("encoder.conv.bias", &[DIM]),
        tensor("encoder.blocks.0.norm1.weight", &[DIM]),
        tensor("encoder.blocks.0.norm1.bias", &[DIM]),
        tensor("quantize._codebook.embed", &[VOCABULARY, 2]),
        tensor("decoder.out_proj.weight", &[2 * channels, DIM]),
    ]
}

/// What the tiny video tokenizer archives hold, and one convolution that they lack.
pub(crate) fn video() -> Vec<ExpectedTensor> {
    let mut tensors = Vec::new();
    for (name, outputs, inputs) in
        [("encoder.conv_in.0", 3, 2), ("quant_conv", 2, 3), ("post_quant_conv", 3, 2), ("decoder.conv_out.0", 2, 3)]
    {
        tensors.push(tensor(&format!("{name}.conv3d.weight"), &[outputs, inputs, 1, 1, 1]));
        tensors.push(tensor(&format!("{name}.conv3d.bias"), &[outputs]));
    }
    tensors.push(tensor("encoder.norm_out.norm.weight", &[3]));
    tensors.push(tensor("encoder.norm_out.norm.bias", &[3]));
    let unused = tensor("encoder.down.1.downsample.conv1.conv3d.bias", &[7]);
    tensors.push(ExpectedTensor { optional: true, ..unused });
    tensors
}

fn tensor(name: &str, shape: &[usize]) -> ExpectedTensor {
    ExpectedTensor { name: name.into(), shape: shape.into(), optional: false }
}
