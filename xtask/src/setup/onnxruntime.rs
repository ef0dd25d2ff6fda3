//! ONNX Runtime, from the wheel that its makers publish for Python.

use std::{
    env,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::{
    console::{failure, say},
    process,
    workspace::Workspace,
};

/// The version that the backend is made for.
const VERSION: &str = "1.31.1";

/// What is fetched for one architecture.
struct Pin {
    architecture: &'static str,
    wheel_sha256: &'static str,
    library_sha256: &'static str,
}

const PINS: [Pin; 2] = [
    Pin {
        architecture: "x86_64",
        wheel_sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
        library_sha256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
    },
    Pin {
        architecture: "aarch64",
        wheel_sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
        library_sha256: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
    },
];

/// The library in `cache/`, fetched where it is missing or not the pinned one.
pub(crate) fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    let pin = PINS.iter().find(|pin| pin.architecture == env::consts::ARCH).ok_or_else(|| {
        failure(
            format_args!("ONNX Runtime is not pinned for {}: expected x86_64 or aarch64", env::consts::ARCH),
            format_args!("install ONNX Runtime {VERSION} and set ORT_DYLIB_PATH to it"),
        )
    })?;
    let name = format!("libonnxruntime.so.{VERSION}");
    let folder = workspace.cache().join("onnxruntime").join(VERSION);
    let library = folder.join(&name);
    if library.is_file() && sha256(&library)? == pin.library_sha256 {
        return Ok(library);
    }
    fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made\ncheck its permissions", folder.display()))?;
    let wheel = download(&workspace.cache().join("downloads"), pin)?;
    extract(&wheel, &format!("onnxruntime/capi/{name}"), &library, pin.library_sha256)?;
    fs::remove_file(&wheel).with_context(|| format!("{} cannot be removed\ncheck its permissions", wheel.display()))?;
    Ok(library)
}

/// Downloads the wheel through pip, which knows the user's index and proxies; the same file whatever Python runs it.
fn download(folder: &Path, pin: &Pin) -> Result<PathBuf> {
    say(format_args!("fetching ONNX Runtime {VERSION}"));
    if !process::succeeds(Command::new("python3").args(["-m", "pip", "--version"])) {
        return Err(failure(
            "ONNX Runtime is fetched with pip, and \"python3 -m pip\" does not run",
            "run \"apt-get install python3-pip\" as root",
        ));
    }
    let platform = format!("manylinux_2_28_{}", pin.architecture);
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-cache-dir",
        "--no-input",
        "--disable-pip-version-check",
    ])
    .args([
        "--only-binary",
        ":all:",
        "--implementation",
        "cp",
        "--python-version",
        "3.11",
        "--abi",
        "cp311",
        "--platform",
        &platform,
    ])
    .arg("--dest")
    .arg(folder)
    .arg(format!("onnxruntime=={VERSION}"));
    process::run(&mut pip).map_err(|error| {
        error.context("ONNX Runtime cannot be downloaded\ncheck the network and the package index of pip")
    })?;
    let wheel = folder.join(format!("onnxruntime-{VERSION}-cp311-cp311-{platform}.whl"));
    let found = sha256(&wheel)?;
    if found != pin.wheel_sha256 {
        fs::remove_file(&wheel).with_context(|| format!("{} cannot be removed\nremove it by hand", wheel.display()))?;
        return Err(failure(
            format_args!(
                "the download {} is not the pinned file: expected SHA-256 {}, got {found}",
                wheel.display(),
                pin.wheel_sha256
            ),
            "check which package index pip uses, and try again",
        ));
    }
    Ok(wheel)
}

/// Takes one file out of a wheel, beside its place first.
fn extract(wheel: &Path, member: &str, to: &Path, expected: &str) -> Result<()> {
    let broken = || format!("{member} cannot be taken out of {}\nremove the file and try again", wheel.display());
    let mut archive = zip::ZipArchive::new(File::open(wheel).with_context(broken)?).with_context(broken)?;
    let mut source = archive.by_name(member).with_context(broken)?;
    let partial = to.with_extension("partial");
    let mut target = File::create(&partial).with_context(broken)?;
    io::copy(&mut source, &mut target).with_context(broken)?;
    target.sync_all().with_context(broken)?;
    let found = sha256(&partial)?;
    if found != expected {
        return Err(failure(
            format_args!("{member} is not the pinned file: expected SHA-256 {expected}, got {found}"),
            "try again",
        ));
    }
    fs::rename(&partial, to).with_context(broken)
}

/// SHA-256 of a file as hexadecimal digits.
fn sha256(path: &Path) -> Result<String> {
    let unreadable = || format!("{} cannot be read\ncheck that it exists and its permissions", path.display());
    let mut file = File::open(path).with_context(unreadable)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).with_context(unreadable)? {
            0 => break,
            n_bytes => digest.update(&buffer[..n_bytes]),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat())
}

#[cfg(test)]
mod tests {
    use std::{fs, fs::File, io::Write};

    use super::{extract, sha256};

    #[test]
    fn digests_are_hexadecimal_sha256() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("abc");
        fs::write(&path, "abc").expect("the folder is writable");
        assert_eq!(
            sha256(&path).expect("the file is readable"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_member_that_is_not_the_pinned_file_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let wheel = folder.path().join("a.whl");
        let mut archive = zip::ZipWriter::new(File::create(&wheel).expect("the folder is writable"));
        archive.start_file("lib.so", zip::write::SimpleFileOptions::default()).expect("the archive is open");
        archive.write_all(b"abc").expect("the folder is writable");
        archive.finish().expect("the folder is writable");
        let library = folder.path().join("lib.so");
        let error = extract(&wheel, "lib.so", &library, "00").expect_err("the digest differs");
        assert!(error.to_string().contains("expected SHA-256 00, got ba7816bf"), "{error}");
        assert!(!library.exists());
        extract(&wheel, "lib.so", &library, &sha256_of(b"abc", folder.path())).expect("the digest is right");
        assert_eq!(fs::read(&library).expect("the library is there"), b"abc");
    }

    fn sha256_of(bytes: &[u8], folder: &std::path::Path) -> String {
        let path = folder.join("reference");
        fs::write(&path, bytes).expect("the folder is writable");
        sha256(&path).expect("the file is readable")
    }
}
