//! Sizes as Mesos writes them, `64MB`, and as people are told them.

/// Parses a size: a whole number with B, KB, MB, GB or TB, which are powers of 1024.
///
/// # Errors
/// What is wrong with it.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "B" => 0,
        "KB" => 10,
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        _ => return Err(format!("`{text}` is no size; it needs a unit, as in 64MB")),
    };
    let number = number.parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("`{text}` is no size, or too large"))
}

/// Millions of bytes, of which tenths are shown.
#[expect(clippy::cast_precision_loss, reason = "tenths are shown")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_bytes("64MB"), Ok(64 << 20));
        assert_eq!(parse_bytes("0B"), Ok(0));
        assert_eq!(parse_bytes("3TB"), Ok(3 << 40));
        for text in ["64", "MB", "-1MB", "1.5GB", "64mb", "99999999999TB", ""] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
