#![allow(unsafe_code, reason = "the store is an object of libtorch, reached through the shim")]

use crate::{NativeError, Result, ffi};
use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::time::Duration;

const ACTION: &str = "meet the other ranks";

/// Where ranks meet before they are a group: c10d's `TCPStore`, the one that `torchrun` speaks.
#[derive(Debug)]
pub struct Store {
    store: NonNull<ffi::Store>,
}

impl Store {
    /// Opens the store that all ranks of a training meet at: its server, on one rank. Port 0 takes a free one.
    pub fn serve(port: u16, timeout: Duration) -> Result<Self> {
        Self::open(c"localhost", port, true, timeout)
    }

    /// Connects to the store of another process, and waits for it at most `timeout`.
    pub fn connect(host: &str, port: u16, timeout: Duration) -> Result<Self> {
        Self::open(&text(host)?, port, false, timeout)
    }

    /// The port that the server listens at.
    pub fn port(&self) -> u16 {
        // SAFETY: the store lives as long as this.
        unsafe { ffi::egom2p_torch_store_port(self.as_ptr()) }
    }

    /// A view whose keys do not meet those of other views: one for each group that is made over a store.
    pub fn with_prefix(&self, prefix: &str) -> Result<Self> {
        let prefix = text(prefix)?;
        let store = ffi::checked(ACTION, |failure| {
            // SAFETY: store and text outlive the call.
            unsafe { ffi::egom2p_torch_prefix_store(self.as_ptr(), prefix.as_ptr(), failure) }
        })?;
        Self::new(store)
    }

    pub(crate) fn as_ptr(&self) -> *const ffi::Store {
        self.store.as_ptr()
    }

    fn open(host: &CStr, port: u16, is_server: bool, timeout: Duration) -> Result<Self> {
        let store = ffi::checked(ACTION, |failure| {
            // SAFETY: the text outlives the call.
            unsafe { ffi::egom2p_torch_store(host.as_ptr(), port, is_server, millis(timeout), failure) }
        });
        Self::new(store.map_err(NativeError::before_group)?)
    }

    fn new(store: *mut ffi::Store) -> Result<Self> {
        let store = NonNull::new(store);
        store.map(|store| Self { store }).ok_or_else(|| refusal("the shim gave no store".to_owned()))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: the store is freed once; groups that use it hold it too.
        unsafe { ffi::egom2p_torch_free_store(self.store.as_ptr()) }
    }
}

/// A text for the shim.
pub(crate) fn text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| refusal(format!("the text {text:?} holds a null byte")))
}

/// A time as c10d wants it.
pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn refusal(what: String) -> NativeError {
    NativeError::Arguments { action: ACTION, what, mend: "name a host, and prefixes of letters and digits" }
}
