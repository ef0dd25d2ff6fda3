use crate::{Buffer, DeviceError, Result};
use egom2p_kernels::SampleArguments;

/// The kernels of the decoding loop, with what they work on. Indices are counted in elements.
#[derive(Clone, Copy, Debug)]
pub enum Kernel<'a> {
    /// `mixed[i] = unconditional[i] + (conditional[i] - unconditional[i]) * weight`, f32. `mixed` may be either input.
    Guide {
        /// What is written.
        mixed: &'a Buffer,
        /// The conditional pass.
        conditional: &'a Buffer,
        /// The unconditional pass.
        unconditional: &'a Buffer,
        /// The weight of guidance.
        weight: f32,
        /// Values of each.
        n_values: usize,
    },
    /// One [`egom2p_kernels::Outcome`] code (i64) per row of logits (f32 `[n_rows, n_vocabulary]`).
    Sample {
        /// What is written.
        outcomes: &'a Buffer,
        /// The logits.
        logits: &'a Buffer,
        /// Settings, noise and the query of the first row.
        arguments: SampleArguments,
        /// Rows of logits.
        n_rows: usize,
    },
    /// `gathered[i] = table[indices[i]]`, all i64; an index outside of the table gives 0.
    Gather {
        /// What is written, `[n_indices]`.
        gathered: &'a Buffer,
        /// What is read.
        table: &'a Buffer,
        /// Which elements, `[n_indices]`.
        indices: &'a Buffer,
        /// How many.
        n_indices: usize,
    },
    /// `table[indices[i]] = values[i]`, all i64, for values from 0 on and indices inside of the table. Indices are
    /// distinct.
    Scatter {
        /// What is written.
        table: &'a Buffer,
        /// Which elements, `[n_indices]`.
        indices: &'a Buffer,
        /// What is read, `[n_indices]`.
        values: &'a Buffer,
        /// How many.
        n_indices: usize,
    },
}

impl Kernel<'_> {
    /// Checks every buffer against the sizes.
    pub fn check(&self) -> Result<()> {
        match *self {
            Self::Guide { mixed, conditional, unconditional, n_values, .. } => {
                room("the mixed pass", mixed, n_values, 4)?;
                room("the conditional pass", conditional, n_values, 4)?;
                room("the unconditional pass", unconditional, n_values, 4)
            }
            Self::Sample { outcomes, logits, arguments, n_rows } => {
                room("outcomes", outcomes, n_rows, 8)?;
                room("logits", logits, n_rows.saturating_mul(arguments.n_vocabulary()), 4)
            }
            Self::Gather { gathered, table, indices, n_indices } => {
                room("gathered tokens", gathered, n_indices, 8)?;
                room("gathered indices", indices, n_indices, 8)?;
                room("the table of tokens", table, 0, 8)
            }
            Self::Scatter { table, indices, values, n_indices } => {
                room("scattered tokens", values, n_indices, 8)?;
                room("scattered indices", indices, n_indices, 8)?;
                room("the table of tokens", table, 0, 8)
            }
        }
    }
}

fn room(what: &'static str, buffer: &Buffer, n_elements: usize, element_bytes: usize) -> Result<()> {
    let expected = n_elements.saturating_mul(element_bytes);
    if buffer.n_bytes() < expected || !buffer.address().is_multiple_of(element_bytes) {
        return Err(DeviceError::Size { what, expected, got: buffer.n_bytes() });
    }
    Ok(())
}
