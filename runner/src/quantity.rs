//! Numbers as people read them.

/// A size: `31.3 kB`.
pub(crate) fn bytes(n_bytes: u64) -> String {
    let size = n_bytes as f64;
    match n_bytes {
        0..1000 => format!("{n_bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", size / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", size / 1e6),
        _ => format!("{:.2} GB", size / 1e9),
    }
}

/// A number with what it counts.
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
