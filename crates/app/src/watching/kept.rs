//! The state of the fold as it lies in the journal: compressed JSON.
//!
//! It is written through the compressor, so that the text of a large cluster's state never stands in memory as a whole.

use proreus_doctor::incidents::{KeptWatch, StateError};
use proreus_store::{squeeze, unsqueeze};

/// Largest state that is unpacked: what we write is smaller, and what is larger is damaged.
const UNPACKED_BYTES_LIMIT: u64 = 512 * 1024 * 1024;

/// The state as bytes; nothing when it cannot be written, which does not happen in memory.
pub(super) fn pack(kept: &KeptWatch<'_>) -> Option<Vec<u8>> {
    squeeze(|out| Ok(serde_json::to_writer(out, kept)?)).ok()
}

/// What `pack` wrote; also what earlier versions did, which was plain text.
pub(super) fn unpack(bytes: &[u8]) -> Result<KeptWatch<'static>, StateError> {
    if bytes.first() == Some(&b'{') {
        return KeptWatch::from_bytes(bytes);
    }
    let text = unsqueeze(bytes, UNPACKED_BYTES_LIMIT).map_err(|error| StateError::Unreadable(error.to_string()))?;
    KeptWatch::from_bytes(&text)
}

#[cfg(test)]
mod tests {
    use proreus_doctor::incidents::Watch;

    use super::*;

    #[test]
    fn a_state_comes_back_from_either_form_and_a_damaged_one_is_refused() {
        let watch = Watch::default();
        let kept = watch.keep();
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
