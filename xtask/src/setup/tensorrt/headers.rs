//! The headers of `TensorRT`, from the registry crate that carries them. Nothing of the crate is compiled.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    console::{failure, say},
    process,
    setup::{digest, folder},
    workspace::Workspace,
};

/// The crate and its version.
const CRATE: (&str, &str) = ("trtx-sys", "0.9.1");

/// The dependencies of the crate with the versions that it asks for: empty crates take their places, so that none of
/// them is downloaded.
const DEPENDENCIES: [(&str, &str); 7] = [
    ("autocxx", "0.30.0"),
    ("autocxx-build", "0.30.0"),
    ("bindgen", "0.72.0"),
    ("bitflags", "2.13.1"),
    ("cc", "1.0.0"),
    ("cxx", "1.0.0"),
    ("regex", "1.0.0"),
];

/// Headers that are used together.
struct Headers {
    /// The folder or the file in the crate.
    source: &'static str,
    /// The folder in `cache/tensorrt/headers`.
    folder: &'static str,
    /// SHA-256 over names and contents, sorted by name.
    sha256: &'static str,
}

const HEADERS: [Headers; 3] = [
    Headers {
        source: "TRT-RTX-1.7",
        folder: "rtx-1.7",
        sha256: "a0cb2490e2706c7ba7d734263c2db2c0f04399c01b78d0d9d7cb20e50bf45a03",
    },
    Headers {
        source: "TRT-Enterprise-11.4",
        folder: "11.4",
        sha256: "44d22a2f8abe70923f7b40385a0bac18920dfc532cbebcc91cb35f33b13629eb",
    },
    Headers {
        source: "cuda_runtime_api.h",
        folder: "cuda",
        sha256: "3e92479df2d52794e7dd930a46870d68d61923de4c46f3cf644cec8fa57e2338",
    },
];

/// The headers that the user names, or the folder in `cache/`, fetched where some are missing or not the pinned ones.
pub(in crate::setup) fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(chosen) = env::var_os("TENSORRT_INCLUDE_DIR").filter(|folders| !folders.is_empty()) {
        return Ok(chosen.into());
    }
    let target = workspace.cache().join("tensorrt/headers");
    let missing: Vec<_> = HEADERS.iter().filter(|headers| !headers.are_in(&target)).collect();
    if missing.is_empty() {
        return Ok(target);
    }
    let (name, version) = CRATE;
    say(format_args!(
        "fetching the headers of TensorRT 11.4 and TensorRT for RTX 1.7 (crate {name} {version}, Apache-2.0)"
    ));
    let project = workspace.cache().join("tensorrt/headers-source");
    folder::replace(&project, write_project)?;
    let source = source_of_crate(workspace, &project);
    folder::remove(&project)?;
    let source = source?.join("TensorRT-Headers");
    missing.into_iter().try_for_each(|headers| headers.copy(&source, &target))?;
    Ok(target)
}

impl Headers {
    fn are_in(&self, target: &Path) -> bool {
        read(&target.join(self.folder)).is_ok_and(|files| digest(&files) == self.sha256)
    }

    fn copy(&self, source: &Path, target: &Path) -> Result<()> {
        let source = source.join(self.source);
        let files = read(&source)?;
        let found = digest(&files);
        if found != self.sha256 {
            return Err(failure(
                format_args!(
                    "{} does not hold the pinned headers: expected SHA-256 {}, got {found}",
                    source.display(),
                    self.sha256
                ),
                "check which registry cargo uses, remove the folder and try again",
            ));
        }
        folder::replace(&target.join(self.folder), |partial| {
            files.iter().try_for_each(|(name, content)| write(&partial.join(name), content))
        })
    }
}

fn digest(files: &BTreeMap<String, Vec<u8>>) -> String {
    digest::of_list(files.iter().map(|(name, content)| (name.as_str(), content.as_slice())))
}

/// The files of a folder by their paths in it, or one file by its name.
fn read(path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let unreadable = || format!("{} cannot be read\ncheck that it exists and its permissions", path.display());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if !path.is_dir() {
        return Ok(BTreeMap::from([(name.into_owned(), fs::read(path).with_context(unreadable)?)]));
    }
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(path).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?.path();
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        for (below, content) in read(&entry)? {
            files.insert(if entry.is_dir() { format!("{name}/{below}") } else { below }, content);
        }
    }
    Ok(files)
}

