//! The C library that the files of a package ask for.

use std::{
    collections::BTreeSet,
    fmt::{self, Display},
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::elf::Elf;
use crate::console::failure;

/// The glibc that every target of a package has at least.
pub(super) const LIMIT: Release = Release(2, 36, 0);

/// A release of glibc.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Release(u32, u32, u32);

/// What files ask of the machine that they run on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Needs {
    /// The newest release of glibc that a symbol asks for.
    pub(super) glibc: Release,
    /// Libraries by file name, without those that are among the files.
    pub(super) libraries: BTreeSet<String>,
}

impl Release {
    /// The release that a version of symbols came with; `None` for versions that no release promises to keep.
    fn of_version(name: &str) -> Option<Self> {
        // The mark of a file whose relocations are packed, which the loader of this release was the first to read.
        if name == "ABI_DT_RELR" {
            return Some(Self(2, 36, 0));
        }
        let mut numbers = name.splitn(3, '.').map(str::parse);
        Some(Self(numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next().map_or(Some(0), Result::ok)?))
    }
}

impl Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What the ELF files among `files` need; an error where it is a glibc newer than `limit`.
pub(super) fn check(files: &[PathBuf], limit: Release) -> Result<Needs> {
    let mut needs = Needs { glibc: Release(0, 0, 0), libraries: BTreeSet::new() };
    for file in files {
        let Some(elf) = Elf::read(file)? else { continue };
        for version in &elf.versions {
            let Some(release) = version.name.strip_prefix("GLIBC_") else { continue };
            let release = Release::of_version(release).filter(|release| *release <= limit).ok_or_else(|| {
                let symbol = version.symbol.as_deref().unwrap_or("the file itself");
                failure(
                    format_args!(
                        "{} asks for glibc {limit} at most to run elsewhere, and {symbol} asks for {}",
                        name_of(file),
                        version.name
                    ),
                    format_args!("build on a system with glibc {limit} or older, such as Debian 12"),
                )
            })?;
            needs.glibc = needs.glibc.max(release);
        }
        needs.libraries.extend(elf.libraries);
    }
    for file in files {
        let name = name_of(file);
        // A library is asked for by the name without the last parts of its version.
        needs.libraries.retain(|library| name != *library && !name.starts_with(&format!("{library}.")));
    }
    Ok(needs)
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::{env, slice};

    use super::{LIMIT, Release, check};

    #[test]
    fn releases_are_ordered_as_numbers() {
        let release = |name| Release::of_version(name).expect("a release");
        assert!(release("2.2.5") < release("2.3") && release("2.9") < release("2.14"));
        assert!(release("2.36") <= LIMIT && release("ABI_DT_RELR") <= LIMIT && release("2.37") > LIMIT);
        for name in ["PRIVATE", "ABI_GNU2_TLS", "2", "2.x", ""] {
            assert_eq!(Release::of_version(name), None, "{name}");
        }
    }

    #[test]
    fn a_file_beyond_the_limit_is_named_with_a_symbol() {
        let program = env::current_exe().expect("the system tells");
        let needs = check(slice::from_ref(&program), Release(2, 99, 0)).expect("no release is that new");
        assert!(needs.glibc > Release(2, 2, 5), "{needs:?}");
        assert!(needs.libraries.contains("libc.so.6"), "{needs:?}");
        check(slice::from_ref(&program), needs.glibc).expect("the limit itself is kept");
        let error = check(slice::from_ref(&program), Release(2, 2, 5)).expect_err("the limit is too old").to_string();
        let name = program.file_name().expect("a program has a name").to_string_lossy();
        assert!(error.starts_with(&*name) && error.contains(" asks for GLIBC_2."), "{error}");
        assert!(!error.contains("the file itself"), "{error}");
    }
}
