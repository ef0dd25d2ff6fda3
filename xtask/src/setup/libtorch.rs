//! libtorch for training, from the wheels of `torch` and of the two libraries of NVIDIA that its processor part links.
//!
//! Of the CUDA build that the package index has, only what runs on the processor is kept.

use std::{
    env, fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{
    folder,
    wheel::{self, Member, Wheel},
};
use crate::{console::say, workspace::Workspace};

/// A wheel with what is kept of it.
struct Part {
    wheel: Wheel,
    files: &'static [Kept],
}

/// A file of a wheel that is kept.
struct Kept {
    /// Its path in `cache/libtorch/VERSION`.
    path: &'static str,
    n_bytes: u64,
    member: Member<'static>,
}

/// The version that is pinned.
pub(super) const VERSION: &str = "2.11.0";

const PARTS: [Part; 3] = [
    Part {
        wheel: Wheel {
            title: "libtorch",
            project: "torch",
            version: VERSION,
            python: "cp311-cp311",
            platforms: "manylinux_2_28_x86_64",
            sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        },
        files: &[
            Kept {
                path: "torch/lib/libtorch_cpu.so",
                n_bytes: 451_209_129,
                member: Member {
                    path: "torch/lib/libtorch_cpu.so",
                    sha256: "99ea9120891528198d73d477714adf14ec662dec467aca8a3940796ccd452e91",
                },
            },
            Kept {
                path: "torch/lib/libc10.so",
                n_bytes: 1_498_969,
                member: Member {
                    path: "torch/lib/libc10.so",
                    sha256: "be5e17cd7752a6af003978706379384c3108f6b68916bb1949e610f6397bb640",
                },
            },
            Kept {
                path: "torch/lib/libgomp.so.1",
                n_bytes: 254_009,
                member: Member {
                    path: "torch/lib/libgomp.so.1",
                    sha256: "e28fb2896a3d612b46a27d7f8ef840d34c9efbc29b70a044c42095fb94856890",
                },
            },
            Kept {
                path: "LICENSE",
                n_bytes: 351_341,
                member: Member {
                    path: "torch-2.11.0.dist-info/licenses/LICENSE",
                    sha256: "a0d7abc10248a062a2f309bf12981524973f2a61aadccf4c5099d96d8c388cf4",
                },
            },
            Kept {
                path: "NOTICE",
                n_bytes: 23_632,
                member: Member {
                    path: "torch-2.11.0.dist-info/licenses/NOTICE",
                    sha256: "c2cc7bf0caec7652c2b460a8a470bea1677f241e4ab8e431df34cf17f5a9fec0",
                },
            },
        ],
    },
    Part {
        wheel: Wheel {
            title: "CUDA's runtime library",
            project: "nvidia-cuda-runtime",
            version: "13.0.96",
            python: "py3-none",
            platforms: "manylinux2014_x86_64.manylinux_2_17_x86_64",
            sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        },
        files: &[
            Kept {
                path: "nvidia/cu13/lib/libcudart.so.13",
                n_bytes: 704_288,
                member: Member {
                    path: "nvidia/cu13/lib/libcudart.so.13",
                    sha256: "96c42e418cec19054186b9429c321603cc190bf26a18104e19408117a2a817b0",
                },
            },
            Kept {
                path: "nvidia/LICENSE",
                n_bytes: 59_262,
                member: Member {
                    path: "nvidia_cuda_runtime-13.0.96.dist-info/licenses/License.txt",
                    sha256: "ad6f5853fba0ca0d159d0f58d49ae49830c2f8c93f7a92648b9ce90adb4c6ccd",
                },
            },
        ],
    },
    Part {
        wheel: Wheel {
            title: "CUDA's profiling library",
            project: "nvidia-cuda-cupti",
            version: "13.0.85",
            python: "py3-none",
            platforms: "manylinux_2_25_x86_64",
            sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        },
        files: &[Kept {
            path: "nvidia/cu13/lib/libcupti.so.13",
            n_bytes: 4_152_208,
            member: Member {
                path: "nvidia/cu13/lib/libcupti.so.13",
                sha256: "e2f9ed861fe27c492b8bb52b5e3220ef5120f3edcda36312e96b7fd8a186be3e",
            },
        }],
    },
];

/// The headers, in the first wheel and in `cache/libtorch/VERSION`.
const HEADERS: Member<'static> =
    Member { path: "torch/include", sha256: "7ea0d99d917f9226ef0ed459d27835e059e7058d5f757878b75f02c208c19cfc" };
/// How many they are, and their bytes together.
const HEADERS_SIZE: (u64, u64) = (9_410, 38_754_372);

/// The folder that builds find libtorch in: the one that `LIBTORCH` names, else the one in `cache/`.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    chosen().unwrap_or_else(|| target(workspace).join("torch"))
}