/// Writes a project that depends on the crate and on nothing else.
fn write_project(project: &Path) -> Result<()> {
    let (name, version) = CRATE;
    let package = |name: &str, version: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2024\"\n\n[lib]\npath = \"empty.rs\"\n"
        )
    };
    let patches: Vec<_> = DEPENDENCIES.iter().map(|(name, _)| format!("{name} = {{ path = \"{name}\" }}\n")).collect();
    let manifest = format!(
        "{}\n[dependencies]\n{name} = \"={version}\"\n\n[workspace]\n\n[patch.crates-io]\n{}",
        package("headers", "0.0.0"),
        patches.concat()
    );
    let empty = DEPENDENCIES.iter().map(|(name, version)| (project.join(name), package(name, version)));
    for (folder, manifest) in [(project.to_owned(), manifest)].into_iter().chain(empty) {
        write(&folder.join("empty.rs"), b"")?;
        write(&folder.join("Cargo.toml"), manifest.as_bytes())?;
    }
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .with_context(|| format!("{} cannot be written\ncheck the permissions of its folder", path.display()))
}

/// Where cargo unpacked the crate, through whatever registry or mirror the user has set.
fn source_of_crate(workspace: &Workspace, project: &Path) -> Result<PathBuf> {
    let (name, version) = CRATE;
    let mut cargo = workspace.cargo(&["metadata", "--format-version", "1", "--manifest-path"]);
    let metadata = process::output(cargo.arg(project.join("Cargo.toml")))?;
    if !metadata.status.success() {
        let message = String::from_utf8_lossy(&metadata.stderr);
        let causes = message.lines().filter(|line| line.starts_with("error: ") || line.starts_with("  "));
        let causes: Vec<_> = causes.map(|line| line.trim().trim_start_matches("error: ")).collect();
        return Err(failure(
            format_args!("the crate {name} {version} cannot be fetched: {}", causes.join(": ")),
            "check the network and the registry of cargo",
        ));
    }
    let manifest = manifest_of_crate(&metadata.stdout).ok_or_else(|| {
        failure(format_args!("cargo metadata does not name the crate {name}"), "install the cargo that README.md names")
    })?;
    Ok(manifest.parent().unwrap_or(&manifest).to_owned())
}

fn manifest_of_crate(metadata: &[u8]) -> Option<PathBuf> {
    let metadata: serde_json::Value = serde_json::from_slice(metadata).ok()?;
    let package = metadata.get("packages")?.as_array()?.iter().find(|package| package["name"] == CRATE.0)?;
    package["manifest_path"].as_str().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::{Headers, digest, manifest_of_crate, read, write};

    #[test]
    fn only_the_pinned_headers_are_copied_and_found() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let [source, target] = ["source", "target"].map(|name| root.path().join(name));
        write(&source.join("1.7/A.h"), b"a").expect("the folder is writable");
        write(&source.join("1.7/impl/B.h"), b"b").expect("the folder is writable");
        let foreign = Headers { source: "1.7", folder: "rtx-1.7", sha256: "00" };
        let error = foreign.copy(&source, &target).expect_err("the digest differs");
        assert!(error.to_string().contains("expected SHA-256 00, got "), "{error}");
        assert!(!target.exists());

        let files = read(&source.join("1.7")).expect("the folder is readable");
        assert_eq!(files.keys().collect::<Vec<_>>(), ["A.h", "impl/B.h"]);
        let headers = Headers { sha256: digest(&files).leak(), ..foreign };
        assert!(!headers.are_in(&target));
        headers.copy(&source, &target).expect("the digest is right");
        assert!(headers.are_in(&target));
        fs::write(target.join("rtx-1.7/impl/B.h"), "c").expect("the folder is writable");
        assert!(!headers.are_in(&target), "a file changed");
    }

    #[test]
    fn one_header_is_a_folder_of_its_own_and_a_link_serves() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let [source, target] = ["source", "target"].map(|name| root.path().join(name));
        write(&source.join("cuda.h"), b"").expect("the folder is writable");
        let sha256 = digest(&read(&source.join("cuda.h")).expect("the file is readable")).leak();
        let headers = Headers { source: "cuda.h", folder: "cuda", sha256 };
        fs::create_dir(&target).expect("the folder is writable");
        symlink(&source, target.join("cuda")).expect("the folder is writable");
        assert!(headers.are_in(&target));
        headers.copy(&source, &target).expect("the digest is right");
        assert!(target.join("cuda/cuda.h").is_file() && !target.join("cuda").is_symlink());
    }

    #[test]
    fn the_crate_is_found_in_what_cargo_says() {
        let metadata =
            br#"{"packages": [{"name": "cc", "manifest_path": "/a"}, {"name": "trtx-sys", "manifest_path": "/b"}]}"#;
        assert_eq!(manifest_of_crate(metadata), Some("/b".into()));
        assert_eq!(manifest_of_crate(b"{}"), None);
    }
}
