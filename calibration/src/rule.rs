//! Which type every operation is computed in; the crate's documentation says why.

use egom2p_graph::{DType, Graph, Node, NodeId, Op};

/// How many sums may lie between a product and the output or the search that keeps it in `f32`.
const SUMS_BETWEEN: usize = 1;

/// The types of a graph's nodes under a half type.
pub(crate) struct Types<'g> {
    graph: &'g Graph,
    /// Per node, the type of what it gives.
    results: Vec<DType>,
}

/// What the rule says of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Reads nothing and has its own type.
    Leaf,
    /// Half, unless its result is given or searched.
    Product,
    /// `f32`.
    Single,
    /// `f32`, and its result decides a token.
    Search,
    /// As wide as its input, whose values it moves.
    View,
    /// As wide as its input.
    Activation,
    /// As wide as the widest input; adds.
    Sum,
    /// As wide as the widest input.
    Other,
    /// As it says.
    Cast,
}

impl<'g> Types<'g> {
    /// The types that the rule gives the nodes of `graph`, with products in `half`.
    pub(crate) fn new(graph: &'g Graph, half: DType) -> Self {
        let is_kept = kept_products(graph);
        let is_stored_in_half = stored_in_half(graph, &is_kept);
        let mut results = Vec::with_capacity(graph.nodes().len());
        for (index, node) in graph.nodes().iter().enumerate() {
            results.push(match Kind::of(&node.op) {
                Kind::Product if is_kept[index] => DType::F32,
                Kind::Product => half,
                Kind::View if is_stored_in_half[index] => half,
                Kind::View | Kind::Activation | Kind::Sum | Kind::Other => widest(node, &results),
                Kind::Leaf | Kind::Single | Kind::Search | Kind::Cast => node.fact.dtype,
            });
        }
        Self { graph, results }
    }

    /// The type of what `id` gives.
    pub(crate) fn result(&self, id: NodeId) -> DType {
        self.results[id.index()]
    }

    /// The type in which `reader` takes `input`.
    pub(crate) fn operand(&self, reader: NodeId, input: NodeId) -> DType {
        let given = self.result(input);
        if !given.is_float() {
            return given;
        }
        match Kind::of(&self.graph.node(reader).op) {
            Kind::Leaf | Kind::Cast => given,
            Kind::Single | Kind::Search => DType::F32,
            Kind::Product | Kind::View | Kind::Activation | Kind::Sum | Kind::Other => self.result(reader),
        }
    }
}

impl Kind {
    fn of(op: &Op) -> Self {
        match op {
            Op::Input { .. } | Op::Param { .. } | Op::Constant(_) => Self::Leaf,
            Op::Linear { .. } | Op::Attention { .. } | Op::CausalConv { .. } => Self::Product,
            Op::Embedding
            | Op::LayerNorm { .. }
            | Op::FrameNorm { .. }
            | Op::HaarPatch { .. }
            | Op::HaarUnpatch { .. }
            | Op::FsqDequantize { .. } => Self::Single,
            Op::L2Normalize { .. } | Op::ArgMax | Op::FsqQuantize { .. } => Self::Search,
            Op::Reshape | Op::Transpose { .. } | Op::Slice { .. } => Self::View,
            Op::Silu | Op::Gelu | Op::Tanh => Self::Activation,
            Op::Add => Self::Sum,
            Op::Sub | Op::Mul | Op::Equal | Op::And | Op::Where | Op::AveragePool | Op::UpsampleNearest => Self::Other,
            Op::Cast { .. } => Self::Cast,
        }
    }
}

/// The type of an operation that follows its inputs: two different half types have only `f32` in common.
fn widest(node: &Node, results: &[DType]) -> DType {
    let mut floats = node.inputs.iter().map(|input| results[input.index()]).filter(|dtype| dtype.is_float());
    let first = floats.next().filter(|_| node.fact.dtype.is_float());
    first.map_or(node.fact.dtype, |first| if floats.all(|other| other == first) { first } else { DType::F32 })
}

/// Per node, whether it is a product that stays in `f32`: one that the stage gives, or that is searched.
fn kept_products(graph: &Graph) -> Vec<bool> {
    let given = graph.outputs().iter().map(|(_, id)| *id);
    let searches = graph.nodes().iter().filter(|node| Kind::of(&node.op) == Kind::Search);
    let searched = searches.map(|node| node.inputs[0]);
    let mut pending: Vec<(NodeId, usize)> = given.chain(searched).map(|id| (id, SUMS_BETWEEN)).collect();
    let mut is_kept = vec![false; graph.nodes().len()];
    while let Some((id, sums_left)) = pending.pop() {
        let node = graph.node(id);
        match Kind::of(&node.op) {
            Kind::Product => is_kept[id.index()] = true,
            Kind::View | Kind::Activation | Kind::Cast => pending.push((node.inputs[0], sums_left)),
            Kind::Sum if sums_left > 0 => pending.extend(node.inputs.iter().map(|&input| (input, sums_left - 1))),
            Kind::Leaf | Kind::Single | Kind::Search | Kind::Sum | Kind::Other => {}
        }
    }
    is_kept
}

/// Per node, whether it is a parameter that only half products read, or a view of such a parameter.
fn stored_in_half(graph: &Graph, is_kept: &[bool]) -> Vec<bool> {
    let n_nodes = graph.nodes().len();
    let (mut is_read, mut only_by_halves) = (vec![false; n_nodes], vec![true; n_nodes]);
    for (_, id) in graph.outputs() {
        only_by_halves[id.index()] = false;
    }
    // Readers come after what they read, so that from the end every node is settled before what it reads.
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        let reads_for_halves = match Kind::of(&node.op) {
            Kind::Product => !is_kept[index],
            Kind::View => is_read[index] && only_by_halves[index],
            Kind::Leaf | Kind::Single | Kind::Search | Kind::Activation | Kind::Sum | Kind::Other | Kind::Cast => false,
        };
        for input in &node.inputs {
            is_read[input.index()] = true;
            only_by_halves[input.index()] &= reads_for_halves;
        }
    }
    let mut is_stored = vec![false; n_nodes];
    for (index, node) in graph.nodes().iter().enumerate() {
        is_stored[index] = match (&node.op, Kind::of(&node.op)) {
            (Op::Param { .. }, _) => is_read[index] && only_by_halves[index],
            (_, kind) => kind == Kind::View && is_stored[node.inputs[0].index()],
        };
    }
    is_stored
}
