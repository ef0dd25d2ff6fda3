#![allow(unsafe_code, reason = "the group is an object of libtorch, reached through the shim")]

use crate::ffi::{self, TensorSink};
use crate::store::{millis, text};
use crate::{Gpu, NativeError, Result, Store};
use std::ptr::NonNull;
use std::time::Duration;
use tch::Tensor;

/// Who is in a group, and how long its ranks wait for each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupSettings {
    /// This process's place, from 0.
    pub rank: usize,
    /// How many processes there are.
    pub n_ranks: usize,
    /// How long a collective waits for the other ranks.
    pub timeout: Duration,
    /// The address of this machine that the others reach it at. `None` takes the interfaces that `GLOO_SOCKET_IFNAME`
    /// names, or else the address of this machine's name, or else the loopback.
    pub interface_address: Option<String>,
}

/// How values of the ranks become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their product.
    Product,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

/// Processes that train together: c10d's `ProcessGroupGloo` for tensors on the processor and, in a group of GPUs, its
/// `ProcessGroupNCCL` for those on GPUs.
///
/// Every rank calls the same collectives in the same order, with tensors of one shape and type and contiguous. A collective
/// that another rank's end makes impossible fails with [`NativeError::LostRank`], and so does every one after it.
#[derive(Debug)]
pub struct ProcessGroup {
    group: NonNull<ffi::Group>,
    rank: usize,
    n_ranks: usize,
}

impl ProcessGroup {
    /// Waits until all ranks are there.
    pub fn gloo(store: &Store, settings: &GroupSettings) -> Result<Self> {
        const ACTION: &str = "make a group of ranks";
        let GroupSettings { rank, n_ranks, timeout, interface_address } = settings;
        let number = |number: usize| i32::try_from(number).ok();
        let (Some(rank_number), Some(n_numbers), true) = (number(*rank), number(*n_ranks), rank < n_ranks) else {
            return Err(NativeError::Arguments {
                action: ACTION,
                what: format!("rank {rank} is not one of {n_ranks}"),
                mend: "number the ranks from 0, without a gap",
            });
        };
        let address = interface_address.as_deref().map(text).transpose()?;
        let address = address.as_deref().map_or(std::ptr::null(), std::ffi::CStr::as_ptr);
        let group = ffi::checked(ACTION, |failure| {
            // SAFETY: store and text outlive the call; the group holds what it needs of the store.
            unsafe {
                ffi::egom2p_torch_group(store.as_ptr(), rank_number, n_numbers, millis(*timeout), address, failure)
            }
        });
        let group = NonNull::new(group.map_err(NativeError::before_group)?);
        let group = group.ok_or_else(|| NativeError::Refused { action: ACTION, reason: "no group".to_owned() })?;
        Ok(Self { group, rank: *rank, n_ranks: *n_ranks })
    }

    /// The same for ranks that have a GPU each: what lies there is exchanged by NCCL, which needs `libtorch_cuda`.
    ///
    /// NCCL's work is waited for by the GPU and not by the calls. Where a rank ends, NCCL's own watchdog may end the others
    /// before a call fails.
    pub fn nccl(store: &Store, settings: &GroupSettings, gpu: &Gpu) -> Result<Self> {
        let group = Self::gloo(store, settings)?;
        gpu.join(&group, &store.with_prefix("nccl")?, settings.timeout)?;
        Ok(group)
    }

    /// This process's place, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many processes there are.
    pub fn n_ranks(&self) -> usize {
        self.n_ranks
    }

    /// Puts the reduction over all ranks into the tensor of each.
    pub fn all_reduce(&self, tensor: &Tensor, reduction: Reduction) -> Result<()> {
        let reduction = match reduction {
            Reduction::Sum => ffi::REDUCTION_SUM,
            Reduction::Product => ffi::REDUCTION_PRODUCT,
            Reduction::Min => ffi::REDUCTION_MIN,
            Reduction::Max => ffi::REDUCTION_MAX,
        };
        ffi::checked("reduce over all ranks", |failure| {
            // SAFETY: group and tensor outlive the call; libtorch holds the tensor until the end.
            unsafe { ffi::egom2p_torch_all_reduce(self.as_ptr(), tensor.as_ptr(), reduction, failure) }
        })
    }

    /// Puts the tensor of rank `root` into the tensor of every other.
    pub fn broadcast(&self, tensor: &Tensor, root: usize) -> Result<()> {
        const ACTION: &str = "send to all ranks";
        let root = i32::try_from(root).ok().filter(|_| root < self.n_ranks).ok_or_else(|| NativeError::Arguments {
            action: ACTION,
            what: format!("rank {root} is not one of {}", self.n_ranks),
            mend: "send from a rank of the group",
        })?;
        ffi::checked(ACTION, |failure| {
            // SAFETY: group and tensor outlive the call; libtorch holds the tensor until the end.
            unsafe { ffi::egom2p_torch_broadcast(self.as_ptr(), tensor.as_ptr(), root, failure) }
        })
    }

    /// The tensors of all ranks, by rank.
    pub fn all_gather(&self, tensor: &Tensor) -> Result<Vec<Tensor>> {
        let mut tensors = Vec::with_capacity(self.n_ranks);
        let sink = TensorSink::into(&mut tensors);
        ffi::checked("gather from all ranks", |failure| {
            // SAFETY: group, tensor and list outlive the call, which waits for its end.
            unsafe { ffi::egom2p_torch_all_gather(self.as_ptr(), tensor.as_ptr(), sink, failure) }
        })?;
        Ok(tensors)
    }

    /// Waits until all ranks are here.
    pub fn barrier(&self) -> Result<()> {
        ffi::checked("wait for all ranks", |failure| {
            // SAFETY: the group outlives the call.
            unsafe { ffi::egom2p_torch_barrier(self.as_ptr(), failure) }
        })
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::Group {
        self.group.as_ptr()
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // SAFETY: the group is freed once; whatever uses it holds what it needs.
        unsafe { ffi::egom2p_torch_free_group(self.group.as_ptr()) }
    }
}
