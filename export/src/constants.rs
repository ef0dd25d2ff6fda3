use egom2p_graph::{Graph, Literal, Op};

use crate::encoding;

/// Constants of a graph that are smaller than this stand in the ONNX file itself.
pub const EMBEDDED_BELOW_BYTES: usize = 1024;

/// The constants of `graph` that belong in the weights file.
pub(crate) fn large_constants(graph: &Graph) -> impl Iterator<Item = &Literal> {
    let constants =
        graph.nodes().iter().filter_map(|node| if let Op::Constant(literal) = &node.op { Some(literal) } else { None });
    constants.filter(|literal| !is_embedded(literal))
}

/// Whether a constant is small enough to stand in the ONNX file.
pub(crate) fn is_embedded(literal: &Literal) -> bool {
    literal.data().len() * literal.dtype().size_bytes() < EMBEDDED_BELOW_BYTES
}

/// The name of a large constant in the weights file, which follows from its contents.
pub(crate) fn constant_name(literal: &Literal) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{}{:?}", literal.dtype(), literal.shape()).as_bytes());
    hasher.update(&encoding::literal_bytes(literal.data()));
    let digest = hasher.finalize();
    format!("constant.{}", &digest.to_hex()[..16])
}
