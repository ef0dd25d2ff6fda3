use crate::family::FamilyFacts;
use crate::message::foreign;
use egom2p_engine_core::{EngineError, Result};
use egom2p_tensorrt_sys::{Abi, Library, SysError, compiled_shims};
use std::path::{Path, PathBuf};

/// Opens the libraries of a family, or gives those that are open.
pub(crate) fn open(facts: &FamilyFacts, setting: Option<&Path>) -> Result<&'static Library> {
    // Whoever has to build another program need not look for a library first.
    if compiled_shims().is_empty() {
        return Err(foreign(&SysError::NotCompiled));
    }
    let variable = std::env::var_os(facts.variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    let files = match (variable, setting) {
        (Some(path), _) => chosen(facts, &path, facts.variable),
        (None, Some(path)) => chosen(facts, path, "the setting"),
        (None, None) => {
            let executable = std::env::current_exe().and_then(|path| path.canonicalize());
            found(facts, &places(facts, executable.ok().as_deref()))
        }
    };
    let Files { core, parser } = files.map_err(|looked| missing(facts, looked))?;
    Library::open(facts.family, &core, &parser).map_err(|error| foreign(&error))
}

/// The two libraries of TensorRT.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Files {
    /// Builder and runtime.
    core: PathBuf,
    /// The ONNX parser.
    parser: PathBuf,
}

/// The libraries at a place that was chosen by hand, a folder or the core library; otherwise the places looked at.
fn chosen(facts: &FamilyFacts, path: &Path, origin: &str) -> Result<Files, Vec<String>> {
    if path.is_dir() {
        return found(facts, &[path.to_owned()]).map_err(|looked| from(origin, looked));
    }
    if !path.is_file() {
        return Err(from(origin, vec![path.display().to_string()]));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parsers = parser_names(facts, path);
    match parsers.iter().map(|name| folder.join(name)).find(|parser| parser.is_file()) {
        Some(parser) => Ok(Files { core: path.to_owned(), parser }),
        None => Err(from(origin, parsers.iter().map(|name| folder.join(name).display().to_string()).collect())),
    }
}

/// The libraries in the first of the folders that has both of a version; otherwise the files looked at.
fn found(facts: &FamilyFacts, folders: &[PathBuf]) -> Result<Files, Vec<String>> {
    let mut looked = Vec::new();
    for folder in folders {
        for abi in facts.abis {
            let files = Files { core: folder.join(abi.core_name()), parser: folder.join(abi.parser_name()) };
            match (files.core.is_file(), files.parser.is_file()) {
                (true, true) => return Ok(files),
                (true, false) => looked.push(files.parser.display().to_string()),
                (false, _) => looked.push(files.core.display().to_string()),
            }
        }
    }
    Err(looked)
}

/// The parser of a core library's version where its name tells, or of all versions.
fn parser_names(facts: &FamilyFacts, core: &Path) -> Vec<&'static str> {
    let name = core.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let is_of =
        |abi: &&Abi| name.strip_prefix(abi.core_name()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let of_name: Vec<_> = facts.abis.iter().filter(is_of).collect();
    let abis = if of_name.is_empty() { facts.abis.iter().collect() } else { of_name };
    abis.into_iter().map(|abi| abi.parser_name()).collect()
}

/// The folder of the executable, the cache of the workspace that it was built in, and where packages put the libraries.
fn places(facts: &FamilyFacts, executable: Option<&Path>) -> Vec<PathBuf> {
    let own = executable.and_then(Path::parent).map(Path::to_owned);
    let workspace = executable
        .and_then(|executable| executable.ancestors().skip(1).find(|folder| folder.join("Cargo.lock").is_file()));
    let cache = workspace.zip(facts.cache).map(|(folder, cache)| folder.join("cache").join(cache));
    own.into_iter().chain(cache).chain(facts.system.map(PathBuf::from)).collect()
}

fn from(origin: &str, looked: Vec<String>) -> Vec<String> {
    looked.into_iter().map(|path| format!("{path} (from {origin})")).collect()
}

fn missing(facts: &FamilyFacts, looked: Vec<String>) -> EngineError {
    EngineError::LibraryMissing { library: facts.product, looked, mend: facts.mend }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;
    use crate::family::{RTX, TENSORRT};
    use std::fs;

    fn touch(folder: &Path, names: &[&str]) {
        fs::create_dir_all(folder).unwrap();
        for name in names {
            fs::write(folder.join(name), "").unwrap();
        }
    }

    #[test]
    fn the_executable_s_folder_goes_before_the_cache_of_its_workspace() {
        let root = tempfile::tempdir().unwrap();
        let executable = root.path().join("target/debug/egom2p");
        let (own, cache) = (root.path().join("target/debug"), root.path().join("cache/tensorrt/rtx-1.7.1.116"));
        touch(root.path(), &["Cargo.lock"]);
        touch(&own, &["egom2p"]);
        let places = places(&RTX, Some(&executable));
        assert_eq!(places, [own.clone(), cache.clone()]);
        let looked = found(&RTX, &places).unwrap_err();
        assert_eq!(looked.len(), 2, "{looked:?}");

        touch(&cache, &["libtensorrt_rtx.so.1"]);
        let looked = found(&RTX, &places).unwrap_err();
        assert!(looked[1].ends_with("libtensorrt_onnxparser_rtx.so.1"), "{looked:?}");
        touch(&cache, &["libtensorrt_onnxparser_rtx.so.1"]);
        assert_eq!(found(&RTX, &places).unwrap().core, cache.join("libtensorrt_rtx.so.1"));
        touch(&own, &["libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"]);
        assert_eq!(found(&RTX, &places).unwrap().core, own.join("libtensorrt_rtx.so.1"));
    }

    #[test]
    fn the_parser_is_of_the_core_library_s_version() {
        let folder = tempfile::tempdir().unwrap();
        touch(
            folder.path(),
            &["libnvinfer.so.10", "libnvonnxparser.so.10", "libnvonnxparser.so.11", "libnvinfer.so.11.4.0"],
        );
        assert_eq!(chosen(&TENSORRT, folder.path(), "X").unwrap().parser, folder.path().join("libnvonnxparser.so.10"));
        let named = chosen(&TENSORRT, &folder.path().join("libnvinfer.so.11.4.0"), "X").unwrap();
        assert_eq!(named.parser, folder.path().join("libnvonnxparser.so.11"));
    }

    #[cfg(not(feature = "shim"))]
    #[test]
    fn a_program_without_the_shim_says_so_before_it_looks_for_a_library() {
        let text = open(&RTX, Some(Path::new("/absent"))).unwrap_err().to_string();
        assert_eq!(text, SysError::NotCompiled.to_string());
    }

    #[test]
    fn a_chosen_place_is_the_only_one() {
        let looked = chosen(&RTX, Path::new("/absent/libtensorrt_rtx.so.1"), RTX.variable).unwrap_err();
        assert_eq!(looked, ["/absent/libtensorrt_rtx.so.1 (from TENSORRT_RTX_LIBRARY)"]);
        let folder = tempfile::tempdir().unwrap();
        let looked = chosen(&TENSORRT, folder.path(), "the setting").unwrap_err();
        assert_eq!(looked.len(), 2);
        assert!(looked[0].ends_with("libnvinfer.so.11 (from the setting)"), "{looked:?}");
        touch(folder.path(), &["libother.so"]);
        let looked = chosen(&RTX, &folder.path().join("libother.so"), "the setting").unwrap_err();
        assert!(looked[0].ends_with("libtensorrt_onnxparser_rtx.so.1 (from the setting)"), "{looked:?}");
    }
}
