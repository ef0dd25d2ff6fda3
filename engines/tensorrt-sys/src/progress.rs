#![allow(unsafe_code, reason = "TensorRT's progress comes through foreign callbacks")]

use crate::ffi;
use std::any::Any;
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

/// Told how far a build is. Calls come from threads of TensorRT, one at a time.
pub trait BuildProgress: Send {
    /// `step` of `n_steps` steps of a phase are done, inside of a `parent` phase if there is one. `false` cancels the
    /// build, at TensorRT's next step.
    fn step(&mut self, phase: &str, parent: Option<&str>, step: u32, n_steps: u32) -> bool;
}

/// Hands TensorRT's phases to a [`BuildProgress`].
pub(crate) struct ProgressRelay<'a> {
    state: Mutex<State<'a>>,
}

struct State<'a> {
    progress: &'a mut dyn BuildProgress,
    phases: Vec<Phase>,
    cancelled: bool,
    panic: Option<Box<dyn Any + Send>>,
}

struct Phase {
    name: String,
    parent: Option<String>,
    n_steps: u32,
}

impl<'a> ProgressRelay<'a> {
    pub(crate) fn new(progress: &'a mut dyn BuildProgress) -> Self {
        Self { state: Mutex::new(State { progress, phases: Vec::new(), cancelled: false, panic: None }) }
    }

    /// What the shim calls. The relay must outlive the build.
    pub(crate) fn for_shim(&self) -> ffi::Progress {
        let user = (&raw const *self).cast_mut().cast();
        ffi::Progress { user, phase_start, step, phase_finish }
    }

    /// Goes on with a panic, which could not pass through C++. Whether the build was cancelled.
    pub(crate) fn finish(self) -> bool {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(panic) = state.panic {
            resume_unwind(panic);
        }
        state.cancelled
    }

    fn with(&self, act: impl FnOnce(&mut State)) {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl State<'_> {
    fn report(&mut self, phase: &str, done: u32) {
        let known = self.phases.iter().rev().find(|known| known.name == phase);
        let (parent, n_steps) = known.map_or((None, done), |known| (known.parent.clone(), known.n_steps));
        let progress = &mut *self.progress;
        match catch_unwind(AssertUnwindSafe(|| progress.step(phase, parent.as_deref(), done, n_steps))) {
            Ok(go_on) => self.cancelled |= !go_on,
            Err(panic) => {
                self.cancelled = true;
                self.panic.get_or_insert(panic);
            }
        }
    }
}

unsafe extern "C" fn phase_start(user: *mut c_void, phase: *const c_char, parent: *const c_char, n_steps: i32) {
    // SAFETY: `user` comes from `ProgressRelay::for_shim`, and the relay outlives the build.
    let relay = unsafe { &*user.cast::<ProgressRelay>() };
    // SAFETY: the shim gives text that ends with a zero byte.
    let (name, parent) = unsafe { (ffi::text(phase).unwrap_or_default(), ffi::text(parent)) };
    relay.with(|state| {
        state.phases.push(Phase { name: name.clone(), parent, n_steps: n_steps.max(0).cast_unsigned() });
        if !state.cancelled {
            state.report(&name, 0);
        }
    });
}

unsafe extern "C" fn step(user: *mut c_void, phase: *const c_char, step: i32) -> i32 {
    // SAFETY: as in `phase_start`.
    let (relay, name) = unsafe { (&*user.cast::<ProgressRelay>(), ffi::text(phase).unwrap_or_default()) };
    let mut cancelled = false;
    relay.with(|state| {
        if !state.cancelled {
            state.report(&name, step.max(0).cast_unsigned().saturating_add(1));
        }
        cancelled = state.cancelled;
    });
    i32::from(!cancelled)
}

unsafe extern "C" fn phase_finish(user: *mut c_void, phase: *const c_char) {
    // SAFETY: as in `phase_start`.
    let (relay, name) = unsafe { (&*user.cast::<ProgressRelay>(), ffi::text(phase).unwrap_or_default()) };
    relay.with(|state| {
        if let Some(at) = state.phases.iter().rposition(|known| known.name == name) {
            state.phases.remove(at);
        }
    });
}
