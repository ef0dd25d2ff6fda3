//! The ranges that named dimensions of a stage take in the decoding loop.

use std::collections::BTreeMap;

use egom2p_engine_core::{DimRange, Profile};
use egom2p_graph::Graph;
use egom2p_model::{Modality, ModelConfig};

/// Clips that one call may hold.
const MAX_BATCH: usize = 4;

/// The default ranges of every named dimension of a stage's graph: first what the decoding loop asks for, one clip with
/// something visible, then everything that is legal, which the loop seldom needs.
///
/// `visible` reaches from nothing (the first unconditional pass) to all other modalities and all but the last step of the
/// target; `queries` from one token to a whole video.
pub fn default_profiles(config: &ModelConfig, graph: &Graph) -> Vec<Profile> {
    let legal = legal_profile(config, graph);
    let mut usual = legal.clone();
    for (name, range) in &mut usual.dims {
        match &**name {
            "batch" => range.max = range.opt,
            "visible" => range.min = 1,
            _ => {}
        }
    }
    if usual == legal { vec![legal] } else { vec![usual, legal] }
}

/// The range of every named dimension that a stage takes.
fn legal_profile(config: &ModelConfig, graph: &Graph) -> Profile {
    let n_video = config.video.n_tokens();
    let n_all = Modality::ALL.into_iter().map(|modality| config.n_tokens(modality)).sum();
    let [t, h, w] = config.video.grid();
    let range = |name: &str| match name {
        "batch" => DimRange { min: 1, opt: 1, max: MAX_BATCH },
        "visible" => DimRange { min: 0, opt: n_video, max: n_all },
        "queries" => DimRange { min: 1, opt: n_video.div_ceil(3), max: n_video },
        "frames" => fixed(config.video.padded_frames()),
        "height" => fixed(config.video.height),
        "width" => fixed(config.video.width),
        "t" => fixed(t),
        "h" => fixed(h),
        "w" => fixed(w),
        _ => fixed(1),
    };
    let names = graph.inputs().flat_map(|(_, fact)| fact.shape.iter().flat_map(egom2p_graph::Dim::names));
    Profile { dims: names.map(|name| (name.to_owned(), range(name))).collect::<BTreeMap<_, _>>() }
}

fn fixed(size: usize) -> DimRange {
    DimRange { min: size, opt: size, max: size }
}
