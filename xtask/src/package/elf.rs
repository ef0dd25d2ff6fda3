//! What a program or shared library asks of other libraries, read from the file without loading it.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::console::failure;

/// Kinds of sections, as the ELF specification and GNU's extension number them.
const SHT_DYNAMIC: u32 = 6;
const SHT_DYNSYM: u32 = 11;
const SHT_GNU_VERNEED: u32 = 0x6fff_fffe;
const SHT_GNU_VERSYM: u32 = 0x6fff_ffff;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const SECTION_BYTES: usize = 64;
const SYMBOL_BYTES: usize = 24;
/// The bit of a symbol's version index that hides it from the linker.
const HIDDEN: u16 = 0x8000;

/// What a 64-bit little-endian ELF file asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Elf {
    /// The libraries that it names (`DT_NEEDED`).
    pub(super) libraries: Vec<String>,
    /// The versions of symbols that it asks of them.
    pub(super) versions: Vec<Version>,
}

/// A version of symbols.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// The version, such as `GLIBC_2.34`.
    pub(super) name: String,
    /// A symbol that is asked for in this version.
    pub(super) symbol: Option<String>,
}

impl Elf {
    /// Reads a file; `None` if it is no ELF file.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = fs::read(path)
            .with_context(|| format!("{} cannot be read\ncheck that it exists and its permissions", path.display()))?;
        if !bytes.starts_with(b"\x7fELF") {
            return Ok(None);
        }
        Self::parse(&bytes).map(Some).ok_or_else(|| {
            failure(
                format_args!("{} is no whole 64-bit ELF file with section headers", path.display()),
                "build or fetch it again, and do not strip its section headers",
            )
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let sections = sections(bytes)?;
        let mut elf = Self { libraries: Vec::new(), versions: Vec::new() };
        for section in &sections {
            let content = section.content(bytes)?;
            let strings = || sections.get(section.link)?.content(bytes);
            match section.kind {
                SHT_DYNAMIC => elf.libraries.append(&mut libraries(content, strings()?)?),
                SHT_GNU_VERNEED => {
                    let symbols = Symbols::find(bytes, &sections)?;
                    elf.versions.append(&mut versions(content, section.n_entries, strings()?, &symbols)?);
                }
                _ => {}
            }
        }
        Some(elf)
    }
}

#[derive(Clone, Copy)]
struct Section {
    kind: u32,
    offset: usize,
    n_bytes: usize,
    /// The section that holds its names.
    link: usize,
    n_entries: usize,
}

impl Section {
    fn content<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        const SHT_NULL: u32 = 0;
        const SHT_NOBITS: u32 = 8;
        if [SHT_NULL, SHT_NOBITS].contains(&self.kind) {
            return Some(&[]);
        }
        bytes.get(self.offset..self.offset.checked_add(self.n_bytes)?)
    }
}

/// The dynamic symbols with the index of the version of each.
struct Symbols<'a> {
    table: &'a [u8],
    names: &'a [u8],
    versions: &'a [u8],
}

impl<'a> Symbols<'a> {
    fn find(bytes: &'a [u8], sections: &[Section]) -> Option<Self> {
        let of_kind = |kind| sections.iter().find(|section| section.kind == kind);
        let table = of_kind(SHT_DYNSYM)?;
        Some(Self {
            table: table.content(bytes)?,
            names: sections.get(table.link)?.content(bytes)?,
            versions: of_kind(SHT_GNU_VERSYM)?.content(bytes)?,
        })
    }

    /// The first symbol of a version.
    fn of_version(&self, version: u16) -> Option<String> {
        let mut indices = self.versions.chunks_exact(2).map(|index| u16::from_le_bytes([index[0], index[1]]));
        let at = indices.position(|index| index & !HIDDEN == version)?;
        text_at(self.names, u32_at(self.table, at.checked_mul(SYMBOL_BYTES)?)?)
    }
}

fn sections(bytes: &[u8]) -> Option<Vec<Section>> {
    let is_64_bit_little_endian = bytes.get(4..6)? == [2, 1];
    let entry_bytes = usize::from(u16_at(bytes, 58)?);
    let n_sections = usize::from(u16_at(bytes, 60)?);
    if !is_64_bit_little_endian || entry_bytes != SECTION_BYTES || n_sections == 0 {
        return None;
    }
    let begin = usize::try_from(u64_at(bytes, 40)?).ok()?;
    let table = bytes.get(begin..begin.checked_add(n_sections * entry_bytes)?)?;
    table
        .chunks_exact(entry_bytes)
        .map(|entry| {
            Some(Section {
                kind: u32_at(entry, 4)?,
                offset: usize::try_from(u64_at(entry, 24)?).ok()?,
                n_bytes: usize::try_from(u64_at(entry, 32)?).ok()?,
                link: u32_at(entry, 40)? as usize,
                n_entries: u32_at(entry, 44)? as usize,
            })
        })
        .collect()
}

