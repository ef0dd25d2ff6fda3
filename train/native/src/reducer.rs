#![allow(unsafe_code, reason = "the engine is an object of libtorch, reached through the shim")]

use crate::ffi::{self, Pointers};
use crate::store::text;
use crate::{NativeError, ProcessGroup, Result};
use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use tch::Tensor;

/// How gradients are put together for sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReducerSettings {
    /// Size of the first bucket, in bytes: a small one starts early.
    pub first_bucket_bytes: usize,
    /// Size of the others, in bytes.
    pub bucket_bytes: usize,
    /// Whether a loss may depend on other parameters on another rank or in another step. Costs a walk through the graph.
    pub find_unused_parameters: bool,
    /// Whether gradients lie in the buckets, which saves a copy of all gradients. They must then be cleared by setting them
    /// to zero in place, and not by taking them away.
    pub gradient_as_bucket_view: bool,
}

impl Default for ReducerSettings {
    /// As `DistributedDataParallel` has them, but finding unused parameters: modalities may be missing on one rank.
    fn default() -> Self {
        Self {
            first_bucket_bytes: 1 << 20,
            bucket_bytes: 25 << 20,
            find_unused_parameters: true,
            gradient_as_bucket_view: false,
        }
    }
}

/// Averages gradients over ranks while the backward pass runs: `c10d::Reducer`, the engine of torch's
/// `DistributedDataParallel`.
///
/// It does not make the ranks equal: send the parameters of rank 0 with [`ProcessGroup::broadcast`] first. In every step
/// that averages, call [`Reducer::prepare`] with the loss, and then [`Reducer::backward`]. A backward pass without
/// `prepare` adds to the gradients of this rank alone, which accumulates several batches; the next one with `prepare`
/// averages the sums. A parameter that no rank used keeps the gradient that it had.
#[derive(Debug)]
pub struct Reducer {
    reducer: NonNull<ffi::Reducer>,
}

impl Reducer {
    /// An engine for parameters, given by name in the same order on every rank; fails where the ranks do not agree on their
    /// number and shapes.
    pub fn new<'a>(
        group: &ProcessGroup,
        parameters: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
        settings: &ReducerSettings,
    ) -> Result<Self> {
        const ACTION: &str = "start averaging gradients";
        let (names, tensors): (Vec<&str>, Vec<&Tensor>) = parameters.into_iter().unzip();
        if let Some((name, _)) = names.iter().zip(&tensors).find(|(_, tensor)| !tensor.requires_grad()) {
            return Err(NativeError::Arguments {
                action: ACTION,
                what: format!("{name} requires no gradient"),
                mend: "leave out what is not learned",
            });
        }
        let names: Vec<CString> = names.into_iter().map(text).collect::<Result<_>>()?;
        let names: Vec<_> = names.iter().map(|name: &CString| CStr::as_ptr(name)).collect();
        let tensors = Pointers::new(tensors);
        let ReducerSettings { first_bucket_bytes, bucket_bytes, find_unused_parameters, gradient_as_bucket_view } =
            *settings;
        let settings = ffi::ReducerSettings {
            first_bucket_bytes: first_bucket_bytes as i64,
            bucket_bytes: bucket_bytes as i64,
            find_unused_parameters,
            gradient_as_bucket_view,
        };
        let reducer = ffi::checked(ACTION, |failure| {
            // SAFETY: everything outlives the call; there is a name for each tensor.
            unsafe {
                ffi::egom2p_torch_reducer(group.as_ptr(), tensors.list(), names.as_ptr(), &raw const settings, failure)
            }
        })?;
        let reducer = NonNull::new(reducer);
        let refused = || NativeError::Refused { action: ACTION, reason: "no engine".to_owned() };
        Ok(Self { reducer: reducer.ok_or_else(refused)? })
    }

    /// Gets ready to average the gradients of the next backward pass, which starts from these tensors.
    pub fn prepare(&mut self, outputs: &[&Tensor]) -> Result<()> {
        let outputs = Pointers::new(outputs.iter().copied());
        ffi::checked("prepare to average gradients", |failure| {
            // SAFETY: engine and tensors outlive the call.
            unsafe { ffi::egom2p_torch_reducer_prepare(self.reducer.as_ptr(), outputs.list(), failure) }
        })
    }

    /// Runs the backward pass of a loss and waits for the averages. Fails with [`NativeError::LostRank`] where another rank
    /// ended.
    pub fn backward(&mut self, loss: &Tensor) -> Result<()> {
        ffi::checked("average gradients over the ranks", |failure| {
            // SAFETY: engine and tensor outlive the call.
            unsafe { ffi::egom2p_torch_reducer_backward(self.reducer.as_ptr(), loss.as_ptr(), failure) }
        })
    }
}

impl Drop for Reducer {
    fn drop(&mut self) {
        // SAFETY: the engine is freed once.
        unsafe { ffi::egom2p_torch_free_reducer(self.reducer.as_ptr()) }
    }
}
