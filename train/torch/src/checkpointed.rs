use crate::block::{Block, blocks};
use crate::inputs::bind;
use crate::values::Values;
use crate::{Result, TorchError, TorchParameters};
use egom2p_graph::{Bindings, Graph};
use egom2p_torch_native::checkpoint;
use std::sync::Arc;
use tch::{Device, Tensor};

/// A graph whose blocks keep nothing for the backward pass but what crosses their borders: they are computed again there.
///
/// Results and gradients are those of [`crate::run`]. A step takes about a third more time, and the memory of one block's
/// values instead of all blocks'.
#[derive(Clone, Debug)]
pub struct CheckpointedGraph {
    graph: Arc<Graph>,
    blocks: Arc<[Block]>,
}

impl CheckpointedGraph {
    /// Cuts a graph into its [`blocks`].
    pub fn new(graph: Graph) -> Self {
        let blocks = blocks(&graph).into();
        Self { graph: Arc::new(graph), blocks }
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Runs the graph as [`crate::run`] does. Where gradients are not recorded nothing is computed twice.
    pub fn run(
        &self,
        inputs: &[(&str, &Tensor)],
        parameters: &TorchParameters,
        device: Device,
    ) -> Result<Vec<(&'static str, Tensor)>> {
        let bindings = Arc::new(bind(&self.graph, inputs, device)?);
        let mut values = Values::new(&self.graph, &bindings, device);
        let mut blocks = (0..self.blocks.len()).peekable();
        for index in 0..self.graph.nodes().len() {
            values.feed(index, inputs, parameters)?;
            let Some(&next) = blocks.peek().filter(|&&next| self.blocks[next].nodes.contains(&index)) else {
                values.compute(index)?;
                continue;
            };
            let block = &self.blocks[next];
            if index + 1 == block.nodes.end {
                let reads: Vec<&Tensor> = block.reads.iter().map(|&id| values.get(id)).collect();
                let made = checkpoint(&reads, self.closure(next, &bindings, device))?;
                for (id, value) in block.gives.iter().zip(made) {
                    values.put(id.index(), value);
                }
                values.release(block.nodes.clone());
                blocks.next();
            }
        }
        Ok(values.outputs())
    }

    /// What computes the values that a block gives from those that it reads.
    fn closure(
        &self,
        block: usize,
        bindings: &Arc<Bindings>,
        device: Device,
    ) -> impl Fn(&[Tensor]) -> Result<Vec<Tensor>, TorchError> + Send + 'static {
        let (graph, blocks, bindings) = (Arc::clone(&self.graph), Arc::clone(&self.blocks), Arc::clone(bindings));
        move |reads| {
            let block = &blocks[block];
            let mut values = Values::new(&graph, &bindings, device);
            for (id, value) in block.reads.iter().zip(reads) {
                values.put(id.index(), value.shallow_clone());
            }
            for index in block.nodes.clone() {
                values.compute(index)?;
            }
            Ok(block.gives.iter().map(|&id| values.get(id).shallow_clone()).collect())
        }
    }
}
