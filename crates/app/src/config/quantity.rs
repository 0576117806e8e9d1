//! Byte quantities as Kubernetes writes them.

/// Reads `1073741824`, `1Gi`, `500M`: a whole number and at most one suffix of the decimal or binary kind, up to `P`/`Pi`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let factor: u64 = match suffix {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "P" => 1_000_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "Pi" => 1 << 50,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_binary_and_decimal_quantities() {
        assert_eq!(parse_bytes("42"), Some(42));
        assert_eq!(parse_bytes("20Gi"), Some(20 << 30));
        assert_eq!(parse_bytes("500M"), Some(500_000_000));
    }

    #[test]
    fn refuses_what_it_would_have_to_guess() {
        for text in ["", "Gi", "1.5Gi", "-1", "1 Gi", "1gb", "99999999Pi"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
