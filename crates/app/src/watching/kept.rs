//! The state of the fold as it lies in the journal: compressed JSON.
//!
//! It is written through the compressor, so that the text of a large cluster's state never stands in memory as a whole.

use std::io::{Read as _, Write};

use proreus_doctor::incidents::{KeptWatch, StateError};

/// Level of compression: ten times smaller in some tens of milliseconds.
const LEVEL: i32 = 3;
/// Largest state that is unpacked: what we write is smaller, and what is larger is damaged.
const UNPACKED_BYTES_LIMIT: u64 = 512 * 1024 * 1024;

/// The state as bytes; nothing when it cannot be written, which memory does not do.
pub(super) fn pack(kept: &KeptWatch) -> Option<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL).ok()?;
    serde_json::to_writer(std::io::BufWriter::new(&mut encoder), kept).ok()?;
    encoder.flush().ok()?;
    encoder.finish().ok()
}

/// What `pack` wrote; also what earlier versions did, which was plain text.
pub(super) fn unpack(bytes: &[u8]) -> Result<KeptWatch, StateError> {
    if bytes.first() == Some(&b'{') {
        return KeptWatch::from_bytes(bytes);
    }
    let unreadable = |error: std::io::Error| StateError::Unreadable(error.to_string());
    let mut text = Vec::new();
    zstd::Decoder::new(bytes).map_err(unreadable)?.take(UNPACKED_BYTES_LIMIT).read_to_end(&mut text).map_err(unreadable)?;
    KeptWatch::from_bytes(&text)
}

#[cfg(test)]
mod tests {
    use proreus_doctor::incidents::Watch;

    use super::*;

    #[test]
    fn a_state_comes_back_from_either_form_and_a_damaged_one_is_refused() {
        let kept = Watch::default().keep();
        let packed = pack(&kept).expect("packed");
        for bytes in [kept.to_bytes(), packed.clone()] {
            assert_eq!(unpack(&bytes).expect("read").to_bytes(), kept.to_bytes());
        }
        assert!(packed.len() < kept.to_bytes().len());
        for bytes in [&b""[..], b"{", b"no state", &packed[..packed.len() / 2]] {
            assert!(unpack(bytes).is_err());
        }
    }
}
