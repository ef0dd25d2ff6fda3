//! A CUDA driver without a GPU (`fake.cpp`), under which a test runs again in a process of its own.
#![allow(unsafe_code, reason = "the functions of the driver that are for tests are those of a C library")]

use std::env;
use std::ffi::{c_int, c_long};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use libloading::Library;

/// Set in the process that has the driver.
const MARK: &str = "EGOM2P_FAKE_DRIVER";

/// Runs `body` in a process with the driver: the test of that name, started again alone. `settings` are environment
/// variables of `fake.cpp`.
pub(crate) fn with_driver(test: &str, settings: &[(&str, &str)], body: fn()) {
    with_library(test, &compiled(), settings, body);
}

/// The same with the `libcuda.so.1` of a folder.
pub(crate) fn with_library(test: &str, folder: &Path, settings: &[(&str, &str)], body: fn()) {
    if env::var_os(MARK).is_some() {
        return body();
    }
    let output = Command::new(env::current_exe().expect("the test's program has a path"))
        .args(["--exact", test, "--nocapture"])
        .env(MARK, "1")
        .env("LD_LIBRARY_PATH", folder)
        .envs(settings.iter().copied())
        .output()
        .expect("the test's program starts");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Compiles a source to the `libcuda.so.1` of a folder.
pub(crate) fn compile(source: &Path, folder: &Path) {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels/cuda");
    let partial = folder.join(format!("libcuda.so.1.{}", process::id()));
    let output = Command::new("c++")
        .args(["-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-I"])
        .arg(&kernels)
        .arg("-o")
        .arg(&partial)
        .arg(source)
        .output()
        .expect("a C++ compiler starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::rename(&partial, folder.join("libcuda.so.1")).expect("the library gets its name");
}

/// After `after_calls` further calls, every call of the driver gives this error; 0 mends it.
pub(crate) fn fail(code: c_int, after_calls: c_long) {
    // SAFETY: void fake_fail(int, long)
    unsafe {
        let library = library();
        let call = library.get::<unsafe extern "C" fn(c_int, c_long)>(b"fake_fail").expect("the fake driver has it");
        call(code, after_calls);
    }
}

/// How many allocations, streams, events and graphs there are.
pub(crate) fn alive() -> c_long {
    number("fake_alive")
}

/// How many kernels were enqueued or recorded.
pub(crate) fn launches() -> c_long {
    number("fake_launches")
}

/// How often page-locked memory was asked for.
pub(crate) fn pinned() -> c_long {
    number("fake_pinned")
}

fn number(name: &str) -> c_long {
    // SAFETY: each is a long name(void)
    unsafe {
        let library = library();
        let call = library.get::<unsafe extern "C" fn() -> c_long>(name.as_bytes()).expect("the fake driver has it");
        call()
    }
}

/// The driver that the device has opened: one library per name and process.
fn library() -> Library {
    // SAFETY: the fake driver runs no code when it is opened or closed.
    unsafe { Library::new("libcuda.so.1") }.expect("the fake driver opens")
}

/// The folder of the compiled driver, which later tests use again.
fn compiled() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = here.join("tests/cuda/fake.cpp");
    let mut key = DefaultHasher::new();
    fs::read(&source).expect("the source is readable").hash(&mut key);
    egom2p_kernels::Kernels::source().hash(&mut key);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fake-driver-{:016x}", key.finish()));
    if !folder.join("libcuda.so.1").is_file() {
        fs::create_dir_all(&folder).expect("the folder is made");
        compile(&source, &folder);
    }
    folder
}
