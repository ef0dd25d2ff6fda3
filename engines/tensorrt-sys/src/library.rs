#![allow(unsafe_code, reason = "TensorRT is a C++ library, opened at run time")]

use crate::loaded::LoadedEngine;
use crate::log::{LogRelay, LogSink};
use crate::network::Network;
use crate::{Abi, CompiledShim, Driver, Family, Result, SysError, Version, compiled_shims, ffi, soname};
use std::ffi::CStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// TensorRT's builder and runtime, and its ONNX parser, opened for the life of the process.
pub struct Library {
    core_path: PathBuf,
    parser_path: PathBuf,
    version: Version,
    shim: CompiledShim,
    table: &'static ffi::Table,
    entries: ffi::Entries,
}

impl Library {
    /// Opens the libraries, or gives what is open of them. They are never closed.
    ///
    /// The version is asked for before anything else, and picks the shim. Loading runs code of the files: their paths
    /// must come from the user.
    ///
    /// # Errors
    /// For missing and foreign files, for versions without a shim, for a parser that does not go with the core
    /// library, and if the process uses another library of the same ABI.
    pub fn open(family: Family, core: &Path, parser: &Path) -> Result<&'static Self> {
        static OPEN: Mutex<Vec<&'static Library>> = Mutex::new(Vec::new());
        if compiled_shims().is_empty() {
            return Err(SysError::NotCompiled);
        }
        let found =
            |path: &Path| path.canonicalize().map_err(|_| SysError::LibraryMissing { path: path.to_owned(), family });
        let (core, parser) = (found(core)?, found(parser)?);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = open.iter().find(|library| library.core_path == core && library.parser_path == parser) {
            return Ok(library);
        }
        let library = Self::load(family, core, parser, &open)?;
        let library: &'static Self = Box::leak(Box::new(library));
        open.push(library);
        Ok(library)
    }

    /// What the library says.
    pub fn version(&self) -> Version {
        self.version
    }

    /// ABI of the library.
    pub fn abi(&self) -> Abi {
        self.shim.abi
    }

    /// The shim that is used for the library.
    pub fn shim(&self) -> CompiledShim {
        self.shim
    }

    /// File of the builder and runtime, without symbolic links.
    pub fn core_path(&self) -> &Path {
        &self.core_path
    }

    /// File of the ONNX parser, without symbolic links.
    pub fn parser_path(&self) -> &Path {
        &self.parser_path
    }

    /// Names of the builder flags that can be set, such as `kTF32`.
    pub fn builder_flags(&self) -> Vec<&'static str> {
        self.table.builder_flags.names()
    }

    /// Names of the levels of hardware compatibility, such as `kAMPERE_PLUS`.
    pub fn hardware_compatibility_levels(&self) -> Vec<&'static str> {
        self.table.hardware_levels.names()
    }

    /// Compute capabilities that engines can be built for without such a device; none where the library builds for
    /// the present device only.
    pub fn compute_capabilities(&self) -> Vec<(u32, u32)> {
        let values = self.table.compute_capabilities.iter().filter(|(name, _)| name.starts_with("kSM"));
        values.map(|(_, value)| (value.unsigned_abs() / 10, value.unsigned_abs() % 10)).collect()
    }

    /// Parses an ONNX file into a strongly typed network, with whatever data lies beside it.
    ///
    /// # Errors
    /// [`SysError::DriverNeeded`] without a driver where the library builds with one only, [`SysError::Parse`] with
    /// all errors of the parser.
    pub fn parse(&'static self, onnx: &Path, driver: Option<&Driver>, log: Arc<dyn LogSink>) -> Result<Network> {
        Network::parse(self, onnx, driver, log)
    }

    /// Loads an engine onto the visible device of that ordinal. `kernels` is what [`LoadedEngine::kernels`] gave in an
    /// earlier process, or nothing; it is not used where it does not fit the library, the device and the driver.
    ///
    /// # Errors
    /// [`SysError::DriverBroken`] without such a device, [`SysError::Refused`] if the library does not take the engine,
    /// [`SysError::OutOfMemory`] if the device has no room for its weights.
    pub fn load_engine(
        &'static self,
        driver: &Driver,
        ordinal: usize,
        engine: &[u8],
        kernels: &[u8],
        log: Arc<dyn LogSink>,
    ) -> Result<Arc<LoadedEngine>> {
        LoadedEngine::load(self, driver.context(ordinal)?, engine, kernels, log).map(Arc::new)
    }

    pub(crate) fn table(&self) -> &'static ffi::Table {
        self.table
    }

    pub(crate) fn entries(&self) -> &ffi::Entries {
        &self.entries
    }

    fn load(family: Family, core_path: PathBuf, parser_path: PathBuf, open: &[&Self]) -> Result<Self> {
        let core = SharedObject::load(family, &core_path)?;
        let version = core.version()?;
        let unsupported = || SysError::UnsupportedVersion { path: core_path.clone(), version, family };
        let abi = Abi::of(family, version).ok_or_else(unsupported)?;
        let (shim, table) = shim_for(abi, version, &core_path)?;
        if let Some(other) = open.iter().find(|library| library.abi() == abi) {
            return Err(SysError::AnotherLibraryOpen { path: core_path, open: other.core_path.clone() });
        }
        check_parser(abi, &core_path, &parser_path)?;
        let parser = SharedObject::load(family, &parser_path)?;
        let entries = ffi::Entries {
            builder: core.entry(c"createInferBuilder_INTERNAL", "createInferBuilder_INTERNAL")?,
            runtime: core.entry(c"createInferRuntime_INTERNAL", "createInferRuntime_INTERNAL")?,
            parser: parser.entry(c"createNvOnnxParser_INTERNAL", "createNvOnnxParser_INTERNAL")?,
        };
        Ok(Self { core_path, parser_path, version, shim, table, entries })
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { core_path, parser_path, version, .. } = self;
        write!(f, "Library({version}, {}, {})", core_path.display(), parser_path.display())
    }
}

