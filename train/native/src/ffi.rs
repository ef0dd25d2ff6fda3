//! The interface of the shim, as `shim/abi.h` declares it: both files change together.

#![allow(unsafe_code, reason = "the shim is C++: its functions can only be called through a foreign interface")]

use crate::{NativeError, Result};
use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use tch::Tensor;
use torch_sys::C_tensor;

const FAILURE_BYTES: usize = 1024;

pub(crate) const FAILURE_NONE: i32 = 0;
pub(crate) const FAILURE_OUT_OF_MEMORY: i32 = 2;
pub(crate) const FAILURE_LOST: i32 = 3;
pub(crate) const FAILURE_CLOSURE: i32 = 4;

/// Why a function gave nothing.
#[repr(C)]
pub(crate) struct Failure {
    pub(crate) kind: i32,
    what: [c_char; FAILURE_BYTES],
}

impl Failure {
    fn none() -> Self {
        Self { kind: FAILURE_NONE, what: [0; FAILURE_BYTES] }
    }

    /// What was said.
    pub(crate) fn what(&self) -> String {
        let bytes: Vec<u8> = self.what.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Says why a closure failed; what is too long is cut.
    pub(crate) fn tell(&mut self, text: &str) {
        self.kind = FAILURE_CLOSURE;
        self.what.fill(0);
        for (place, byte) in self.what[..FAILURE_BYTES - 1].iter_mut().zip(text.bytes()) {
            *place = byte as c_char;
        }
    }
}

/// Calls a function of the shim, and gives what it gives unless it tells a failure.
pub(crate) fn checked<T>(action: &'static str, call: impl FnOnce(*mut Failure) -> T) -> Result<T> {
    let mut failure = Failure::none();
    let value = call(&raw mut failure);
    if failure.kind == FAILURE_NONE { Ok(value) } else { Err(NativeError::of(action, &failure)) }
}

/// Pointers to tensors, for the shim to read while `'a` lasts.
pub(crate) struct Pointers<'a> {
    items: Vec<*const C_tensor>,
    tensors: PhantomData<&'a Tensor>,
}

impl<'a> Pointers<'a> {
    pub(crate) fn new(tensors: impl IntoIterator<Item = &'a Tensor>) -> Self {
        Self { items: tensors.into_iter().map(Tensor::as_ptr).collect(), tensors: PhantomData }
    }

    pub(crate) fn list(&self) -> TensorList<'_> {
        TensorList { items: self.items.as_ptr(), n_items: self.items.len(), tensors: PhantomData }
    }
}

/// Tensors that are read during a call.
#[repr(C)]
pub(crate) struct TensorList<'a> {
    items: *const *const C_tensor,
    n_items: usize,
    tensors: PhantomData<&'a Tensor>,
}

impl TensorList<'_> {
    /// Handles of the tensors, which outlive the list.
    pub(crate) fn to_tensors(&self) -> Vec<Tensor> {
        if self.items.is_null() {
            return Vec::new();
        }
        // SAFETY: whoever makes a list points it at that many tensors, which live as long as the list does.
        let items = unsafe { std::slice::from_raw_parts(self.items, self.n_items) };
        // SAFETY: each is a tensor, which is copied and not changed.
        items.iter().map(|item| unsafe { Tensor::clone_from_ptr(item.cast_mut()) }).collect()
    }
}

/// Where the shim puts tensors that it gives.
#[repr(C)]
pub(crate) struct TensorSink {
    user: *mut c_void,
    take: unsafe extern "C" fn(*mut c_void, *mut C_tensor),
}

impl TensorSink {
    /// Puts them at the end of a list, which must outlive the call.
    pub(crate) fn into(list: &mut Vec<Tensor>) -> Self {
        Self { user: std::ptr::from_mut(list).cast(), take: take_tensor }
    }
}

unsafe extern "C" fn take_tensor(user: *mut c_void, tensor: *mut C_tensor) {
    // SAFETY: the sink points at a list that outlives the call, and nobody else uses it meanwhile.
    let list = unsafe { &mut *user.cast::<Vec<Tensor>>() };
    // SAFETY: the tensor was made for this handle, which frees it.
    list.push(unsafe { Tensor::from_ptr(tensor) });
}

#[repr(C)]
pub(crate) struct Closure {
    pub(crate) user: *mut c_void,
    pub(crate) run: unsafe extern "C" fn(*mut c_void, TensorList<'_>, *mut c_void, *mut Failure) -> bool,
    pub(crate) drop: unsafe extern "C" fn(*mut c_void),
}

#[repr(C)]
pub(crate) struct AdamWLists<'a> {
    pub(crate) parameters: TensorList<'a>,
    pub(crate) gradients: TensorList<'a>,
    pub(crate) first_moments: TensorList<'a>,
    pub(crate) second_moments: TensorList<'a>,
    pub(crate) steps: TensorList<'a>,
}

