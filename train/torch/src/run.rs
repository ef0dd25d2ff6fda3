use crate::inputs::bind;
use crate::values::Values;
use crate::{Result, TorchParameters};
use egom2p_graph::Graph;
use tch::{Device, Tensor};

/// Runs `graph` on `inputs`, given by name in any order, and returns its outputs in the order of [`Graph::outputs`].
///
/// Named dimensions take their sizes from the inputs. Gradients are recorded as everywhere in libtorch: where an input or a
/// parameter requires one, unless [`tch::no_grad`] says otherwise. Every value is let go after its last use, so that without
/// gradients no more tensors are held at a time than the reference interpreter holds; what the backward pass needs, libtorch
/// keeps. An output may share its memory with an input, a parameter or another output.
///
/// Fails on inputs that are missing, unknown, repeated, of another type or shape or on another device, on sizes that
/// disagree or break a [`egom2p_graph::DimRule`], on ids outside their table, and on parameters that cannot be had. On a GPU
/// ids are not checked before the device reads them, which ends its context.
pub fn run(
    graph: &Graph,
    inputs: &[(&str, &Tensor)],
    parameters: &TorchParameters,
    device: Device,
) -> Result<Vec<(&'static str, Tensor)>> {
    let bindings = bind(graph, inputs, device)?;
    let mut values = Values::new(graph, &bindings, device);
    for index in 0..graph.nodes().len() {
        values.feed(index, inputs, parameters)?;
        values.compute(index)?;
    }
    Ok(values.outputs())
}
