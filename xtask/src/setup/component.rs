//! Libraries that are fetched from one wheel, pinned by their content.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::wheel::{self, Member, Wheel};
use crate::{console::say, workspace::Workspace};

/// Libraries of one wheel.
pub(crate) struct Component {
    /// The wheel.
    pub(crate) wheel: Wheel,
    /// The size of the wheel.
    pub(crate) download_bytes: u64,
    /// The licence of the libraries.
    pub(crate) licence: Licence,
    /// The libraries that are kept.
    pub(crate) libraries: &'static [Library],
}

/// The licence that comes with libraries.
pub(crate) struct Licence {
    /// Its title.
    pub(crate) title: &'static str,
    /// The name of its text beside the libraries.
    pub(crate) name: &'static str,
    /// Its text.
    pub(crate) member: Member<'static>,
}

/// A library of a wheel.
pub(crate) struct Library {
    /// Its size.
    pub(crate) n_bytes: u64,
    /// The library.
    pub(crate) member: Member<'static>,
}

impl Component {
    /// Puts what is missing into a folder, the licence too.
    pub(super) fn fetch(&self, workspace: &Workspace, folder: &Path) -> Result<()> {
        if self.is_whole(folder) {
            return Ok(());
        }
        say(format_args!(
            "fetching {} {}: {} MB to download, {} MB when unpacked",
            self.wheel.title,
            self.wheel.version,
            megabytes(self.download_bytes),
            megabytes(self.unpacked_bytes())
        ));
        say(format_args!("  licence: {}, in {} beside the libraries", self.licence.title, self.licence.name));
        fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made\ncheck its permissions", folder.display()))?;
        let file = self.wheel.download(&workspace.downloads())?;
        wheel::extract(&file, &self.licence.member, &folder.join(self.licence.name))?;
        for library in self.libraries {
            wheel::extract(&file, &library.member, &folder.join(library.name()))?;
        }
        wheel::remove(&file)
    }

    /// Whether every library has its size. Digests are checked when the libraries are fetched: reading gigabytes takes
    /// longer than finding that nothing is to be done.
    pub(super) fn is_whole(&self, folder: &Path) -> bool {
        self.libraries.iter().all(|library| {
            let found = fs::metadata(folder.join(library.name()));
            found.is_ok_and(|found| found.is_file() && found.len() == library.n_bytes)
        })
    }

    /// The size of all libraries together.
    pub(crate) fn unpacked_bytes(&self) -> u64 {
        self.libraries.iter().map(|library| library.n_bytes).sum()
    }
}

impl Library {
    /// The name of the file.
    pub(crate) fn name(&self) -> &'static str {
        self.member.path.rsplit('/').next().unwrap_or(self.member.path)
    }
}

/// A size as people read it, rounded up.
pub(crate) fn megabytes(n_bytes: u64) -> u64 {
    n_bytes.div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs::File};

    use super::Component;
    use crate::setup::{nvrtc, onnxruntime_gpu, tensorrt::rtx};

    fn components() -> impl Iterator<Item = &'static Component> {
        [&rtx::COMPONENT, &nvrtc::COMPONENT, &onnxruntime_gpu::PROVIDER].into_iter().chain(onnxruntime_gpu::NVIDIA)
    }

    #[test]
    fn a_missing_or_shortened_library_is_noticed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for component in components() {
            for library in component.libraries {
                assert!(!component.is_whole(folder.path()), "{} is missing", library.name());
                let file = File::create(folder.path().join(library.name())).expect("the folder is writable");
                file.set_len(library.n_bytes - 1).expect("the folder is writable");
                assert!(!component.is_whole(folder.path()), "{} is too short", library.name());
                file.set_len(library.n_bytes).expect("the folder is writable");
            }
            assert!(component.is_whole(folder.path()));
            for library in component.libraries {
                std::fs::remove_file(folder.path().join(library.name())).expect("it is there");
            }
        }
    }

    #[test]
    fn every_pin_is_a_digest_of_its_own() {
        let mut digests = BTreeSet::new();
        let mut wheels = BTreeSet::new();
        for component in components() {
            if !wheels.insert(component.wheel.file_name()) {
                continue;
            }
            for sha256 in
                component.libraries.iter().map(|library| library.member.sha256).chain([component.wheel.sha256])
            {
                let is_digest = sha256.len() == 64 && sha256.bytes().all(|digit| b"0123456789abcdef".contains(&digit));
                assert!(is_digest && digests.insert(sha256), "{}: {sha256}", component.wheel.title);
            }
            assert!(component.download_bytes > 1_000_000 && component.unpacked_bytes() > 700_000);
        }
        assert_eq!(wheels.len(), 7);
    }
}