fn libraries(dynamic: &[u8], strings: &[u8]) -> Option<Vec<String>> {
    let entries = dynamic.chunks_exact(16).map(|entry| Some((u64_at(entry, 0)?, u64_at(entry, 8)?)));
    entries
        .take_while(|entry| entry.is_none_or(|(tag, _)| tag != DT_NULL))
        .filter(|entry| entry.is_none_or(|(tag, _)| tag == DT_NEEDED))
        .map(|entry| text_at(strings, u32::try_from(entry?.1).ok()?))
        .collect()
}

/// The versions of all libraries. A library's entry is followed by its versions; both are chained by distances.
fn versions(content: &[u8], n_libraries: usize, strings: &[u8], symbols: &Symbols<'_>) -> Option<Vec<Version>> {
    let mut found = Vec::new();
    let mut library = 0;
    for n_libraries_left in (0..n_libraries).rev() {
        let mut version = forward(library, u32_at(content, forward(library, 8)?)?)?;
        for n_versions_left in (0..u16_at(content, forward(library, 2)?)?).rev() {
            let name = text_at(strings, u32_at(content, forward(version, 8)?)?)?;
            let index = u16_at(content, forward(version, 6)?)?;
            found.push(Version { name, symbol: symbols.of_version(index & !HIDDEN) });
            version = next(content, version, n_versions_left > 0)?;
        }
        library = next(content, library, n_libraries_left > 0)?;
    }
    Some(found)
}

/// The entry after one of a chain. A distance of zero ends the chain, which would have no end if it came earlier.
fn next(content: &[u8], entry: usize, is_chained: bool) -> Option<usize> {
    let distance = u32_at(content, forward(entry, 12)?)?;
    if is_chained && distance == 0 { None } else { forward(entry, distance) }
}

fn forward(from: usize, distance: u32) -> Option<usize> {
    from.checked_add(distance as usize)
}

fn text_at(strings: &[u8], at: u32) -> Option<String> {
    let rest = strings.get(at as usize..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, env, fs, process::Command};

    use super::Elf;
    use crate::{console::say, process};

    #[test]
    fn versions_and_libraries_are_those_that_readelf_prints() {
        let program = env::current_exe().expect("the system tells");
        let Ok(printed) = process::output(Command::new("readelf").args(["--wide", "-d", "-V"]).arg(&program)) else {
            say("skipped: readelf is not installed");
            return;
        };
        let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
        let libraries: Vec<_> = printed
            .lines()
            .filter_map(|line| line.contains("(NEEDED)").then(|| line.split(['[', ']']).nth(1))?)
            .map(str::to_owned)
            .collect();
        let versions: BTreeSet<_> = printed
            .lines()
            .filter_map(|line| line.split("Name: ").nth(1)?.split_whitespace().next())
            .map(str::to_owned)
            .collect();
        let elf = Elf::read(&program).expect("the program is readable").expect("a program is an ELF file");
        assert_eq!(elf.libraries, libraries);
        assert!(versions.iter().any(|version| version.starts_with("GLIBC_2.")), "{printed}");
        assert_eq!(elf.versions.iter().map(|version| version.name.clone()).collect::<BTreeSet<_>>(), versions);
        assert!(elf.versions.iter().all(|version| version.symbol.is_some()), "{elf:?}");
    }

    #[test]
    fn damaged_files_do_no_harm() {
        let whole = fs::read("/bin/true").expect("every Linux has it");
        let elf = Elf::parse(&whole).expect("it is a program");
        let mut n_noticed = 0;
        let headers = usize::try_from(super::u64_at(&whole, 40).expect("it is long")).expect("a short file");
        for at in (0..4096).chain(headers..whole.len()) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            n_noticed += usize::from(Elf::parse(&damaged).as_ref() != Some(&elf));
        }
        assert!(n_noticed > 16, "{n_noticed}");
        for n_bytes in (0..whole.len()).step_by(97) {
            assert_eq!(Elf::parse(&whole[..n_bytes]), None);
        }
    }

    #[test]
    fn texts_are_no_elf_files() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("text");
        fs::write(&path, "text").expect("the folder is writable");
        assert_eq!(Elf::read(&path).expect("the file is readable"), None);
        fs::write(&path, b"\x7fELF\x02\x01").expect("the folder is writable");
        let error = Elf::read(&path).expect_err("the file is too short");
        assert_eq!(error.to_string().lines().count(), 2, "{error}");
    }
}
