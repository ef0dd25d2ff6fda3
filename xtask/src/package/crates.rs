//! The Rust crates inside of a program, with their licences.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
    path::Path,
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{console::failure, process, workspace::Workspace};

/// What the names of licence files begin with.
const LICENCE_FILES: [&str; 5] = ["license", "licence", "copying", "notice", "copyright"];

/// A text that names every crate in the programs with version, licence and origin, and holds their licence files.
pub(super) fn licences(workspace: &Workspace, programs: &[&str], features: &[&str]) -> Result<String> {
    let mut cargo = workspace.cargo(&["metadata", "--format-version", "1", "--locked", "--filter-platform"]);
    cargo.arg(format!("{}-unknown-linux-gnu", env::consts::ARCH)).args(features);
    let output = process::output(&mut cargo)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
        return Err(failure(format_args!("cargo metadata failed: {said}"), "run \"cargo metadata\" to see all of it"));
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON\nupdate cargo")?;
    let packages: BTreeMap<_, _> = list(&metadata["packages"]).map(|package| (text(&package["id"]), package)).collect();
    let mut inside: Vec<_> =
        linked(&metadata, &packages, programs).into_iter().filter_map(|id| packages.get(id)).collect();
    inside.sort_by_key(|package| (text(&package["name"]), text(&package["version"])));

    let mut table = String::from("The Rust crates in this package, and what each says of its licence.\n");
    table += "Rust's standard library is under MIT OR Apache-2.0 (https://github.com/rust-lang/rust).\n\n";
    let mut texts = String::new();
    for package in inside {
        let [name, version, licence, origin] =
            ["name", "version", "license", "repository"].map(|key| text(&package[key]));
        // Writing to a text cannot fail.
        let _ = writeln!(table, "{name} {version}: {licence}{}{origin}", if origin.is_empty() { "" } else { ", " });
        if package["source"].is_string() {
            for (file, content) in licence_files(Path::new(text(&package["manifest_path"])))? {
                let _ = writeln!(texts, "\n==== {name} {version}: {file} ====\n\n{}", content.trim_end());
            }
        }
    }
    Ok(table + &texts)
}

/// The packages that are compiled into the programs: what only builds or tests them is not inside.
fn linked<'a>(metadata: &'a Value, packages: &BTreeMap<&str, &'a Value>, programs: &[&str]) -> BTreeSet<&'a str> {
    let nodes: BTreeMap<_, _> = list(&metadata["resolve"]["nodes"]).map(|node| (text(&node["id"]), node)).collect();
    let mut open: Vec<&str> = packages
        .values()
        .filter(|package| package["source"].is_null() && programs.contains(&text(&package["name"])))
        .map(|package| text(&package["id"]))
        .collect();
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        if found.insert(id)
            && let Some(node) = nodes.get(id)
        {
            let is_linked = |dependency: &&Value| list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null());
            open.extend(list(&node["deps"]).filter(is_linked).map(|dependency| text(&dependency["pkg"])));
        }
    }
    found
}

fn licence_files(crate_manifest: &Path) -> Result<Vec<(String, String)>> {
    let folder = crate_manifest.parent().unwrap_or(crate_manifest);
    let unreadable = || format!("{} cannot be read\nrun \"cargo fetch\"", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let lower = name.to_ascii_lowercase();
        if LICENCE_FILES.iter().any(|begin| lower.starts_with(begin)) && entry.path().is_file() {
            let content = fs::read(entry.path()).with_context(unreadable)?;
            found.push((name, String::from_utf8_lossy(&content).into_owned()));
        }
    }
    found.sort();
    Ok(found)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::licences;
    use crate::workspace::Workspace;

    #[test]
    fn what_is_linked_is_named_and_what_only_tests_is_not() {
        let workspace = Workspace::find().expect("tests run in the workspace");
        let text = licences(&workspace, &["egom2p"], &[]).expect("cargo runs");
        let (table, texts) = text.split_once("====").expect("crates have licence files");
        for name in ["egom2p ", "ort ", "clap ", "safetensors "] {
            assert!(table.lines().any(|line| line.starts_with(name)), "{name}: {table}");
        }
        for name in ["opencv ", "insta ", "criterion ", "xtask "] {
            assert!(!table.lines().any(|line| line.starts_with(name)), "{name}: {table}");
        }
        assert!(table.lines().filter(|line| line.contains(": ")).all(|line| !line.contains(": ,")), "{table}");
        assert!(texts.contains("Permission is hereby granted"));
    }
}