/// The same, fetched where it is missing or not whole and the user names no other.
pub(super) fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    let target = target(workspace);
    if chosen().is_none() && !is_whole(&target, HEADERS_SIZE) {
        say(format_args!("fetching libtorch {VERSION}: 544 MB to download, 497 MB when unpacked"));
        say(format_args!(
            "  licences: BSD-3-Clause ({}), and NVIDIA's for two libraries of CUDA ({}), not to be redistributed",
            target.join("LICENSE").display(),
            target.join("nvidia/LICENSE").display()
        ));
        folder::replace(&target, |partial| unpack(&workspace.downloads(), partial))?;
    }
    Ok(folder(workspace))
}

fn target(workspace: &Workspace) -> PathBuf {
    workspace.cache().join("libtorch").join(VERSION)
}

fn chosen() -> Option<PathBuf> {
    env::var_os("LIBTORCH").filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

fn unpack(downloads: &Path, partial: &Path) -> Result<()> {
    for (index, part) in PARTS.iter().enumerate() {
        let file = part.wheel.download(downloads)?;
        for kept in part.files {
            let path = partial.join(kept.path);
            let folder = path.parent().unwrap_or(partial);
            fs::create_dir_all(folder)
                .with_context(|| format!("{} cannot be made\ncheck the permissions of cache/", folder.display()))?;
            wheel::extract(&file, &kept.member, &path)?;
        }
        if index == 0 {
            wheel::extract_folder(&file, &HEADERS, &partial.join(HEADERS.path))?;
        }
        wheel::remove(&file)?;
    }
    // The wheel's own libtorch.so is a name for both parts, and asks for the one of CUDA.
    let link = partial.join("torch/lib/libtorch.so");
    symlink("libtorch_cpu.so", &link)
        .with_context(|| format!("{} cannot be made\nuse a file system with links", link.display()))
}

/// Whether every file has its size, and all headers together theirs. Digests are checked when the files are fetched.
fn is_whole(folder: &Path, headers_size: (u64, u64)) -> bool {
    let kept = PARTS.iter().flat_map(|part| part.files);
    let mut sizes = kept.map(|kept| (folder.join(kept.path), kept.n_bytes));
    sizes.all(|(path, n_bytes)| fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == n_bytes))
        && folder.join("torch/lib/libtorch.so").is_file()
        && size(&folder.join(HEADERS.path)).is_ok_and(|found| found == headers_size)
}

/// How many files a folder holds, and their bytes together.
fn size(folder: &Path) -> io::Result<(u64, u64)> {
    fs::read_dir(folder)?.try_fold((0, 0), |(n_files, n_bytes), entry| {
        let entry = entry?;
        let (below, bytes_below) =
            if entry.file_type()?.is_dir() { size(&entry.path())? } else { (1, entry.metadata()?.len()) };
        Ok((n_files + below, n_bytes + bytes_below))
    })
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        os::unix::fs::symlink,
    };

    use super::{HEADERS, PARTS, is_whole};

    #[test]
    fn a_missing_or_shortened_file_is_noticed() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let headers = root.path().join(HEADERS.path).join("c10");
        fs::create_dir_all(&headers).expect("the folder is writable");
        fs::write(headers.join("a.h"), "abc").expect("the folder is writable");
        for kept in PARTS.iter().flat_map(|part| part.files) {
            let path = root.path().join(kept.path);
            fs::create_dir_all(path.parent().expect("a file in a folder")).expect("the folder is writable");
            let file = File::create(&path).expect("the folder is writable");
            file.set_len(kept.n_bytes - 1).expect("the folder is writable");
            assert!(!is_whole(root.path(), (1, 3)), "{} is too short", kept.path);
            file.set_len(kept.n_bytes).expect("the folder is writable");
        }
        assert!(!is_whole(root.path(), (1, 3)), "the link is missing");
        symlink("libtorch_cpu.so", root.path().join("torch/lib/libtorch.so")).expect("the folder is writable");
        assert!(is_whole(root.path(), (1, 3)));
        assert!(!is_whole(root.path(), (2, 3)), "a header is missing");
        assert!(!is_whole(root.path(), (1, 4)), "a header is too short");
    }
}
