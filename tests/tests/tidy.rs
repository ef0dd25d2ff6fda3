//! Habits that no lint knows: sizes of files, words that do not belong, documents that must exist.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Past this a file holds more than one noun.
const MAX_LINES: usize = 600;

#[test]
fn files_hold_one_noun() {
    let mut wrong = Vec::new();
    for path in sources("rs") {
        let text = fs::read_to_string(&path).expect("a source file is readable");
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if ["utils", "util", "common", "helpers", "misc"].contains(&name) {
            wrong.push(format!("{}: says nothing about what it holds", path.display()));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("{}: {lines} lines, at most {MAX_LINES}", path.display()));
        }
        for mark in ["FIXME", concat!("TO", "DO"), "XXX"] {
            if text.contains(mark) && path.file_name() != Path::new("tidy.rs").file_name() {
                wrong.push(format!("{}: {mark}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn links_between_documents_hold() {
    let mut wrong = Vec::new();
    for path in sources("md") {
        let text = fs::read_to_string(&path).expect("a document is readable");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let local = !file.is_empty() && !file.contains("://");
            if local && !path.parent().is_some_and(|folder| folder.join(file).exists()) {
                wrong.push(format!("{}: no file {file}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sources(extension: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is inside the workspace");
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace is readable") {
            let path = entry.expect("an entry is readable").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') && !["target", "cache"].contains(&name) {
                folders.push(path);
            } else if path.extension().is_some_and(|other| other == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
