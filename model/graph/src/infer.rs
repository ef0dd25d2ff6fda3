//! The type and shape that an operation gives, from those that it reads.

use crate::{AttentionMask, DType, Dim, Fact, Op};

/// The result of `op` on `inputs`, or why there is none. [`Op::Input`], [`Op::Param`] and [`Op::Reshape`] bring their own shape.
#[allow(clippy::too_many_lines, reason = "one arm for every operation")]
pub(crate) fn infer(op: &Op, inputs: &[&Fact], declared: Option<&Fact>) -> Result<Fact, String> {
    let arity = arity(op);
    if inputs.len() != arity {
        return Err(format!("{} takes {arity} inputs, got {}", op.name(), inputs.len()));
    }
    match op {
        Op::Input { .. } | Op::Param { .. } => declared.cloned().ok_or_else(|| format!("{} needs a shape", op.name())),
        Op::Constant(literal) => {
            Ok(Fact { dtype: literal.dtype(), shape: literal.shape().iter().map(|&size| Dim::fixed(size)).collect() })
        }
        Op::Add | Op::Sub | Op::Mul => {
            same_type(inputs)?;
            if inputs[0].dtype == DType::Bool {
                return Err(format!("{} takes floats or i64, got bool", op.name()));
            }
            Ok(Fact { dtype: inputs[0].dtype, shape: broadcast(inputs)? })
        }
        Op::Equal => {
            inputs.iter().try_for_each(|input| typed(input, DType::I64))?;
            Ok(Fact { dtype: DType::Bool, shape: broadcast(inputs)? })
        }
        Op::And => {
            inputs.iter().try_for_each(|input| typed(input, DType::Bool))?;
            Ok(Fact { dtype: DType::Bool, shape: broadcast(inputs)? })
        }
        Op::Where => {
            typed(inputs[0], DType::Bool)?;
            same_type(&inputs[1..])?;
            Ok(Fact { dtype: inputs[1].dtype, shape: broadcast(inputs)? })
        }
        Op::Silu | Op::Gelu | Op::Tanh => {
            floats(inputs)?;
            Ok(inputs[0].clone())
        }
        Op::Cast { to } => {
            floats(inputs)?;
            if !to.is_float() {
                return Err(format!("cast gives floats, not {to}"));
            }
            Ok(Fact { dtype: *to, shape: inputs[0].shape.clone() })
        }
        Op::Reshape => {
            let shape = declared.ok_or("reshape needs a shape")?.shape.clone();
            let (from, to) = (Dim::product(&inputs[0].shape), Dim::product(&shape));
            if from != to {
                return Err(format!("cannot reshape {:?} ({from} values) to {shape:?} ({to} values)", inputs[0].shape));
            }
            Ok(Fact { dtype: inputs[0].dtype, shape })
        }
        Op::Transpose { perm } => {
            let mut sorted = perm.clone();
            sorted.sort_unstable();
            if sorted.len() != inputs[0].shape.len() || !sorted.iter().copied().eq(0..sorted.len()) {
                return Err(format!("{perm:?} is not an order of the axes of {:?}", inputs[0].shape));
            }
            let shape = perm.iter().map(|&axis| inputs[0].shape[axis].clone()).collect();
            Ok(Fact { dtype: inputs[0].dtype, shape })
        }
        Op::Slice { axis, start, len } => {
            let mut shape = inputs[0].shape.clone();
            let size = fixed_axis(inputs[0], *axis)?;
            if start.checked_add(*len).is_none_or(|end| end > size) {
                return Err(format!("slice [{start}..{}] of an axis of {size}", start.saturating_add(*len)));
            }
            shape[*axis] = Dim::fixed(*len);
            Ok(Fact { dtype: inputs[0].dtype, shape })
        }
        Op::Embedding => {
            let [table, ids] = [inputs[0], inputs[1]];
            floats(&inputs[..1])?;
            typed(ids, DType::I64)?;
            rank(table, 2)?;
            let shape = ids.shape.iter().chain([&table.shape[1]]).cloned().collect();
            Ok(Fact { dtype: table.dtype, shape })
        }
        Op::Linear { .. } => {
            floats(inputs)?;
            let [x, weight] = [inputs[0], inputs[1]];
            rank(weight, 2)?;
            let Some((last, leading)) = x.shape.split_last() else {
                return Err("linear needs at least one axis".to_owned());
            };
            if *last != weight.shape[1] {
                return Err(format!("linear takes {} features, got {last}", weight.shape[1]));
            }
            if let Some(bias) = inputs.get(2) {
                shaped(bias, &weight.shape[..1])?;
            }
            let shape = leading.iter().chain([&weight.shape[0]]).cloned().collect();
            Ok(Fact { dtype: x.dtype, shape })
        }
        Op::LayerNorm { .. } => {
            singles(inputs)?;
            let last = inputs[0].shape.last().ok_or("layer_norm needs at least one axis")?;
            inputs[1..].iter().try_for_each(|input| shaped(input, std::slice::from_ref(last)))?;
            Ok(inputs[0].clone())
        }
        Op::FrameNorm { .. } => {
            singles(inputs)?;
            rank(inputs[0], 5)?;
            inputs[1..].iter().try_for_each(|input| shaped(input, &inputs[0].shape[1..2]))?;
            Ok(inputs[0].clone())
        }
        Op::Attention { heads, mask, causal, .. } => attention(*heads, *mask, *causal, inputs),
        Op::CausalConv { stride, padding } => {
            floats(inputs)?;
            let [x, weight, bias] = [inputs[0], inputs[1], inputs[2]];
            rank(x, 5)?;
            rank(weight, 5)?;
            if x.shape[1] != weight.shape[1] {
                return Err(format!("causal_conv takes {} channels, got {}", weight.shape[1], x.shape[1]));
            }
            shaped(bias, &weight.shape[..1])?;
            kernel_axis(weight, 2)?;
            let border = (padding.before + padding.after) as i64;
            let pixels = |axis: usize| {
                let kernel = kernel_axis(weight, axis)?;
                let steps = x.shape[axis].plus(border - kernel as i64).and_then(|d| d.over(*stride)?.plus(1));
                steps.ok_or_else(|| format!("no size for axis {axis} of {:?} under kernel {kernel}", x.shape))
            };
            let shape = vec![x.shape[0].clone(), weight.shape[0].clone(), x.shape[2].clone(), pixels(3)?, pixels(4)?];
            Ok(Fact { dtype: x.dtype, shape })
        }
        Op::AveragePool => {
            video(inputs, |shape| Some([shape[1].clone(), shape[2].clone(), shape[3].over(2)?, shape[4].over(2)?]))
        }
        Op::UpsampleNearest => {
            video(inputs, |shape| Some([shape[1].clone(), shape[2].clone(), shape[3].times(2), shape[4].times(2)]))
        }
        Op::HaarPatch { patch } => {
            power_of_two(*patch)?;
            let repeated = *patch as i64 - 1;
            video(inputs, |shape| {
                let channels = shape[1].times(patch.pow(3));
                Some([channels, shape[2].plus(repeated)?.over(*patch)?, shape[3].over(*patch)?, shape[4].over(*patch)?])
            })
        }
        Op::HaarUnpatch { patch } => {
            power_of_two(*patch)?;
            let dropped = *patch as i64 - 1;
            video(inputs, |shape| {
                let channels = shape[1].as_fixed().filter(|c| c.is_multiple_of(patch.pow(3)))? / patch.pow(3);
                Some([
                    channels.into(),
                    shape[2].times(*patch).plus(-dropped)?,
                    shape[3].times(*patch),
                    shape[4].times(*patch),
                ])
            })
        }
        Op::L2Normalize { .. } => {
            singles(inputs)?;
            inputs[0].shape.last().ok_or("l2_normalize needs at least one axis")?;
            Ok(inputs[0].clone())
        }
        Op::ArgMax => {
            singles(inputs)?;
            let (last, leading) = inputs[0].shape.split_last().ok_or("arg_max needs at least one axis")?;
            if last.as_fixed() == Some(0) {
                return Err("arg_max of nothing".to_owned());
            }
            Ok(Fact { dtype: DType::I64, shape: leading.to_vec() })
        }
        Op::FsqQuantize { levels } => {
            singles(inputs)?;
            rank(inputs[0], 5)?;
            check_levels(levels)?;
            let mut shape = inputs[0].shape.clone();
            if shape.remove(1).as_fixed() != Some(levels.len()) {
                return Err(format!("fsq_quantize takes {} channels, got {:?}", levels.len(), inputs[0].shape));
            }
            Ok(Fact { dtype: DType::I64, shape })
        }
        Op::FsqDequantize { levels } => {
            typed(inputs[0], DType::I64)?;
            rank(inputs[0], 4)?;
            check_levels(levels)?;
            let mut shape = inputs[0].shape.clone();
            shape.insert(1, levels.len().into());
            Ok(Fact { dtype: DType::F32, shape })
        }
    }
}

