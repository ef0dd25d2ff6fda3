//! The values of a graph's nodes while it runs, each from when it is known until its last use.

use crate::evaluate::{Operands, evaluate};
use crate::inputs::{find, sizes};
use crate::{Result, TorchError, TorchParameters};
use egom2p_graph::{Bindings, Graph, NodeId, Op};
use std::ops::Range;
use tch::{Device, Tensor};

/// What is held of a run.
pub(crate) struct Values<'a> {
    graph: &'a Graph,
    bindings: &'a Bindings,
    device: Device,
    held: Vec<Option<Tensor>>,
    last_uses: Vec<Option<usize>>,
}

impl<'a> Values<'a> {
    /// No values yet, of a run with these sizes.
    pub(crate) fn new(graph: &'a Graph, bindings: &'a Bindings, device: Device) -> Self {
        let held = graph.nodes().iter().map(|_| None).collect();
        Self { graph, bindings, device, held, last_uses: last_uses(graph) }
    }

    /// Takes up a node that is an input or a parameter; other nodes are left.
    pub(crate) fn feed(
        &mut self,
        index: usize,
        inputs: &[(&str, &Tensor)],
        parameters: &TorchParameters,
    ) -> Result<()> {
        let node = &self.graph.nodes()[index];
        let value = match &node.op {
            Op::Input { name } => find(inputs, name).expect("binding found every input"),
            Op::Param { name } => parameters.expect(name, &sizes(self.graph, &node.fact.shape, self.bindings)?)?,
            _ => return Ok(()),
        };
        self.put(index, value.shallow_clone());
        Ok(())
    }

    /// Computes a node that is neither, and lets go of what it was the last to read.
    pub(crate) fn compute(&mut self, index: usize) -> Result<()> {
        let node = &self.graph.nodes()[index];
        if is_fed(&node.op) {
            return Ok(());
        }
        let shape = sizes(self.graph, &node.fact.shape, self.bindings)?;
        let inputs = node.inputs.iter().map(|&id| self.get(id)).collect();
        let operands = Operands { inputs, shape: &shape, device: self.device };
        let place = || [self.graph.name(), &node.scope, node.op.name()].into_iter().filter(|part| !part.is_empty());
        let value = evaluate(node, &operands)
            .map_err(|error| TorchError::at(&place().collect::<Vec<_>>().join(": "))(error))?;
        self.put(index, value);
        self.release(index..index + 1);
        Ok(())
    }

    /// Lets go of what these nodes were the last to read.
    pub(crate) fn release(&mut self, nodes: Range<usize>) {
        for node in &self.graph.nodes()[nodes.clone()] {
            for input in &node.inputs {
                if self.last_uses[input.index()].is_some_and(|last| nodes.contains(&last)) {
                    self.held[input.index()] = None;
                }
            }
        }
    }

    /// Keeps the value of a node, unless nothing reads it.
    pub(crate) fn put(&mut self, index: usize, value: Tensor) {
        self.held[index] = self.last_uses[index].is_some().then_some(value);
    }

    /// The value of a node that is yet to be read.
    pub(crate) fn get(&self, id: NodeId) -> &Tensor {
        self.held[id.index()].as_ref().expect("values live until their last use")
    }

    /// The outputs by name, in the graph's order.
    pub(crate) fn outputs(&self) -> Vec<(&'static str, Tensor)> {
        self.graph.outputs().iter().map(|&(name, id)| (name, self.get(id).shallow_clone())).collect()
    }
}

/// Whether the value comes from outside of the graph.
pub(crate) fn is_fed(op: &Op) -> bool {
    matches!(op, Op::Input { .. } | Op::Param { .. })
}

/// Per node, the last node that reads it; the number of nodes for outputs, `None` where nothing reads it.
pub(crate) fn last_uses(graph: &Graph) -> Vec<Option<usize>> {
    let mut last = vec![None; graph.nodes().len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        for input in &node.inputs {
            last[input.index()] = Some(index);
        }
    }
    for (_, id) in graph.outputs() {
        last[id.index()] = Some(graph.nodes().len());
    }
    last
}
