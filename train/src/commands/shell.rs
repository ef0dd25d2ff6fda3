//! Commands that a user can paste into a shell.

use std::fmt::Display;

/// A word as POSIX shells take it: as it stands where nothing in it is special to them, else in single quotes.
pub(super) fn quoted(word: &impl Display) -> String {
    let word = word.to_string();
    let is_plain = |symbol: char| symbol.is_ascii_alphanumeric() || "-_./:,=+@%".contains(symbol);
    if !word.is_empty() && word.chars().all(is_plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;
    use std::process::Command;

    #[test]
    fn a_shell_reads_what_was_meant() {
        for word in
            ["a/[rgb,cam]/b/*.npz", "shard-{000000..000001}.tar", "it's $HOME", "", "plain/a-b_c.tar", "~", "a\nb"]
        {
            let output = Command::new("sh").args(["-c", &format!("printf %s {}", quoted(&word))]).output();
            assert_eq!(output.expect("a shell").stdout, word.as_bytes());
        }
        assert_eq!(quoted(&"plain/a-b_c.tar"), "plain/a-b_c.tar");
    }
}
