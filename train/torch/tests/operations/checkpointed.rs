//! Graphs whose blocks are computed twice give what graphs give that are computed once, bit for bit.

use crate::backend::to_tensor;
use crate::leaves::Leaves;
use egom2p_calibration::Precision;
use egom2p_graph::{Graph, NodeId, Op};
use egom2p_model::Stage;
use egom2p_tests::goldens::Golden;
use egom2p_tests::op_suite::Case;
use egom2p_torch::{CheckpointedGraph, TorchParameters, blocks, run};
use std::collections::BTreeMap;
use tch::{Device, Tensor};

#[test]
fn blocks_of_the_model_read_one_value_and_give_one() {
    for (stage, variant, name) in [(Stage::Encoder, "masked", "encoder"), (Stage::Decoder, "masked", "decoder")] {
        let golden = Golden::read(stage.name(), Precision::Bf16).expect("a sound file");
        let case = golden.stored_case(stage, variant).expect("a case of this name");
        let n_blocks =
            if stage == Stage::Encoder { golden.config.encoder_blocks } else { golden.config.decoder_blocks };
        let blocks = blocks(&case.graph);
        let scopes: Vec<String> = (0..n_blocks).map(|block| format!("{name}.{block}")).collect();
        assert_eq!(blocks.iter().map(|block| block.scope.clone()).collect::<Vec<_>>(), scopes);
        for (block, before) in blocks.iter().zip(std::iter::once(None).chain(blocks.iter().map(Some))) {
            let [given] = block.gives[..] else { panic!("{}: gives {:?}", block.scope, block.gives) };
            assert_eq!(given.index() + 1, block.nodes.end);
            let rows: Vec<NodeId> = block.reads.iter().filter(|id| is_made(&case.graph, **id)).copied().collect();
            if let Some(before) = before {
                assert!(rows.contains(&before.gives[0]), "{}: reads {rows:?}", block.scope);
            }
            // Rows, and in the decoder the mask of modalities.
            let n_made = if stage == Stage::Encoder { 1 } else { 2 };
            assert_eq!(rows.len(), n_made, "{}: reads {:?}", block.scope, names(&case.graph, &block.reads));
        }
    }
}

fn is_made(graph: &Graph, id: NodeId) -> bool {
    !matches!(graph.node(id).op, Op::Input { .. } | Op::Param { .. })
}

fn names(graph: &Graph, ids: &[NodeId]) -> Vec<String> {
    ids.iter()
        .map(|id| format!("{} {} {}", graph.node(*id).scope, graph.node(*id).op.name(), graph.node(*id).fact))
        .collect()
}

#[test]
fn results_and_gradients_are_the_same_bits() {
    tch::set_num_threads(1);
    let mut n_blocks = BTreeMap::new();
    for precision in [Precision::Fp32, Precision::Bf16] {
        for stage in Stage::ALL {
            let golden = Golden::read(stage.name(), precision).expect("a sound file");
            for name in golden.cases.keys() {
                let case = golden.stored_case(stage, name).expect("a sound case");
                n_blocks.insert(stage.name(), blocks(&case.graph).len());
                compare(&format!("{precision} {stage} {name}"), &case);
            }
        }
    }
    let cut: Vec<&str> = n_blocks.iter().filter(|(_, n_blocks)| **n_blocks > 0).map(|(name, _)| *name).collect();
    let expected = ["camera_decoder", "camera_encoder", "decoder", "encoder", "gaze_decoder", "gaze_encoder"];
    assert_eq!(cut, [&expected[..], &["video_decoder", "video_encoder"]].concat());
}

fn compare(label: &str, case: &Case) {
    let checkpointed = CheckpointedGraph::new(case.graph.clone());
    let outputs = |is_checkpointed: bool| -> Vec<Tensor> {
        let parameters = TorchParameters::load(case.graph.params(), case.parameters.as_ref(), Device::Cpu);
        let parameters = parameters.expect("every parameter");
        let inputs: Vec<_> = case.inputs.iter().map(|(name, literal)| (*name, to_tensor(literal))).collect();
        let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
        let outputs = if is_checkpointed {
            checkpointed.run(&inputs, &parameters, Device::Cpu)
        } else {
            run(&case.graph, &inputs, &parameters, Device::Cpu)
        };
        outputs.unwrap_or_else(|error| panic!("{label}: {error}")).into_iter().map(|(_, tensor)| tensor).collect()
    };
    assert!(outputs(true) == outputs(false), "{label}: other results");
    let Some(leaves) = Leaves::of(case) else { return };
    let expected = leaves.gradients(case);
    let actual = leaves.gradients_by(case, &|inputs, parameters| checkpointed.run(inputs, parameters, Device::Cpu));
    for (name, expected) in &expected {
        let same = expected.iter().zip(&actual[name]).all(|(e, a)| e.to_bits() == a.to_bits());
        assert!(same && expected.len() == actual[name].len(), "{label}: another gradient of {name}");
    }
    let is_telling = |gradient: &Vec<f32>| gradient.iter().any(|value| value.abs() > 0.0);
    let is_empty = case.inputs.iter().any(|(_, value)| value.shape().contains(&0));
    assert!(is_empty || expected.values().any(is_telling), "{label}: all gradients are zero");
}
