//! Operations that move values without changing them.

use super::{
    Operands,
    walk::{Walk, strides},
};
use crate::LiteralData;

pub(super) fn transpose(operands: &Operands<'_>, perm: &[usize]) -> LiteralData {
    let own = strides(operands.literal(0).shape());
    gather(operands, Walk::new(operands.shape, perm.iter().map(|&axis| own[axis]).collect(), 0))
}

pub(super) fn slice(operands: &Operands<'_>, axis: usize, start: usize) -> LiteralData {
    let own = strides(operands.literal(0).shape());
    let first = start * own[axis];
    gather(operands, Walk::new(operands.shape, own, first))
}

fn gather(operands: &Operands<'_>, walk: Walk) -> LiteralData {
    match operands.literal(0).data() {
        LiteralData::F32(values) => LiteralData::F32(walk.map(|place| values[place]).collect()),
        LiteralData::I64(values) => LiteralData::I64(walk.map(|place| values[place]).collect()),
        LiteralData::Bool(values) => LiteralData::Bool(walk.map(|place| values[place]).collect()),
    }
}

#[cfg(test)]
mod tests {
    use crate::interpreter::trial::{bools, i64s, run};

    #[test]
    fn reshape_keeps_the_order() {
        let x = i64s(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        assert_eq!(run([x], |_, [x]| x.reshape([3_usize, 2])), Ok(i64s(&[3, 2], &[1, 2, 3, 4, 5, 6])));
    }

    #[test]
    fn transpose_names_the_input_axis_of_every_output_axis() {
        let x = i64s(&[1, 2, 3], &[1, 2, 3, 4, 5, 6]);
        let turned = run([x], |_, [x]| x.transpose(&[2, 0, 1]));
        assert_eq!(turned, Ok(i64s(&[3, 1, 2], &[1, 4, 2, 5, 3, 6])));
    }

    #[test]
    fn slice_cuts_one_axis() {
        let x = bools(&[2, 3], &[true, false, false, true, true, false]);
        assert_eq!(run([x.clone()], |_, [x]| x.slice(1, 1, 2)), Ok(bools(&[2, 2], &[false, false, true, false])));
        assert_eq!(run([x.clone()], |_, [x]| x.slice(0, 1, 1)), Ok(bools(&[1, 3], &[true, true, false])));
        assert_eq!(run([x], |_, [x]| x.slice(1, 3, 0)), Ok(bools(&[2, 0], &[])));
    }
}
