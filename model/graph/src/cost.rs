use crate::{Bindings, DimError, Graph, Node, Op};

/// What the matrix products of a graph take at given sizes.
///
/// Products are [`Op::Linear`], [`Op::CausalConv`] and [`Op::Attention`]; everything else is left out, because it can be
/// done on the way from one product to the next. Attention counts every query with every key, whether or not a mask or
/// causality forbids the pair.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cost {
    /// Floating-point operations: two for every multiplication with its addition.
    pub flops: u64,
    /// Bytes that the products read and write, each operand and each result once per product. What attention multiplies
    /// inside is left out.
    pub bytes: u64,
}

impl Graph {
    /// What the products take when the named dimensions have these sizes. Sums that do not fit are the largest number.
    ///
    /// # Errors
    /// A named dimension that has no size, or one for which a shape does not exist.
    pub fn cost(&self, bindings: &Bindings) -> Result<Cost, DimError> {
        let mut sum = Cost::default();
        for node in &self.nodes {
            let Cost { flops, bytes } = self.node_cost(node, bindings)?;
            sum.flops = sum.flops.saturating_add(flops);
            sum.bytes = sum.bytes.saturating_add(bytes);
        }
        Ok(sum)
    }

    fn node_cost(&self, node: &Node, bindings: &Bindings) -> Result<Cost, DimError> {
        let input = |at: usize| sizes(self.node(node.inputs[at]), bindings);
        let outputs = product(&sizes(node, bindings)?);
        let multiplications = match &node.op {
            // Every element of the result sums over all axes of the weight but the first.
            Op::Linear { .. } | Op::CausalConv { .. } => outputs.saturating_mul(product(&input(1)?[1..])),
            // Per query and key, over all heads: the features of q, then those of v, which the result has too.
            Op::Attention { .. } => {
                let features = product(&input(0)?).saturating_add(outputs);
                features.saturating_mul(input(1)?[1])
            }
            Op::Input { .. }
            | Op::Param { .. }
            | Op::Constant(_)
            | Op::Add
            | Op::Sub
            | Op::Mul
            | Op::Equal
            | Op::And
            | Op::Where
            | Op::Silu
            | Op::Gelu
            | Op::Tanh
            | Op::Cast { .. }
            | Op::Reshape
            | Op::Transpose { .. }
            | Op::Slice { .. }
            | Op::Embedding
            | Op::LayerNorm { .. }
            | Op::FrameNorm { .. }
            | Op::AveragePool
            | Op::UpsampleNearest
            | Op::HaarPatch { .. }
            | Op::HaarUnpatch { .. }
            | Op::L2Normalize { .. }
            | Op::ArgMax
            | Op::FsqQuantize { .. }
            | Op::FsqDequantize { .. } => return Ok(Cost::default()),
        };
        let operands = node.inputs.iter().map(|&id| self.node(id)).chain([node]);
        let mut bytes = 0_u64;
        for operand in operands {
            let elements = product(&sizes(operand, bindings)?);
            bytes = bytes.saturating_add(elements.saturating_mul(operand.fact.dtype.size_bytes() as u64));
        }
        Ok(Cost { flops: multiplications.saturating_mul(2), bytes })
    }
}

fn sizes(node: &Node, bindings: &Bindings) -> Result<Vec<u64>, DimError> {
    node.fact.shape.iter().map(|dim| Ok(dim.evaluate(bindings)? as u64)).collect()
}

fn product(sizes: &[u64]) -> u64 {
    sizes.iter().fold(1, |product, &size| product.saturating_mul(size))
}

#[cfg(test)]
mod tests {
    use super::Cost;
    use crate::{AttentionMask, Bindings, Builder, DType, Dim, DimError, Padding};

    fn bindings() -> Bindings {
        Bindings::from([("batch", 2), ("n", 3)])
    }

    #[test]
    fn a_linear_map_counts_rows_times_inputs_times_outputs() {
        let g = Builder::new("linear");
        let x = g.input("x", DType::F32, [Dim::from("batch"), "n".into(), 4.into()]);
        let y = x.linear("fc", 5, true).silu().id();
        let graph = g.finish([("y", y)]).expect("a sound graph");
        // 6 rows of 4 to 5; x 24, weight 20, bias 5 and result 30 elements of 4 bytes.
        assert_eq!(graph.cost(&bindings()), Ok(Cost { flops: 2 * 6 * 4 * 5, bytes: 4 * (24 + 20 + 5 + 30) }));
        assert_eq!(graph.cost(&Bindings::from([("n", 3)])), Err(DimError::Unbound { name: "batch" }));
    }

    #[test]
    fn halves_take_half_the_bytes() {
        let g = Builder::new("half");
        let x = g.input("x", DType::F32, [Dim::from("n"), 4.into()]).cast(DType::F16);
        let weight = g.param("weight", &[5, 4]).cast(DType::F16);
        let y = x.project(weight, None).cast(DType::F32).id();
        let graph = g.finish([("y", y)]).expect("a sound graph");
        assert_eq!(graph.cost(&bindings()), Ok(Cost { flops: 2 * 3 * 4 * 5, bytes: 2 * (12 + 20 + 15) }));
    }

    #[test]
    fn a_convolution_counts_its_kernel_at_every_place_of_the_result() {
        let g = Builder::new("conv");
        let x = g.input("x", DType::F32, [Dim::from(1), 3.into(), "n".into(), 8.into(), 8.into()]);
        let (weight, bias) = (g.param("weight", &[7, 3, 2, 3, 3]), g.param("bias", &[7]));
        let y = x.causal_conv(weight, bias, 2, Padding { before: 1, after: 1 }).id();
        let graph = g.finish([("y", y)]).expect("a sound graph");
        // 7 channels, 3 frames, 4 x 4 pixels, each from 3 channels of 2 x 3 x 3.
        let (places, kernel) = (7 * 3 * 4 * 4, 3 * 2 * 3 * 3);
        let bytes = 4 * (3 * 3 * 8 * 8 + 7 * kernel + 7 + places);
        assert_eq!(graph.cost(&bindings()), Ok(Cost { flops: 2 * places * kernel, bytes }));
    }

    #[test]
    fn attention_counts_every_query_with_every_key_twice() {
        let g = Builder::new("attention");
        let q = g.input("q", DType::F32, [Dim::from("batch"), "n".into(), 8.into()]);
        let k = g.input("k", DType::F32, [Dim::from("batch"), 5.into(), 8.into()]);
        let v = g.input("v", DType::F32, [Dim::from("batch"), 5.into(), 6.into()]);
        let mask = g.input("mask", DType::Bool, [Dim::from("batch"), 5.into()]);
        let y = g.attention([q, k, v], 2, 0.5, (AttentionMask::Keys, Some(mask))).id();
        let graph = g.finish([("y", y)]).expect("a sound graph");
        // 2 samples, 3 queries, 5 keys: 8 features of q and k, 6 of v.
        let elements = 2 * (3 * 8 + 5 * 8 + 5 * 6 + 3 * 6);
        assert_eq!(graph.cost(&bindings()), Ok(Cost { flops: 2 * 2 * 3 * 5 * (8 + 6), bytes: 4 * elements + 10 }));
    }
}
