use std::path::{Path, PathBuf};

/// Environment variable that names folders with headers, each of another ABI.
const VARIABLE: &str = "TENSORRT_INCLUDE_DIR";
/// Where the system's packages put them.
const SYSTEM: &str = "/usr/include/x86_64-linux-gnu";

const MEND: &str = "run \"cargo xtask setup\", or name a folder with NvInfer.h with TENSORRT_INCLUDE_DIR";

/// Headers of one ABI.
pub(crate) struct Headers {
    pub(crate) folder: PathBuf,
    /// Name of the shim, which its exported symbols and its `cfg` have.
    pub(crate) abi: &'static str,
    /// Folder with `cuda_runtime_api.h`, if there is one.
    pub(crate) cuda: Option<PathBuf>,
}

/// Everything that shims are to be compiled for, one folder per ABI.
pub(crate) fn find() -> Result<Vec<Headers>, String> {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let chosen = std::env::var_os(VARIABLE).filter(|folders| !folders.is_empty());
    if let Some(folders) = chosen {
        let folders: Vec<PathBuf> =
            std::env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()).collect();
        if let Some(without) = folders.iter().find(|folder| !folder.join("NvInfer.h").is_file()) {
            return Err(format!("there is no NvInfer.h in {}, which {VARIABLE} names\n{MEND}", without.display()));
        }
        let headers = folders.iter().map(|folder| read(folder, None)).collect::<Result<Vec<_>, _>>()?;
        return one_per_abi(headers);
    }
    let cache = workspace().join("cache/tensorrt/headers");
    // Cargo takes a path that does not exist as changed every time.
    if cache.is_dir() {
        println!("cargo::rerun-if-changed={}", cache.display());
    }
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&cache)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    folders.retain(|folder| folder.join("NvInfer.h").is_file());
    folders.sort();
    let cuda = cache.join("cuda");
    let mut found = one_per_abi(folders.iter().map(|folder| read(folder, Some(&cuda))).collect::<Result<_, _>>()?)?;
    if Path::new(SYSTEM).join("NvInfer.h").is_file() {
        let system = read(Path::new(SYSTEM), Some(&cuda))?;
        if found.iter().all(|headers| headers.abi != system.abi) {
            found.push(system);
        }
    }
    if found.is_empty() {
        return Err(format!("the headers of TensorRT are neither in {} nor in {SYSTEM}\n{MEND}", cache.display()));
    }
    Ok(found)
}

fn workspace() -> PathBuf {
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    package.ancestors().nth(2).map_or(package.clone(), Path::to_path_buf)
}

fn read(folder: &Path, cuda: Option<&Path>) -> Result<Headers, String> {
    println!("cargo::rerun-if-changed={}", folder.join("NvInfer.h").display());
    println!("cargo::rerun-if-changed={}", folder.join("NvInferVersion.h").display());
    let version = folder.join("NvInferVersion.h");
    let text = std::fs::read_to_string(&version)
        .map_err(|error| format!("cannot read {}: {error}\n{MEND}", version.display()))?;
    let abi = abi_of(&text).map_err(|what| {
        format!("{} is {what}: expected TensorRT 10, TensorRT 11 or TensorRT-RTX 1\n{MEND}", version.display())
    })?;
    let cuda = [Some(folder), cuda].into_iter().flatten().find(|folder| folder.join("cuda_runtime_api.h").is_file());
    Ok(Headers { folder: folder.to_owned(), abi, cuda: cuda.map(Path::to_path_buf) })
}

/// The shim for headers with that `NvInferVersion.h`, or what they are instead.
fn abi_of(version: &str) -> Result<&'static str, String> {
    let number =
        |name| defined(version, name).and_then(|value| defined(version, value).unwrap_or(value).parse::<u32>().ok());
    match (number("TRT_MAJOR_RTX"), number("NV_TENSORRT_MAJOR")) {
        (Some(1), _) => Ok("egom2p_trt_rtx"),
        (Some(major), _) => Err(format!("of TensorRT-RTX {major}")),
        (None, Some(10)) => Ok("egom2p_trt10"),
        (None, Some(11)) => Ok("egom2p_trt11"),
        (None, Some(major)) => Err(format!("of TensorRT {major}")),
        (None, None) => Err("without a version".to_owned()),
    }
}

/// First word that a macro is defined as.
fn defined<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("#define") && words.next() == Some(name)).then(|| words.next())?
    })
}

fn one_per_abi(headers: Vec<Headers>) -> Result<Vec<Headers>, String> {
    for (at, later) in headers.iter().enumerate() {
        if let Some(earlier) = headers[..at].iter().find(|earlier| earlier.abi == later.abi) {
            return Err(format!(
                "{} and {} have headers of the same major version\nkeep one of them, or choose with {VARIABLE}",
                earlier.folder.display(),
                later.folder.display()
            ));
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with headers that say that.
    fn headers(version: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("NvInferVersion.h"), version).unwrap();
        folder
    }

    #[test]
    fn the_version_header_picks_the_shim() {
        let rtx = "#define TRT_MAJOR_RTX 1\n#define NV_TENSORRT_MAJOR TRT_MAJOR_RTX //!< TensorRT major version.\n";
        let new = "#define TRT_MAJOR_ENTERPRISE 11\n#define NV_TENSORRT_MAJOR TRT_MAJOR_ENTERPRISE\n";
        for (text, abi) in [
            (rtx, Ok("egom2p_trt_rtx")),
            (new, Ok("egom2p_trt11")),
            ("#define NV_TENSORRT_MAJOR 10 //!< TensorRT major version.\n", Ok("egom2p_trt10")),
            ("#define NV_TENSORRT_MAJOR 8\n", Err("of TensorRT 8".to_owned())),
            ("#define TRT_MAJOR_RTX 2\n", Err("of TensorRT-RTX 2".to_owned())),
            ("#define NV_TENSORRT_MAJOR\n", Err("without a version".to_owned())),
            ("", Err("without a version".to_owned())),
        ] {
            assert_eq!(abi_of(text), abi, "{text}");
        }
    }

    #[test]
    fn headers_that_no_shim_is_made_for_are_refused_in_two_lines() {
        let old = headers("#define NV_TENSORRT_MAJOR 9\n");
        let message = read(old.path(), None).err().unwrap();
        assert!(message.contains("is of TensorRT 9: expected"), "{message}");
        assert_eq!(message.lines().count(), 2);
        let message = read(&old.path().join("absent"), None).err().unwrap();
        assert_eq!(message.lines().count(), 2, "{message}");
    }

    #[test]
    fn two_folders_of_one_abi_are_refused() {
        let folders = [10, 10].map(|major| headers(&format!("#define NV_TENSORRT_MAJOR {major}\n")));
        let read = folders.iter().map(|folder| read(folder.path(), None).unwrap()).collect();
        let message = one_per_abi(read).err().unwrap();
        assert!(folders.iter().all(|folder| message.contains(&folder.path().display().to_string())), "{message}");
    }
}
