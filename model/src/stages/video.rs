use egom2p_graph::{Builder, DType, Dim, Value};

use crate::blocks::conv::{factorised, frame_norm, pointwise};
use crate::blocks::resample::{downsample, upsample};
use crate::blocks::residual::residual_block;
use crate::blocks::video_attention::{spatial_attention, temporal_attention};
use crate::{VideoTokenizerConfig, VideoTokens};

/// The side of the patches in frames and pixels; with one halving it makes the 4x8x8 compression.
const PATCH: usize = VideoTokens::TEMPORAL_COMPRESSION;
/// The colours of a frame.
const COLOURS: usize = 3;
/// The one level of three that changes the resolution on the way down. What the published network calls the downsampling
/// of level 1 gives its input back.
const DOWNSAMPLED_LEVEL: usize = 0;
/// The one level that changes the resolution on the way up, where levels run from the last to the first.
const UPSAMPLED_LEVEL: usize = 2;

/// Video to indices (specification sections 3.2 and 3.3).
pub(super) fn encoder<'g>(g: &'g Builder, config: &VideoTokenizerConfig) -> Value<'g> {
    analysis(g, config).fsq_quantize(&config.levels)
}

/// Video to what is quantised: `[batch, levels, t, h, w]`.
pub(super) fn analysis<'g>(g: &'g Builder, config: &VideoTokenizerConfig) -> Value<'g> {
    g.require("frames", PATCH, 1);
    for side in ["height", "width"] {
        g.require(side, VideoTokens::SPATIAL_COMPRESSION, VideoTokens::SPATIAL_COMPRESSION);
    }
    let shape = [Dim::from("batch"), COLOURS.into(), "frames".into(), "height".into(), "width".into()];
    let patches = g.input("video", DType::F32, shape).haar_patch(PATCH);
    let x = g.enter("encoder", || {
        let mut x = factorised(g, patches, "conv_in", config.channels);
        for (level, width) in config.widths().into_iter().enumerate() {
            x = g.enter(format_args!("down.{level}"), || {
                let x = residual_blocks(g, x, width, config.residual_blocks);
                if level == DOWNSAMPLED_LEVEL { g.enter("downsample", || downsample(g, x)) } else { x }
            });
        }
        let x = frame_norm(g, middle(g, x, config), "norm_out").silu();
        factorised(g, x, "conv_out", config.z_channels)
    });
    pointwise(g, x, "quant_conv", config.levels.len())
}

/// Indices to video (specification sections 3.3 and 3.4).
pub(super) fn decoder<'g>(g: &'g Builder, config: &VideoTokenizerConfig) -> Value<'g> {
    for axis in ["t", "h", "w"] {
        g.require(axis, 1, 1);
    }
    let tokens = g.input("tokens", DType::I64, ["batch", "t", "h", "w"]);
    synthesis(g, tokens.fsq_dequantize(&config.levels), config)
}

/// Codes `[batch, levels, t, h, w]` to video.
pub(super) fn synthesis<'g>(g: &'g Builder, codes: Value<'g>, config: &VideoTokenizerConfig) -> Value<'g> {
    let x = pointwise(g, codes, "post_quant_conv", config.z_channels);
    let [_, _, innermost] = config.widths();
    let patches = g.enter("decoder", || {
        let mut x = middle(g, factorised(g, x, "conv_in", innermost), config);
        for (level, width) in config.widths().into_iter().enumerate().rev() {
            x = g.enter(format_args!("up.{level}"), || {
                let x = residual_blocks(g, x, width, config.residual_blocks + 1);
                if level == UPSAMPLED_LEVEL { g.enter("upsample", || upsample(g, x)) } else { x }
            });
        }
        factorised(g, frame_norm(g, x, "norm_out").silu(), "conv_out", COLOURS * PATCH.pow(3))
    });
    patches.haar_unpatch(PATCH)
}

fn residual_blocks<'g>(g: &'g Builder, x: Value<'g>, width: usize, count: usize) -> Value<'g> {
    (0..count).fold(x, |x, block| g.enter(format_args!("block.{block}"), || residual_block(g, x, width)))
}

/// The blocks at the lowest resolution, of which every frame sees all of itself and of the frames before.
fn middle<'g>(g: &'g Builder, x: Value<'g>, config: &VideoTokenizerConfig) -> Value<'g> {
    let [_, _, width] = config.widths();
    g.enter("mid", || {
        let x = g.enter("block_1", || residual_block(g, x, width));
        let x = g.enter("attn_1", || {
            let x = g.enter(0, || spatial_attention(g, x));
            g.enter(1, || temporal_attention(g, x))
        });
        g.enter("block_2", || residual_block(g, x, width))
    })
}
