use std::collections::BTreeSet;

use crate::weights::{ExpectedTensor, WeightsPart};
use crate::{ModelConfig, Stage, StageError, VideoTokenizerConfig, stage_graph};

/// The tensors of one file of a weights folder: every parameter of the stages that read it, in the order of use, then
/// those that a published checkpoint may hold as well and no stage reads.
///
/// Names are canonical: the published aliases and EgoM2P's norm biases, which are zeros, are not among them.
pub fn expected_tensors(config: &ModelConfig, part: WeightsPart) -> Result<Vec<ExpectedTensor>, StageError> {
    let mut seen = BTreeSet::new();
    let mut tensors = Vec::new();
    for stage in Stage::ALL.into_iter().filter(|stage| stage.weights_file() == part) {
        // The first variant is the most general one: it has every parameter of the others.
        let graph = stage_graph(config, stage, stage.variants()[0])?;
        for (name, shape) in graph.params() {
            if seen.insert(name.to_owned()) {
                tensors.push(ExpectedTensor { name: name.to_owned(), shape, optional: false });
            }
        }
    }
    let unused = match part {
        WeightsPart::Model => Vec::new(),
        WeightsPart::Camera | WeightsPart::Gaze => codebook_bookkeeping(config.motion.vocabulary),
        WeightsPart::Video => config.video_tokenizer.as_ref().map_or_else(Vec::new, unused_convolutions),
    };
    tensors.extend(unused.into_iter().map(|(name, shape)| ExpectedTensor { name, shape, optional: true }));
    Ok(tensors)
}

/// What training of a motion tokenizer keeps beside its codes (specification section 2.1).
fn codebook_bookkeeping(codes: usize) -> Vec<(String, Vec<usize>)> {
    vec![
        ("quantize._codebook.initted".to_owned(), vec![1]),
        ("quantize._codebook.cluster_size".to_owned(), vec![codes]),
    ]
}

/// The convolutions that the published video tokenizer has and never applies (specification sections 3.2, 3.4 and 3.5).
fn unused_convolutions(config: &VideoTokenizerConfig) -> Vec<(String, Vec<usize>)> {
    const TEMPORAL: [usize; 3] = [3, 1, 1];
    const SPATIAL: [usize; 3] = [1, 3, 3];
    const POINTWISE: [usize; 3] = [1, 1, 1];
    let [first, second, third] = config.widths();
    let convolutions = [
        ("encoder.down.0.downsample.conv2", first, TEMPORAL),
        ("encoder.down.1.downsample.conv1", second, SPATIAL),
        ("encoder.down.1.downsample.conv2", second, TEMPORAL),
        ("encoder.down.1.downsample.conv3", second, POINTWISE),
        ("decoder.up.1.upsample.conv1", second, TEMPORAL),
        ("decoder.up.1.upsample.conv2", second, SPATIAL),
        ("decoder.up.1.upsample.conv3", second, POINTWISE),
        ("decoder.up.2.upsample.conv1", third, TEMPORAL),
    ];
    let tensors = convolutions.into_iter().flat_map(|(name, width, [frames, rows, columns])| {
        let weight = (format!("{name}.conv3d.weight"), vec![width, width, frames, rows, columns]);
        [weight, (format!("{name}.conv3d.bias"), vec![width])]
    });
    tensors.collect()
}
