/// Text from a foreign file as it may stand in an error line: control characters escaped, at most 120 characters.
pub(super) fn quoted(text: &str) -> String {
    const LIMIT: usize = 120;
    let mut shown: String = text.chars().take(LIMIT).flat_map(char::escape_debug).collect();
    if text.chars().nth(LIMIT).is_some() {
        shown.push('…');
    }
    shown
}

/// Up to four names, then how many there are beyond.
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    const LIMIT: usize = 4;
    let mut shown: Vec<String> = names.iter().take(LIMIT).map(|name| quoted(name.as_ref())).collect();
    if names.len() > LIMIT {
        shown.push(format!("and {} more", names.len() - LIMIT));
    }
    shown.join(", ")
}