/// What TensorRT logs where memory of the host or of the device ends.
const MEMORY_WORDS: [&str; 4] = ["std::bad_alloc", "OutOfMemory", "out of memory", "OUT_OF_MEMORY"];

/// What a failed call becomes, with the lines that TensorRT logged; the panic of a log sink goes on instead.
pub(crate) fn check(failure: &ffi::Failure, relay: &LogRelay) -> Result<()> {
    relay.resume_panic();
    let lines = relay.take_lines();
    let call = failure.what();
    // TensorRT catches most exceptions itself and gives null.
    let out_of_memory = lines.iter().any(|line| MEMORY_WORDS.iter().any(|word| line.contains(word)));
    match failure.kind {
        ffi::FAILURE_NONE => Ok(()),
        ffi::FAILURE_REFUSED if out_of_memory => Err(SysError::OutOfMemory { call, lines }),
        ffi::FAILURE_OUT_OF_MEMORY => Err(SysError::OutOfMemory { call, lines }),
        ffi::FAILURE_EXCEPTION => Err(SysError::Exception { call, lines }),
        _ => Err(SysError::Refused { call, lines }),
    }
}

/// An error and what it comes from, in one line.
pub(crate) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    if let Some(source) = error.source() {
        text = source.to_string();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shim_for(abi: Abi, version: Version, core: &Path) -> Result<(CompiledShim, &'static ffi::Table)> {
    let shims = compiled_shims();
    let missing = || SysError::ShimMissing { path: core.to_owned(), version, abi, shims: shims.to_vec() };
    let shim = *shims.iter().find(|shim| shim.abi == abi).ok_or_else(missing)?;
    let table = abi.table().ok_or_else(missing)?;
    if (version.major, version.minor) < (shim.headers.major, shim.headers.minor) {
        return Err(SysError::LibraryOlderThanHeaders { path: core.to_owned(), version, headers: shim.headers });
    }
    Ok((shim, table))
}

/// The parser is recognised before it is loaded, by the name that it has for the loader: a foreign one would bring
/// its own core library along.
fn check_parser(abi: Abi, core: &Path, parser: &Path) -> Result<()> {
    let file_name = || parser.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let got = soname::read(parser).map_err(|error| broken(abi.family(), parser, &error))?.unwrap_or_else(file_name);
    if got == abi.parser_name() {
        return Ok(());
    }
    Err(SysError::WrongParser { core: core.to_owned(), parser: parser.to_owned(), abi, got })
}

/// The loader's words, without the path that they begin with.
fn broken(family: Family, path: &Path, error: &dyn std::error::Error) -> SysError {
    let why = one_line(error);
    let why = why.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&why).to_owned();
    SysError::LibraryBroken { path: path.to_owned(), family, why }
}

