//! What commands print, as text that is the same on every machine.

use std::{fmt::Write as _, process::Output};

use crate::bench::Bench;

/// Commands and what they printed, one after another.
pub(crate) struct Transcript<'a> {
    bench: &'a Bench,
    text: String,
}

impl<'a> Transcript<'a> {
    pub(crate) fn new(bench: &'a Bench) -> Self {
        Self { bench, text: String::new() }
    }

    /// Runs a command that succeeds.
    pub(crate) fn succeeds(&mut self, line: &str) {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs a command that fails: with one line what and one line how to mend it, and nothing left behind.
    pub(crate) fn fails(&mut self, line: &str) {
        let before = self.bench.files();
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(1), "{line}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = stderr.lines().collect();
        let [.., what, mend] = lines[..] else { panic!("{line}: {stderr}") };
        assert!(what.starts_with("error: "), "{line}: {stderr}");
        assert!(mend.starts_with("  help: "), "{line}: {stderr}");
        assert!(!stderr.contains("panicked"), "{line}: {stderr}");
        assert_eq!(self.bench.files(), before, "{line} left something behind");
    }

    /// Runs a command that is typed wrongly.
    pub(crate) fn misused(&mut self, line: &str) {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(2), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn text(self) -> String {
        self.text
    }

    /// The text with sizes, long numbers and digests left out, which change with every exported graph, and with columns
    /// apart by one space.
    pub(crate) fn text_without_sizes(self) -> String {
        let lines = self.text.lines().map(|line| {
            let indent = line.len() - line.trim_start().len();
            let words: Vec<&str> = line.split_whitespace().collect();
            let is_unit = |at: usize| words.get(at).is_some_and(|word| ["B", "kB", "MB"].contains(&bare(word)));
            let plain = words.iter().enumerate().filter_map(|(at, word)| {
                let number = bare(word).parse::<f64>().is_ok();
                if is_unit(at) {
                    None
                } else if number && is_unit(at + 1) {
                    Some(word.replace(bare(word), "SIZE"))
                } else if is_digest(bare(word)) {
                    Some(word.replace(bare(word), "DIGEST"))
                } else if number && (bare(word).len() > 4 || at > 0 && words[at - 1] == "column") {
                    Some(word.replace(bare(word), "NUMBER"))
                } else {
                    Some((*word).to_owned())
                }
            });
            format!("{}{}", &line[..indent], plain.collect::<Vec<_>>().join(" "))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn run(&mut self, line: &str) -> Output {
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = self.bench.run(&arguments);
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let status = output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string());
        let printed = self.plain(&format!("{stdout}{stderr}"));
        let _ = writeln!(self.text, "$ egom2p {line}\n{printed}[{status}]\n");
        output
    }

    /// Without the folder's name and without times.
    fn plain(&self, text: &str) -> String {
        let folder = self.bench.folder().canonicalize().expect("the folder is there");
        let text = text.replace(&format!("{}/", folder.display()), "");
        let lines = text.lines().map(|line| {
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            for at in 1..words.len() {
                if bare(&words[at]) == "s" && bare(&words[at - 1]).parse::<f64>().is_ok() {
                    words[at - 1] = words[at - 1].replace(bare(&words[at - 1].clone()), "N");
                }
            }
            format!("{}\n", words.join(" "))
        });
        lines.collect()
    }
}

/// A word without the punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(['(', ')', ',', ';', ':'])
}

/// Whether a word is a digest or the start of one.
fn is_digest(word: &str) -> bool {
    word.len() >= 12 && word.chars().all(|letter| letter.is_ascii_digit() || ('a'..='f').contains(&letter))
}
