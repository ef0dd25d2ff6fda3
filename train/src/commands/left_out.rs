use crate::console;
use anyhow::ensure;
use egom2p_train::data::Damage;
use std::collections::BTreeSet;

/// How many damaged clips or files may be left out unless something else is said.
pub(super) const MAX_DAMAGED: usize = 100;

/// What cannot be used and is left out: each is told once, and counted.
pub(super) struct LeftOut {
    limit: usize,
    names: BTreeSet<String>,
}

impl LeftOut {
    /// Nothing yet, and at most so many.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, names: BTreeSet::new() }
    }

    /// Enters a clip. Fails past the limit.
    pub(super) fn clip(&mut self, name: &str, error: &anyhow::Error) -> anyhow::Result<()> {
        self.enter(name, &format!("{name}: {}", one_line(error)))
    }

    /// Enters a damaged file of tokens. Fails past the limit.
    pub(super) fn file(&mut self, damage: &Damage) -> anyhow::Result<()> {
        let text = damage.to_string();
        let what = text.lines().next().unwrap_or_default();
        self.enter(what, what)
    }

    /// How many different ones.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    fn enter(&mut self, name: &str, what: &str) -> anyhow::Result<()> {
        if self.names.contains(name) {
            return Ok(());
        }
        let n = self.limit;
        ensure!(
            self.names.len() < n,
            "more than {n} cannot be used, the last one {what}\nmend or remove them, or raise --max-damaged"
        );
        console::note(format_args!("left out: {what}"));
        self.names.insert(name.to_owned());
        Ok(())
    }
}

/// What happened, without how to mend it.
fn one_line(error: &anyhow::Error) -> String {
    let mut lines: Vec<String> = Vec::new();
    for cause in error.chain() {
        let line = cause.to_string().lines().next().unwrap_or_default().to_owned();
        if lines.last().is_none_or(|last| !last.contains(&line)) {
            lines.push(line);
        }
    }
    lines.join(": ")
}
