use crate::fit::PresentDevice;
use egom2p_engine_core::{Digest, EngineError, Result};
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The largest cache that is read.
const MAX_BYTES: u64 = 1 << 30;

/// What TensorRT found out about a device and would have to find out again, in a file of the user's cache folder.
///
/// Whoever reads it begins with what the file holds and adds to it. Of several at the same time the last one to finish
/// is kept; what the others found out is found out again when it is needed.
#[derive(Debug)]
pub(crate) struct CacheFile {
    path: PathBuf,
}

impl CacheFile {
    /// How long kernels take on a device, for builds: a file for each device and version of the library.
    pub(crate) fn timings(folder: Option<&Path>, backend: &str, version: &str, device: &PresentDevice) -> Result<Self> {
        Self::open(folder, &format!("{}.timing", stem(backend, version, device)))
    }

    /// The kernels that an engine compiled on a device: a file for each engine, device and version of the library.
    pub(crate) fn kernels(
        folder: Option<&Path>,
        backend: &str,
        version: &str,
        device: &PresentDevice,
        engine: Digest,
    ) -> Result<Self> {
        let digest = engine.to_string();
        let digest = digest.get(..16).unwrap_or(&digest);
        Self::open(folder, &format!("{}-{digest}.kernels", stem(backend, version, device)))
    }

    /// A file in `folder` or in the cache folder of the user. Creates the folder.
    fn open(folder: Option<&Path>, name: &str) -> Result<Self> {
        let of_user = || user_folder(&|name| std::env::var_os(name));
        let folder = folder.map(Path::to_owned).or_else(of_user).ok_or_else(|| EngineError::Backend {
            what: "there is no folder for TensorRT's caches: neither XDG_CACHE_HOME nor HOME is set".to_owned(),
            mend: "set XDG_CACHE_HOME to a folder that can be written".to_owned(),
        })?;
        fs::create_dir_all(&folder).map_err(|source| EngineError::Write { path: folder.clone(), source })?;
        Ok(Self { path: folder.join(name) })
    }

    /// What it holds; nothing in a new cache.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        let mend = "remove the file: it only saves time";
        let read = |source| EngineError::Read { path: self.path.clone(), source, mend };
        match fs::metadata(&self.path) {
            Ok(metadata) if metadata.len() <= MAX_BYTES => fs::read(&self.path).map_err(read),
            Ok(_) => Ok(Vec::new()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(read(error)),
        }
    }

    /// Replaces what it holds.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        let write = |source| EngineError::Write { path: self.path.clone(), source };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let partial = folder.join(format!(".partial-{}-{}", std::process::id(), file_name_of(&self.path)));
        let written = fs::File::create(&partial)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&partial, &self.path));
        if written.is_err() {
            // The write failed already; a partial file that stays is overwritten or ignored.
            let _ = fs::remove_file(&partial);
        }
        written.map_err(write)
    }
}

fn user_folder(variable: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    cache.or_else(|| Some(set("HOME")?.join(".cache"))).map(|cache| cache.join("egom2p").join("timing"))
}

fn stem(backend: &str, version: &str, device: &PresentDevice) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = device.name.chars().map(plain).take(64).collect();
    format!("{backend}-{version}-{name}-{}", device.compute_capability)
}

fn file_name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;

    fn device(name: &str) -> PresentDevice {
        PresentDevice { name: name.to_owned(), compute_capability: "9.0".parse().unwrap() }
    }

    #[test]
    fn the_folder_is_the_user_s() {
        let folder = |xdg: &str, home: &str| {
            let (xdg, home) = (OsString::from(xdg), OsString::from(home));
            user_folder(&|name| Some(if name == "HOME" { home.clone() } else { xdg.clone() }))
        };
        assert_eq!(folder("/x", "/home/u"), Some("/x/egom2p/timing".into()));
        assert_eq!(folder("", "/home/u"), Some("/home/u/.cache/egom2p/timing".into()));
        assert_eq!(folder("relative", "/home/u"), Some("/home/u/.cache/egom2p/timing".into()));
        assert_eq!(folder("", ""), None);
    }

    #[test]
    fn timings_are_kept_by_device_and_version() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        let cache = CacheFile::timings(Some(&below), "tensorrt", "11.4.0", &device("NVIDIA H100 80GB/HBM3")).unwrap();
        assert_eq!(cache.path, below.join("tensorrt-11.4.0-NVIDIA-H100-80GB-HBM3-9.0.timing"));
        assert_eq!(cache.read().unwrap(), b"");
        cache.write(b"timings").unwrap();
        cache.write(b"more timings").unwrap();
        assert_eq!(cache.read().unwrap(), b"more timings");
        assert_eq!(fs::read_dir(&below).unwrap().count(), 1, "no partial file is left");
        let other = CacheFile::timings(Some(&below), "tensorrt", "11.5.0", &device("NVIDIA H100 80GB/HBM3")).unwrap();
        assert_eq!(other.read().unwrap(), b"");
        let engine = Digest::from_bytes([0xab; 32]);
        let kernels = CacheFile::kernels(Some(&below), "tensorrt-rtx", "1.7.1", &device("NVIDIA L4"), engine).unwrap();
        assert_eq!(kernels.path, below.join("tensorrt-rtx-1.7.1-NVIDIA-L4-9.0-abababababababab.kernels"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = CacheFile::timings(Some(&folder.path().join("file/below")), "tensorrt", "11.4.0", &device("x"));
        assert!(matches!(error.unwrap_err(), EngineError::Write { .. }));
    }
}
