//! Text in columns.

use std::fmt::Write as _;

/// Rows of text under titles.
pub(crate) struct Table {
    pub(crate) columns: &'static [&'static str],
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// Appends the table to `text`, with at most `n_shown` of its rows.
    pub(crate) fn write(&self, text: &mut String, n_shown: usize) {
        let shown = &self.rows[..self.rows.len().min(n_shown)];
        let header: Vec<String> = self.columns.iter().map(|&column| column.to_owned()).collect();
        let lines = || [&header].into_iter().chain(shown);
        let width = |column: usize| lines().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| width(column).unwrap_or(0)).collect();
        for row in lines() {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
            let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        if shown.len() < self.rows.len() {
            let _ = writeln!(text, "… {} more (--all shows them)", self.rows.len() - shown.len());
        }
    }
}
