#![allow(unsafe_code, reason = "TensorRT's log comes through a foreign callback")]

use crate::ffi;
use std::any::Any;
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Most lines of a failed call that are kept for its error.
const MAX_LINES: usize = 8;
/// Most characters of such a line.
const MAX_LINE_CHARS: usize = 400;

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// An error inside of TensorRT.
    InternalError,
    /// An error of the caller.
    Error,
    /// Something that works otherwise than asked for.
    Warning,
    /// What goes on.
    Info,
    /// Everything else.
    Verbose,
}

impl Severity {
    fn of(value: i32) -> Self {
        match value {
            0 => Self::InternalError,
            1 => Self::Error,
            2 => Self::Warning,
            3 => Self::Info,
            _ => Self::Verbose,
        }
    }
}

/// Where the log of TensorRT goes. It is called from any thread, while the call of TensorRT waits.
pub trait LogSink: Send + Sync {
    /// Takes one message, which may have several lines.
    fn log(&self, severity: Severity, text: &str);
}

/// Hands messages to a sink, and keeps the first lines of errors for the error of the present call.
pub(crate) struct LogRelay {
    sink: Arc<dyn LogSink>,
    lines: Mutex<Vec<String>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl LogRelay {
    pub(crate) fn new(sink: Arc<dyn LogSink>) -> Arc<Self> {
        Arc::new(Self { sink, lines: Mutex::default(), panic: Mutex::default() })
    }

    /// What the shim calls. The relay must outlive what it is given to.
    pub(crate) fn for_shim(self: &Arc<Self>) -> ffi::Log {
        ffi::Log { user: Arc::as_ptr(self).cast_mut().cast(), write }
    }

    /// The lines of errors since the last time, oldest first.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with the panic of a sink, which could not pass through C++.
    pub(crate) fn resume_panic(&self) {
        let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    pub(crate) fn write(&self, severity: Severity, text: &str) {
        if severity <= Severity::Error {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let line = first_line(text);
            if lines.len() < MAX_LINES && !lines.contains(&line) {
                lines.push(line);
            }
        }
        let sent = catch_unwind(AssertUnwindSafe(|| self.sink.log(severity, text)));
        if let Err(panic) = sent {
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no text");
    line.chars().take(MAX_LINE_CHARS).collect()
}

unsafe extern "C" fn write(user: *mut c_void, severity: i32, text: *const c_char) {
    // SAFETY: `user` comes from `LogRelay::for_shim`, and the relay outlives what it is given to.
    let relay = unsafe { &*user.cast::<LogRelay>() };
    // SAFETY: the shim gives text that ends with a zero byte.
    let text = unsafe { ffi::text(text) };
    relay.write(Severity::of(severity), text.as_deref().unwrap_or_default());
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<(Severity, String)>>);

    impl LogSink for Kept {
        fn log(&self, severity: Severity, text: &str) {
            self.0.lock().unwrap().push((severity, text.to_owned()));
        }
    }

    #[test]
    fn errors_keep_their_first_line_once_and_a_bounded_number() {
        let sink = Arc::new(Kept::default());
        let relay = LogRelay::new(sink.clone());
        relay.write(Severity::Warning, "not an error");
        relay.write(Severity::Error, "\nfirst\nsecond");
        relay.write(Severity::InternalError, "first");
        for i in 0..100 {
            relay.write(Severity::Error, &format!("{i}{}", "x".repeat(10_000)));
        }
        let lines = relay.take_lines();
        assert_eq!(lines.len(), MAX_LINES);
        assert_eq!(lines[0], "first");
        assert!(lines.iter().all(|line| line.chars().count() <= MAX_LINE_CHARS));
        assert!(relay.take_lines().is_empty());
        assert_eq!(sink.0.lock().unwrap().len(), 103);
    }

    #[test]
    fn a_panic_of_the_sink_waits_until_the_call_is_over() {
        struct Panics;
        impl LogSink for Panics {
            fn log(&self, _: Severity, _: &str) {
                panic!("the sink is broken");
            }
        }
        let relay = LogRelay::new(Arc::new(Panics));
        relay.write(Severity::Info, "text");
        let panic = catch_unwind(AssertUnwindSafe(|| relay.resume_panic())).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"the sink is broken"));
    }
}
