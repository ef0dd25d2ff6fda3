//! The algorithms of the kernels, compiled for the host and run thread after thread: for tests, not for speed.
#![allow(unsafe_code, reason = "calls the C functions of host/host.cpp, which read and write the slices handed in")]

use crate::{Outcome, SampleArguments};

mod c {
    use crate::SampleArguments;

    unsafe extern "C" {
        pub(super) fn egom2p_host_guide(mixed: *mut f32, unconditional: *const f32, weight: f32, n_values: u64);
        pub(super) fn egom2p_host_sample(
            outcomes: *mut i64,
            logits: *const f32,
            arguments: *const SampleArguments,
            n_rows: u32,
        );
        pub(super) fn egom2p_host_gather(
            gathered: *mut i64,
            table: *const i64,
            n_table: u64,
            indices: *const i64,
            n_indices: u64,
        );
        pub(super) fn egom2p_host_scatter(
            table: *mut i64,
            n_table: u64,
            indices: *const i64,
            values: *const i64,
            n_indices: u64,
        );
        pub(super) fn egom2p_host_noise_of(uniform: f32) -> f32;
        pub(super) fn egom2p_host_sizeof_sample_arguments() -> u64;
    }
}

/// `conditional = unconditional + (conditional - unconditional) * weight`; `None` where the lengths differ.
pub fn guide(conditional: &mut [f32], unconditional: &[f32], weight: f32) -> Option<()> {
    if conditional.len() != unconditional.len() {
        return None;
    }
    // SAFETY: both pointers are valid for that many values, and the slices do not overlap.
    unsafe {
        c::egom2p_host_guide(conditional.as_mut_ptr(), unconditional.as_ptr(), weight, conditional.len() as u64);
    }
    Some(())
}

/// One outcome per row of `logits`, `[rows, n_vocabulary]`; `None` where the logits do not fill rows.
pub fn sample(logits: &[f32], arguments: &SampleArguments) -> Option<Vec<Outcome>> {
    let n_vocabulary = arguments.n_vocabulary();
    if !logits.len().is_multiple_of(n_vocabulary) {
        return None;
    }
    let n_rows = u32::try_from(logits.len() / n_vocabulary).ok()?;
    let mut codes = vec![0_i64; n_rows as usize];
    // SAFETY: the logits are n_rows rows of n_vocabulary values, the codes are n_rows values, and the arguments have the
    // layout of the C struct (`SampleArguments` is repr(C); a test compares the sizes).
    unsafe { c::egom2p_host_sample(codes.as_mut_ptr(), logits.as_ptr(), arguments, n_rows) };
    codes.into_iter().map(Outcome::from_code).collect()
}

/// `table[indices[i]]`, or 0 where the table has no such element.
pub fn gather(table: &[i64], indices: &[i64]) -> Vec<i64> {
    let mut gathered = vec![0_i64; indices.len()];
    let (n_table, n_indices) = (table.len() as u64, indices.len() as u64);
    // SAFETY: the pointers are valid for that many values; indices are compared with the table's length.
    unsafe {
        c::egom2p_host_gather(gathered.as_mut_ptr(), table.as_ptr(), n_table, indices.as_ptr(), n_indices);
    }
    gathered
}

/// `table[indices[i]] = values[i]` for values from 0 on and indices inside of the table; `None` where the lengths
/// differ.
pub fn scatter(table: &mut [i64], indices: &[i64], values: &[i64]) -> Option<()> {
    if indices.len() != values.len() {
        return None;
    }
    let (n_table, n_indices) = (table.len() as u64, indices.len() as u64);
    // SAFETY: the pointers are valid for that many values, the slices do not overlap, and indices are compared with the
    // table's length.
    unsafe {
        c::egom2p_host_scatter(table.as_mut_ptr(), n_table, indices.as_ptr(), values.as_ptr(), n_indices);
    }
    Some(())
}

/// The noise that belongs to a uniform value in [2^-31, 1].
pub fn noise_of(uniform: f32) -> f32 {
    // SAFETY: a function of its argument alone.
    unsafe { c::egom2p_host_noise_of(uniform) }
}

/// The size of the kernel's argument struct, in bytes.
pub fn sizeof_sample_arguments() -> u64 {
    // SAFETY: returns a constant.
    unsafe { c::egom2p_host_sizeof_sample_arguments() }
}
