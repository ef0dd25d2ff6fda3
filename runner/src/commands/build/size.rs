/// A size in memory with its unit, such as `512MB` or `4GB`, in bytes: MB and GB are powers of ten.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let units = [("MB", 1_000_000), ("GB", 1_000_000_000)];
    let parsed = units.iter().find_map(|(unit, unit_bytes)| {
        let digits = text.strip_suffix(unit)?.trim_end();
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse::<u64>().ok()?.checked_mul(*unit_bytes)).flatten()
    });
    match parsed {
        Some(n_bytes) if n_bytes > 0 => Ok(n_bytes),
        _ => Err(format!("{text} is not a size; write a whole number and its unit, such as 512MB or 4GB")),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(parse("512MB"), Ok(512_000_000));
        assert_eq!(parse("4 GB"), Ok(4_000_000_000));
        for wrong in ["", "4", "GB", "0MB", "-1GB", "+1GB", "1.5GB", "4gb", "4GiB", "99999999999GB", "４GB"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
