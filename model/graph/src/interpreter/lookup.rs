//! From ids to rows of a table, and from scores to ids.

use super::{InterpretError, Operands};
use crate::LiteralData;

pub(super) fn embedding(operands: &Operands<'_>) -> Result<LiteralData, InterpretError> {
    let (table, [rows, dim]) = (operands.f32(0), operands.sizes(0));
    let mut values = Vec::with_capacity(operands.count());
    for &id in operands.i64(1) {
        let row = usize::try_from(id).ok().filter(|&row| row < rows).ok_or_else(|| operands.id_error(id, rows))?;
        values.extend_from_slice(&table[row * dim..(row + 1) * dim]);
    }
    Ok(LiteralData::F32(values))
}

pub(super) fn arg_max(operands: &Operands<'_>) -> Result<LiteralData, InterpretError> {
    let size = operands.literal(0).shape().last().copied().unwrap_or(0);
    if size == 0 {
        return Err(operands.unsupported("the largest of no values".to_owned()));
    }
    let first_largest =
        |row: &[f32]| (1..size).fold(0, |best, index| if row[index] > row[best] { index } else { best });
    Ok(LiteralData::I64(operands.f32(0).chunks_exact(size).map(|row| first_largest(row) as i64).collect()))
}

#[cfg(test)]
mod tests {
    use crate::interpreter::trial::{NoParameters, f32s, i64s, run};
    use crate::{Builder, DType, interpreter::interpret};

    #[test]
    fn embedding_takes_rows() {
        let table = f32s(&[3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let rows = run([table.clone(), i64s(&[1, 2], &[2, 0])], |_, [table, ids]| table.embedding(ids));
        assert_eq!(rows, Ok(f32s(&[1, 2, 2], &[4.0, 5.0, 0.0, 1.0])));
        for id in [-1, 3, i64::MIN, i64::MAX] {
            let error =
                run([table.clone(), i64s(&[1], &[id])], |g, [table, ids]| g.enter("emb", || table.embedding(ids)));
            assert_eq!(error, Err(format!("trial: emb: embedding: id {id} is not below 3\nfeed ids from 0 to 2")));
        }
    }

    #[test]
    fn arg_max_takes_the_first_of_equals() {
        let x = f32s(&[3, 3], &[1.0, 2.0, 2.0, -1.0, -1.0, -3.0, f32::NEG_INFINITY, f32::NEG_INFINITY, 0.0]);
        assert_eq!(run([x], |_, [x]| x.arg_max()), Ok(i64s(&[3], &[1, 0, 2])));
    }

    #[test]
    fn arg_max_of_nothing_is_an_error() {
        let g = Builder::new("trial");
        let best = g.input("x", DType::F32, ["n"]).arg_max().id();
        let graph = g.finish([("best", best)]).expect("a sound graph");
        let error = interpret(&graph, &[("x", f32s(&[0], &[]))], &NoParameters).expect_err("there is no largest value");
        assert_eq!(error.to_string(), "trial: arg_max: the largest of no values\nfeed inputs of other sizes");
    }
}
