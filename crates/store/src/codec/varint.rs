//! Variable-length integers as they stand in stored bytes: seven bits a byte, least significant first.
//!
//! Not a general serialiser: only what headers need. Invariant: `take` never panics and never reads past its input.

/// Longest form of a 64-bit value.
const LONGEST: usize = 10;

/// Appends `value`.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed value so that small magnitudes stay short.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, zigzag(value));
}

/// Takes a value off the front; `None` when the bytes end first or the value does not fit.
pub(crate) fn take(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for (index, byte) in input.iter().take(LONGEST).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index as u32;
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            *input = input.get(index + 1..)?;
            return Some(value);
        }
    }
    None
}

/// Takes a signed value off the front.
pub(crate) fn take_signed(input: &mut &[u8]) -> Option<i64> {
    take(input).map(unzigzag)
}

/// Takes `count` bytes off the front.
pub(crate) fn take_bytes<'a>(input: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = input.split_at_checked(count)?;
    *input = rest;
    Some(bytes)
}

/// Appends a text with its length.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Takes a text with its length off the front.
pub(crate) fn take_text<'a>(input: &mut &'a [u8]) -> Option<&'a str> {
    let count = usize::try_from(take(input)?).ok()?;
    std::str::from_utf8(take_bytes(input, count)?).ok()
}

pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_back_every_width() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                put(&mut bytes, value);
                put_signed(&mut bytes, value as i64);
                let mut rest = &bytes[..];
                assert_eq!(take(&mut rest), Some(value));
                assert_eq!(take_signed(&mut rest), Some(value as i64));
                assert!(rest.is_empty());
            }
        }
    }

    #[test]
    fn refuses_what_ends_early_or_is_too_long() {
        assert_eq!(take(&mut &[0x80][..]), None);
        assert_eq!(take(&mut &[0xff; 11][..]), None);
        assert_eq!(take_text(&mut &[5, b'a'][..]), None);
    }
}
