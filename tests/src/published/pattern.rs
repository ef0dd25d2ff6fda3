/// Whether `text` reads as `pattern`, in which every `*` stands for any text.
pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let mut ends = text.char_indices().map(|(index, _)| index).chain([text.len()]);
            ends.any(|end| matches(rest, &text[end..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_they_read() {
        assert!(matches("*", "") && matches("a*", "a") && matches("a*c", "abc") && matches("*/x", "a/b/x"));
        assert!(matches("*/b/*", "a/b/c") && matches("*/b/*", "a/b/b/c") && matches("*ä*", "aäa"));
        assert!(!matches("a", "ab") && !matches("a*c", "ab") && !matches("ab*ba", "aba") && !matches("", "a"));
        assert!(!matches("*/b/*", "a/c/d") && !matches("*a*a", "a"));
    }
}