struct SharedObject<'a> {
    family: Family,
    path: &'a Path,
    library: &'static libloading::Library,
}

impl<'a> SharedObject<'a> {
    fn load(family: Family, path: &'a Path) -> Result<Self> {
        // SAFETY: the user names the library, and running its initialisers is what opening it means.
        let library = unsafe { libloading::Library::new(path) }.map_err(|error| SysError::LibraryBroken {
            path: path.to_owned(),
            family,
            why: one_line(&error),
        })?;
        // TensorRT keeps threads and thread-local values: it is never closed.
        Ok(Self { family, path, library: Box::leak(Box::new(library)) })
    }

    fn version(&self) -> Result<Version> {
        // SAFETY: int32_t getInferLibVersion(), in every version of TensorRT
        let call = unsafe { self.library.get::<unsafe extern "C" fn() -> i32>(b"getInferLibVersion\0") };
        let call = call.map_err(|_| self.lacks("getInferLibVersion"))?;
        // SAFETY: the function gives a constant and may be called at any time.
        Ok(Version::from_library(unsafe { call() }))
    }

    fn entry(&self, symbol: &CStr, name: &'static str) -> Result<ffi::EntryPoint> {
        // SAFETY: a function by its C name; the shim casts it to the signature in the headers before it calls it.
        let entry = unsafe { self.library.get::<ffi::EntryPoint>(symbol.to_bytes_with_nul()) };
        entry.map(|entry| *entry).map_err(|_| self.lacks(name))
    }

    fn lacks(&self, symbol: &'static str) -> SysError {
        SysError::NotTensorRt { path: self.path.to_owned(), family: self.family, symbol }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;
    use crate::Severity;

    struct Nowhere;

    impl LogSink for Nowhere {
        fn log(&self, _: Severity, _: &str) {}
    }

    fn outcome(kind: i32, line: &str) -> Result<()> {
        let relay = LogRelay::new(Arc::new(Nowhere));
        relay.write(Severity::Error, line);
        let mut failure = ffi::Failure::none();
        failure.kind = kind;
        for (to, from) in failure.what.iter_mut().zip(b"buildSerializedNetwork") {
            *to = from.cast_signed();
        }
        check(&failure, &relay)
    }

    #[test]
    fn failures_become_errors_with_what_was_logged() {
        assert!(outcome(ffi::FAILURE_NONE, "an error that did no harm").is_ok());
        let refused = outcome(ffi::FAILURE_REFUSED, "no profile").unwrap_err();
        assert!(refused.to_string().starts_with("TensorRT refused buildSerializedNetwork: no profile\n"), "{refused}");
        let memory = outcome(ffi::FAILURE_REFUSED, "Unexpected exception std::bad_alloc").unwrap_err();
        assert!(matches!(memory, SysError::OutOfMemory { .. }), "{memory}");
        let memory = outcome(ffi::FAILURE_OUT_OF_MEMORY, "anything").unwrap_err();
        assert!(matches!(memory, SysError::OutOfMemory { .. }), "{memory}");
        let exception = outcome(ffi::FAILURE_EXCEPTION, "anything").unwrap_err();
        assert!(matches!(&exception, SysError::Exception { lines, .. } if *lines == ["anything"]), "{exception}");
    }
}
