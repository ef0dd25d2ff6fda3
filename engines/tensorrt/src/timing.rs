use crate::fit::PresentDevice;
use egom2p_engine_core::{EngineError, Result};
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The largest timing cache that is read.
const MAX_BYTES: u64 = 1 << 30;

/// How long kernels took on a device, kept from build to build: a file for each device and version of the library.
///
/// A build begins with what the file holds and adds to it. Of builds at the same time the last one to finish is kept;
/// the others' timings are measured again when they are needed.
#[derive(Debug)]
pub(crate) struct TimingCache {
    path: PathBuf,
}

impl TimingCache {
    /// The cache of a device, in `folder` or in the cache folder of the user. Creates the folder.
    pub(crate) fn open(folder: Option<&Path>, backend: &str, version: &str, device: &PresentDevice) -> Result<Self> {
        let of_user = || user_folder(&|name| std::env::var_os(name));
        let folder = folder.map(Path::to_owned).or_else(of_user).ok_or_else(|| EngineError::Backend {
            what: "there is no folder for TensorRT's timing cache: neither XDG_CACHE_HOME nor HOME is set".to_owned(),
            mend: "set XDG_CACHE_HOME to a folder that can be written".to_owned(),
        })?;
        fs::create_dir_all(&folder).map_err(|source| EngineError::Write { path: folder.clone(), source })?;
        Ok(Self { path: folder.join(file_name(backend, version, device)) })
    }

    /// The timings; none in a new cache.
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

    /// Replaces the timings.
    pub(crate) fn write(&self, timings: &[u8]) -> Result<()> {
        let write = |source| EngineError::Write { path: self.path.clone(), source };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let partial = folder.join(format!(".partial-{}-{}", std::process::id(), file_name_of(&self.path)));
        let written = fs::File::create(&partial)
            .and_then(|mut file| file.write_all(timings).and_then(|()| file.sync_all()))
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

fn file_name(backend: &str, version: &str, device: &PresentDevice) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = device.name.chars().map(plain).take(64).collect();
    format!("{backend}-{version}-{name}-{}.timing", device.compute_capability)
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
        let cache = TimingCache::open(Some(&below), "tensorrt", "11.4.0", &device("NVIDIA H100 80GB/HBM3")).unwrap();
        assert_eq!(cache.path, below.join("tensorrt-11.4.0-NVIDIA-H100-80GB-HBM3-9.0.timing"));
        assert_eq!(cache.read().unwrap(), b"");
        cache.write(b"timings").unwrap();
        cache.write(b"more timings").unwrap();
        assert_eq!(cache.read().unwrap(), b"more timings");
        assert_eq!(fs::read_dir(&below).unwrap().count(), 1, "no partial file is left");
        let other = TimingCache::open(Some(&below), "tensorrt", "11.5.0", &device("NVIDIA H100 80GB/HBM3")).unwrap();
        assert_eq!(other.read().unwrap(), b"");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = TimingCache::open(Some(&folder.path().join("file/below")), "tensorrt", "11.4.0", &device("x"));
        assert!(matches!(error.unwrap_err(), EngineError::Write { .. }));
    }
}