#[repr(C)]
pub(crate) struct AdamWStep {
    pub(crate) learning_rate: f64,
    pub(crate) beta1: f64,
    pub(crate) beta2: f64,
    pub(crate) weight_decay: f64,
    pub(crate) epsilon: f64,
}

pub(crate) const REDUCTION_SUM: i32 = 0;
pub(crate) const REDUCTION_PRODUCT: i32 = 1;
pub(crate) const REDUCTION_MIN: i32 = 2;
pub(crate) const REDUCTION_MAX: i32 = 3;

#[repr(C)]
pub(crate) struct ReducerSettings {
    pub(crate) first_bucket_bytes: i64,
    pub(crate) bucket_bytes: i64,
    pub(crate) find_unused_parameters: bool,
    pub(crate) gradient_as_bucket_view: bool,
}

macro_rules! opaque {
    ($($name:ident),+) => {
        $(
            /// An object of the shim.
            #[repr(C)]
            pub(crate) struct $name {
                _private: [u8; 0],
            }
        )+
    };
}

opaque!(Store, Group, Reducer);

unsafe extern "C" {
    pub(crate) safe fn egom2p_torch_interface() -> *const c_char;

    pub(crate) fn egom2p_torch_adamw(
        lists: *const AdamWLists<'_>,
        step: *const AdamWStep,
        gradient_scale: *const C_tensor,
        failure: *mut Failure,
    );

    pub(crate) fn egom2p_torch_generator_state(device: i32, failure: *mut Failure) -> *mut C_tensor;
    pub(crate) fn egom2p_torch_set_generator_state(device: i32, state: *const C_tensor, failure: *mut Failure);
    pub(crate) fn egom2p_torch_seed_generator(device: i32, seed: u64, failure: *mut Failure);

    pub(crate) fn egom2p_torch_checkpoint(
        inputs: TensorList<'_>,
        detached: TensorList<'_>,
        recorded: TensorList<'_>,
        generator_states: TensorList<'_>,
        closure: Closure,
        sink: TensorSink,
        failure: *mut Failure,
    );
    pub(crate) safe fn egom2p_torch_is_recording() -> bool;
    pub(crate) fn egom2p_torch_push(outputs: *mut c_void, tensor: *const C_tensor) -> bool;

    pub(crate) fn egom2p_torch_store(
        host: *const c_char,
        port: u16,
        is_server: bool,
        timeout_ms: i64,
        failure: *mut Failure,
    ) -> *mut Store;
    pub(crate) fn egom2p_torch_prefix_store(
        store: *const Store,
        prefix: *const c_char,
        failure: *mut Failure,
    ) -> *mut Store;
    pub(crate) fn egom2p_torch_store_port(store: *const Store) -> u16;
    pub(crate) fn egom2p_torch_free_store(store: *mut Store);

    pub(crate) fn egom2p_torch_group(
        store: *const Store,
        rank: i32,
        n_ranks: i32,
        timeout_ms: i64,
        interface_address: *const c_char,
        failure: *mut Failure,
    ) -> *mut Group;
    pub(crate) fn egom2p_torch_all_reduce(
        group: *mut Group,
        tensor: *const C_tensor,
        reduction: i32,
        failure: *mut Failure,
    );
    pub(crate) fn egom2p_torch_broadcast(group: *mut Group, tensor: *const C_tensor, root: i32, failure: *mut Failure);
    pub(crate) fn egom2p_torch_all_gather(
        group: *mut Group,
        tensor: *const C_tensor,
        sink: TensorSink,
        failure: *mut Failure,
    );
    pub(crate) fn egom2p_torch_barrier(group: *mut Group, failure: *mut Failure);
    pub(crate) fn egom2p_torch_free_group(group: *mut Group);

    pub(crate) fn egom2p_torch_reducer(
        group: *const Group,
        parameters: TensorList<'_>,
        names: *const *const c_char,
        settings: *const ReducerSettings,
        failure: *mut Failure,
    ) -> *mut Reducer;
    pub(crate) fn egom2p_torch_reducer_prepare(reducer: *mut Reducer, outputs: TensorList<'_>, failure: *mut Failure);
    pub(crate) fn egom2p_torch_reducer_backward(reducer: *mut Reducer, loss: *const C_tensor, failure: *mut Failure);
    pub(crate) fn egom2p_torch_free_reducer(reducer: *mut Reducer);
}
