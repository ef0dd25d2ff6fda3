use std::fmt::Write as _;

use serde_json::{Map, Value, json};

pub(super) use crate::{
    quantity::{bytes, count},
    table::Table,
};

/// How many rows of a table are shown unless all are asked for.
const SHOWN_ROWS: usize = 20;

/// What was found, for people and for programs.
pub(super) struct Report {
    /// What it is, in one line.
    pub(super) headline: String,
    /// Lines below it.
    pub(super) facts: Vec<String>,
    pub(super) tables: Vec<Table>,
    /// For programs; the first member says what it is.
    pub(super) json: Map<String, Value>,
    /// What is wrong with it, one line each.
    pub(super) problems: Vec<String>,
    /// How to mend any of the problems.
    pub(super) mend: &'static str,
}

impl Report {
    /// A report with nothing but a headline. `kind` is what programs read.
    pub(super) fn new(kind: &str, headline: String) -> Self {
        let json = Map::from_iter([("kind".to_owned(), json!(kind))]);
        Self { headline, facts: Vec::new(), tables: Vec::new(), json, problems: Vec::new(), mend: "make it again" }
    }

    /// Adds a member for programs.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.json.insert(name.to_owned(), value);
    }

    pub(super) fn to_json(&self) -> Value {
        let mut json = self.json.clone();
        json.insert("problems".to_owned(), json!(self.problems));
        Value::Object(json)
    }

    /// The headline, the facts, the tables; long tables are cut unless `all` is set.
    pub(super) fn to_text(&self, all: bool) -> String {
        let mut text = format!("{}\n", self.headline);
        for fact in &self.facts {
            let _ = writeln!(text, "{fact}");
        }
        for table in &self.tables {
            text.push('\n');
            table.write(&mut text, if all { usize::MAX } else { SHOWN_ROWS });
        }
        if !self.problems.is_empty() {
            text.push('\n');
        }
        for problem in &self.problems {
            let _ = writeln!(text, "problem: {problem}");
        }
        text
    }
}

/// The start of a digest, enough to tell files apart.
pub(super) fn short(digest: &impl ToString) -> String {
    digest.to_string().chars().take(12).collect()
}

/// A foreign name on one line, without control characters.
pub(super) fn plain(name: &str) -> String {
    name.escape_debug().to_string()
}