fn arity(op: &Op) -> usize {
    match op {
        Op::Input { .. } | Op::Param { .. } | Op::Constant(_) => 0,
        Op::Silu
        | Op::Gelu
        | Op::Tanh
        | Op::Cast { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Slice { .. }
        | Op::AveragePool
        | Op::UpsampleNearest
        | Op::HaarPatch { .. }
        | Op::HaarUnpatch { .. }
        | Op::L2Normalize { .. }
        | Op::ArgMax
        | Op::FsqQuantize { .. }
        | Op::FsqDequantize { .. } => 1,
        Op::Add | Op::Sub | Op::Mul | Op::Equal | Op::And | Op::Embedding => 2,
        Op::Where | Op::FrameNorm { .. } | Op::CausalConv { .. } => 3,
        Op::Linear { bias } | Op::LayerNorm { bias, .. } => 2 + usize::from(*bias),
        Op::Attention { mask, .. } => 3 + usize::from(*mask != AttentionMask::None),
    }
}

fn attention(heads: usize, mask: AttentionMask, causal: bool, inputs: &[&Fact]) -> Result<Fact, String> {
    let [q, k, v] = [inputs[0], inputs[1], inputs[2]];
    floats(&inputs[..3])?;
    for input in [q, k, v] {
        rank(input, 3)?;
        if heads == 0 || !fixed_axis(input, 2)?.is_multiple_of(heads) {
            return Err(format!("{} features do not split into {heads} heads", input.shape[2]));
        }
    }
    if q.shape[2] != k.shape[2] {
        return Err(format!("queries have {} features, keys {}", q.shape[2], k.shape[2]));
    }
    if k.shape[..2] != v.shape[..2] || q.shape[0] != k.shape[0] {
        return Err(format!("q {:?}, k {:?} and v {:?} do not belong together", q.shape, k.shape, v.shape));
    }
    if causal && q.shape[1] != k.shape[1] {
        return Err(format!("causal attention needs as many keys as queries, got {} and {}", k.shape[1], q.shape[1]));
    }
    if let Some(allowed) = inputs.get(3) {
        typed(allowed, DType::Bool)?;
        let expected = match mask {
            AttentionMask::None => Vec::new(),
            AttentionMask::Keys => vec![k.shape[0].clone(), k.shape[1].clone()],
            AttentionMask::Pairs => vec![q.shape[0].clone(), q.shape[1].clone(), k.shape[1].clone()],
        };
        shaped(allowed, &expected)?;
    }
    Ok(Fact { dtype: q.dtype, shape: vec![q.shape[0].clone(), q.shape[1].clone(), v.shape[2].clone()] })
}

fn video(inputs: &[&Fact], axes: impl FnOnce(&[Dim]) -> Option<[Dim; 4]>) -> Result<Fact, String> {
    floats(inputs)?;
    rank(inputs[0], 5)?;
    let shape = &inputs[0].shape;
    let rest = axes(shape).ok_or_else(|| format!("no size follows from {shape:?}"))?;
    Ok(Fact { dtype: inputs[0].dtype, shape: [shape[0].clone()].into_iter().chain(rest).collect() })
}

fn broadcast(inputs: &[&Fact]) -> Result<Vec<Dim>, String> {
    let rank = inputs.iter().map(|input| input.shape.len()).max().unwrap_or(0);
    let one = Dim::fixed(1);
    (0..rank)
        .map(|axis| {
            let mut size = &one;
            for input in inputs {
                let missing = rank - input.shape.len();
                let other = if axis < missing { &one } else { &input.shape[axis - missing] };
                if *size == one {
                    size = other;
                } else if *other != one && other != size {
                    let shapes: Vec<_> = inputs.iter().map(|input| &input.shape).collect();
                    return Err(format!("shapes do not broadcast: {shapes:?}"));
                }
            }
            Ok(size.clone())
        })
        .collect()
}

fn typed(fact: &Fact, dtype: DType) -> Result<(), String> {
    if fact.dtype == dtype { Ok(()) } else { Err(format!("expected {dtype}, got {fact}")) }
}

/// All of one float type.
fn floats(facts: &[&Fact]) -> Result<(), String> {
    if let Some(fact) = facts.first().filter(|fact| !fact.dtype.is_float()) {
        return Err(format!("expected a float type, got {fact}"));
    }
    same_type(facts)
}

/// All `f32`: what loses its meaning in a half type.
fn singles(facts: &[&Fact]) -> Result<(), String> {
    facts.iter().try_for_each(|fact| typed(fact, DType::F32))
}

fn same_type(facts: &[&Fact]) -> Result<(), String> {
    facts.iter().try_for_each(|fact| typed(fact, facts[0].dtype))
}

fn rank(fact: &Fact, rank: usize) -> Result<(), String> {
    if fact.shape.len() == rank { Ok(()) } else { Err(format!("expected {rank} axes, got {fact}")) }
}

fn shaped(fact: &Fact, shape: &[Dim]) -> Result<(), String> {
    if fact.shape == shape { Ok(()) } else { Err(format!("expected shape {shape:?}, got {fact}")) }
}

fn fixed_axis(fact: &Fact, axis: usize) -> Result<usize, String> {
    let size = fact.shape.get(axis).and_then(Dim::as_fixed);
    size.ok_or_else(|| format!("axis {axis} must have a fixed size, got {fact}"))
}

fn kernel_axis(weight: &Fact, axis: usize) -> Result<usize, String> {
    match fixed_axis(weight, axis)? {
        0 => Err(format!("axis {axis} of the kernel {weight} is empty")),
        size => Ok(size),
    }
}

fn power_of_two(patch: usize) -> Result<(), String> {
    if patch.is_power_of_two() && patch <= 64 {
        Ok(())
    } else {
        Err(format!("patch {patch} is not a small power of two"))
    }
}

fn check_levels(levels: &[usize]) -> Result<(), String> {
    let count = levels.iter().try_fold(1_u32, |product, &level| product.checked_mul(u32::try_from(level).ok()?));
    match count {
        // Above 1000 levels the published bound, 1.001 times the half range, rounds beyond the last level.
        Some(1..=16_777_216) if !levels.is_empty() && levels.iter().all(|level| (2..=1000).contains(level)) => Ok(()),
        _ => Err(format!("levels {levels:?} are not 2 to 1000 each and up to 2^24 codes in all")),
    }
}
