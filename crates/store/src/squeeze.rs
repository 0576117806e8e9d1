//! Large states of consumers, compressed on their way into memory and back.

use std::io::{self, BufWriter, Read as _, Write};

/// Level of compression: JSON gets ten times smaller in some tens of milliseconds.
const LEVEL: i32 = 3;

/// What `write` writes, compressed; the plain bytes never stand in memory as a whole.
///
/// # Errors
/// Those of `write`.
pub fn squeeze(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let mut encoder = BufWriter::new(zstd::Encoder::new(Vec::new(), LEVEL)?);
    write(&mut encoder)?;
    encoder.into_inner().map_err(io::IntoInnerError::into_error)?.finish()
}

/// What `squeeze` took in, at most `limit` bytes.
///
/// # Errors
/// Bytes that it did not write, or more than the limit.
pub fn unsqueeze(bytes: &[u8], limit: u64) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    zstd::Decoder::new(bytes)?.take(limit.saturating_add(1)).read_to_end(&mut plain)?;
    if plain.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {limit} bytes unpacked")));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_within_the_limit_only() {
        let plain = vec![7; 100_000];
        let squeezed = squeeze(|out| out.write_all(&plain)).expect("written");
        assert!(squeezed.len() < 1_000);
        assert_eq!(unsqueeze(&squeezed, 100_000).expect("read"), plain);
        assert!(unsqueeze(&squeezed, 99_999).is_err());
        assert!(unsqueeze(b"something else", 100).is_err());
        assert!(squeeze(|_| Err(io::ErrorKind::Other.into())).is_err());
    }
}
