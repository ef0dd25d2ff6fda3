#![allow(unsafe_code, reason = "buffers are addresses; the kernel's sizes are checked against them before it runs")]

use super::HostStream;
use crate::{Buffer, DeviceError, Kernel, Result, Stream};
use egom2p_kernels::{Outcome, host};

impl HostStream {
    /// Runs a checked kernel. What it reads is copied first, so its buffers may overlap.
    pub(super) fn run(&self, kernel: &Kernel<'_>) -> Result<()> {
        match *kernel {
            Kernel::Guide { mixed, conditional, unconditional, weight, n_values } => {
                let mut values: Vec<f32> = self.values(conditional, n_values)?;
                let unconditional: Vec<f32> = self.values(unconditional, n_values)?;
                self.done(host::guide(&mut values, &unconditional, weight))?;
                self.set_values(mixed, &values)
            }
            Kernel::Sample { outcomes, logits, arguments, n_rows } => {
                let logits: Vec<f32> = self.values(logits, n_rows * arguments.n_vocabulary())?;
                let drawn = self.done(host::sample(&logits, &arguments))?;
                let codes: Vec<i64> = drawn.into_iter().map(Outcome::code).collect();
                self.set_values(outcomes, &codes)
            }
            Kernel::Gather { gathered, table, indices, n_indices } => {
                let table: Vec<i64> = self.values(table, table.n_bytes() / size_of::<i64>())?;
                let indices: Vec<i64> = self.values(indices, n_indices)?;
                self.set_values(gathered, &host::gather(&table, &indices))
            }
            Kernel::Scatter { table, indices, values, n_indices } => {
                let mut scattered: Vec<i64> = self.values(table, table.n_bytes() / size_of::<i64>())?;
                let indices: Vec<i64> = self.values(indices, n_indices)?;
                let values: Vec<i64> = self.values(values, n_indices)?;
                self.done(host::scatter(&mut scattered, &indices, &values))?;
                self.set_values(table, &scattered)
            }
        }
    }

    /// What a kernel gives, which it refuses where its slices do not fit each other.
    fn done<T>(&self, outcome: Option<T>) -> Result<T> {
        outcome.ok_or_else(|| DeviceError::Call {
            name: self.device().facts().name.clone(),
            action: "running a kernel",
            what: "its sizes do not fit each other".to_owned(),
        })
    }

    /// The first values of a buffer.
    fn values<T: Number>(&self, buffer: &Buffer, n_values: usize) -> Result<Vec<T>> {
        let bytes = self.pointer(buffer)?;
        let mut values = vec![T::default(); n_values];
        // SAFETY: the kernel's check found room for that many values in the buffer; any bits are a number.
        unsafe { std::ptr::copy_nonoverlapping(bytes, values.as_mut_ptr().cast(), n_values * size_of::<T>()) };
        Ok(values)
    }

    /// Writes the first values of a buffer.
    fn set_values<T: Number>(&self, buffer: &Buffer, values: &[T]) -> Result<()> {
        let bytes = self.pointer(buffer)?;
        // SAFETY: the kernel's check found room for that many values in the buffer.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr().cast(), bytes, size_of_val(values)) };
        Ok(())
    }
}

/// Numbers of which any bits are one.
trait Number: Copy + Default {}

impl Number for f32 {}
impl Number for i64 {}
