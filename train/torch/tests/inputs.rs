//! What a run refuses, in two lines each.
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

use egom2p_graph::{Builder, DType, Dim, Graph, ParameterError, Parameters};
use egom2p_torch::{CheckpointedGraph, TorchError, TorchParameters, run};
use tch::{Device, Kind, Tensor};

fn graph() -> Graph {
    let g = Builder::new("sketch");
    g.require("tokens", 2, 0);
    let x = g.input("x", DType::F32, [Dim::from("batch"), "tokens".into(), 4.into()]);
    let ids = g.input("ids", DType::I64, ["batch", "tokens"]);
    let y = g.enter("block.0", || (x + g.param("table", &[3, 4]).embedding(ids)).linear("fc", 4, true));
    let outputs = [("y", y.id())];
    g.finish(outputs).unwrap()
}

struct Ones;

impl Parameters for Ones {
    fn parameter(&self, _: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        Ok(vec![1.0; shape.iter().product()])
    }
}

fn parameters(graph: &Graph) -> TorchParameters {
    TorchParameters::load(graph.params(), &Ones, Device::Cpu).unwrap()
}

fn floats(shape: &[i64]) -> Tensor {
    Tensor::zeros(shape, (Kind::Float, Device::Cpu))
}

fn ids(shape: &[i64], value: i64) -> Tensor {
    Tensor::full(shape, value, (Kind::Int64, Device::Cpu))
}

/// What both ways to run a graph say.
fn message(inputs: &[(&str, &Tensor)], parameters: &TorchParameters) -> String {
    let text = |outcome: Result<Vec<(&str, Tensor)>, TorchError>| match outcome {
        Ok(outputs) => format!("{:?}", outputs[0].1.size()),
        Err(error) => error.to_string(),
    };
    let plain = text(run(&graph(), inputs, parameters, Device::Cpu));
    let checkpointed = text(CheckpointedGraph::new(graph()).run(inputs, parameters, Device::Cpu));
    assert_eq!(plain, checkpointed);
    plain
}

#[test]
fn inputs_are_taken_by_name_in_any_order_and_size() {
    let parameters = parameters(&graph());
    let good = |batch, tokens| {
        message(&[("ids", &ids(&[batch, tokens], 2)), ("x", &floats(&[batch, tokens, 4]))], &parameters)
    };
    assert_eq!(good(2, 4), "[2, 4, 4]");
    assert_eq!(good(0, 4), "[0, 4, 4]");
    assert_eq!(good(2, 0), "[2, 0, 4]");
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let parameters = parameters(&graph());
    let (x, right) = (floats(&[1, 2, 4]), ids(&[1, 2], 0));
    let refused = |inputs: &[(&str, &Tensor)], expected: &str| {
        let text = message(inputs, &parameters);
        assert!(text.starts_with(expected) && text.lines().count() == 2, "{text}");
    };
    refused(&[("x", &x)], "sketch: input ids is missing\n");
    refused(&[("x", &x), ("ids", &right), ("mask", &x)], "sketch: no input called mask\nfeed x, ids");
    refused(&[("x", &x), ("ids", &right), ("x", &x)], "sketch: input x is fed twice\n");
    let kind = x.to_kind(Kind::Double);
    refused(
        &[("x", &kind), ("ids", &right)],
        "sketch: input x: expected f32[batch, tokens, 4] on Cpu, got Double[1, 2, 4] on Cpu\n",
    );
    refused(
        &[("x", &floats(&[1, 2, 5])), ("ids", &right)],
        "sketch: input x: expected f32[batch, tokens, 4] on Cpu, got Float[1, 2, 5]",
    );
    refused(&[("x", &floats(&[2, 4])), ("ids", &right)], "sketch: input x: expected");
    refused(&[("x", &x), ("ids", &ids(&[1, 4], 0))], "sketch: dimension tokens is 2 and 4 in one run\n");
    refused(&[("x", &floats(&[1, 3, 4])), ("ids", &ids(&[1, 3], 0))], "sketch: dimension tokens is 3, expected");
    refused(&[("x", &x), ("ids", &ids(&[1, 2], 3))], "sketch: block.0: embedding: index out of range in self");
    refused(&[("x", &x), ("ids", &ids(&[1, 2], -1))], "sketch: block.0: embedding: index out of range in self");
}

#[test]
fn parameters_that_do_not_fit_are_refused() {
    let (x, right) = (floats(&[1, 2, 4]), ids(&[1, 2], 0));
    let mut wrong = parameters(&graph());
    wrong.insert("block.0.table", floats(&[4, 3]));
    let inputs = [("x", &x), ("ids", &right)];
    let text = message(&inputs, &wrong);
    assert_eq!(text.lines().next(), Some("shape mismatch for block.0.table: expected [3, 4], got [4, 3]"));
    let text = message(&inputs, &TorchParameters::default());
    assert_eq!(text.lines().next(), Some("no parameter called block.0.table"));
}

#[test]
fn codes_outside_of_the_levels_are_refused() {
    let g = Builder::new("sketch");
    let tokens = g.input("tokens", DType::I64, [Dim::from("batch"), 1.into(), 1.into(), 1.into()]);
    let codes = tokens.fsq_dequantize(&[8, 5]).id();
    let graph = g.finish([("codes", codes)]).unwrap();
    for (id, is_code) in [(0, true), (39, true), (40, false), (-1, false)] {
        let outcome = run(&graph, &[("tokens", &ids(&[2, 1, 1, 1], id))], &TorchParameters::default(), Device::Cpu);
        assert_eq!(outcome.is_ok(), is_code, "{outcome:?}");
        if let Err(error) = outcome {
            let first = format!("sketch: fsq_dequantize: id {id} is not below 40");
            assert_eq!(error.to_string().lines().next(), Some(first.as_str()));
        }
    }
}
