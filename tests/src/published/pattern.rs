/// Whether `text` reads as `pattern`, in which one `*` stands for any text.
pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_they_read() {
        assert!(matches("*", "") && matches("a*", "a") && matches("a*c", "abc") && matches("*/x", "a/b/x"));
        assert!(!matches("a", "ab") && !matches("a*c", "ab") && !matches("ab*ba", "aba") && !matches("", "a"));
    }
}
