use crate::message::one_line;
use egom2p_engine_core::{EngineError, Result};
use ort::environment::Environment;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Environment variable that names the library to open.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";
/// Version of ONNX Runtime that this backend is made and tested for.
pub const LIBRARY_VERSION: &str = "1.31.1";

const MEND: &str = "run \"cargo xtask setup\", or name a library of ONNX Runtime 1.31 with ORT_DYLIB_PATH";

/// The opened library. There is one per process, and it is never closed.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) path: PathBuf,
    pub(crate) version: String,
    pub(crate) build_info: String,
    pub(crate) environment: Environment,
}

impl Library {
    /// Opens the library, or gives the one that is open.
    pub(crate) fn open(setting: Option<&Path>) -> Result<&'static Self> {
        static OPEN: OnceLock<Library> = OnceLock::new();
        static OPENING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        let path = find(setting)?;
        if let Some(library) = OPEN.get() {
            if library.path == path {
                return Ok(library);
            }
            return Err(broken(&path, format!("this process already uses {}", library.path.display())));
        }
        let library = Self::load(path)?;
        Ok(OPEN.get_or_init(|| library))
    }

    fn load(path: PathBuf) -> Result<Self> {
        let builder = ort::init_from(&path).map_err(|error| broken(&path, one_line(&error)))?;
        // Whatever matters comes back as an error; the library's own log would mix with the program's output.
        let environment = builder
            .with_name("egom2p")
            .with_telemetry(false)
            .with_logger(Arc::new(|_, _, _, _, _| {}))
            .build()
            .map_err(|error| broken(&path, one_line(&error)))?;
        environment.set_log_level(ort::logging::LogLevel::Fatal);
        let build_info = ort::info().to_owned();
        let version = crate::version::read(&path).map_err(|what| broken(&path, what))?;
        Ok(Self { path, version, build_info, environment })
    }
}

/// A place that was chosen by hand is the only one; otherwise the first place that has the library.
fn find(setting: Option<&Path>) -> Result<PathBuf> {
    let chosen = std::env::var_os(LIBRARY_VARIABLE)
        .filter(|path| !path.is_empty())
        .map(|path| (LIBRARY_VARIABLE, PathBuf::from(path)))
        .or_else(|| setting.map(|path| ("the setting", path.to_owned())));
    if let Some((origin, path)) = chosen {
        return match path.canonicalize() {
            Ok(path) if path.is_file() => Ok(path),
            _ => Err(missing(vec![format!("{} (from {origin})", path.display())])),
        };
    }
    let executable = std::env::current_exe()
        .and_then(|path| path.canonicalize())
        .map_err(|source| EngineError::Read { path: PathBuf::from("the path of this program"), source, mend: MEND })?;
    let mut looked = Vec::new();
    for folder in places(&executable) {
        if let Some(path) = library_in(&folder) {
            return Ok(path.canonicalize().unwrap_or(path));
        }
        looked.push(folder.join(library_name()).display().to_string());
    }
    Err(missing(looked))
}

/// The folder of the executable, and the cache of the workspace that it was built in.
fn places(executable: &Path) -> Vec<PathBuf> {
    let own = executable.parent().map(Path::to_owned);
    let workspace = executable.ancestors().skip(1).find(|folder| folder.join("Cargo.lock").is_file());
    let cache = workspace.map(|folder| folder.join("cache").join("onnxruntime").join(LIBRARY_VERSION));
    own.into_iter().chain(cache).collect()
}

/// The library of this name in a folder, with or without a version after it; the pinned version goes first.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let name = library_name();
    let pinned = format!("{name}.{LIBRARY_VERSION}");
    let is_library = |file: &str| file == name || file.strip_prefix(&*name).is_some_and(|rest| rest.starts_with('.'));
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|file| is_library(file) && folder.join(file).is_file())
        .collect();
    found.sort_by_key(|file| (*file != pinned, file.len()));
    found.first().map(|file| folder.join(file))
}

fn library_name() -> String {
    format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

fn missing(looked: Vec<String>) -> EngineError {
    EngineError::LibraryMissing { library: "ONNX Runtime", looked, mend: MEND }
}

fn broken(path: &Path, what: String) -> EngineError {
    EngineError::LibraryBroken { path: path.to_owned(), what, mend: MEND }
}
