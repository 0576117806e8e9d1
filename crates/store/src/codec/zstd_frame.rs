//! Compression of one body: zstd without its magic number, against nothing, a trained dictionary or another body as prefix.
//!
//! Which prefix to take is not decided here. Invariant: `unpack(pack(body))` with the same prefix gives the body, and no input makes
//! `unpack` allocate more than `LARGEST_BODY`.

use std::io;

use zstd::zstd_safe::{CCtx, CDict, CParameter, DCtx, DDict, DParameter, FrameFormat, get_error_name};

/// Above it a body is taken for damage. The API server refuses objects over 3 MB (etcd's limit is 1.5 MB); placeholders only shrink.
pub(crate) const LARGEST_BODY: usize = 64 << 20;

/// Level of bodies on the write path: what the recorder's churn needs ten times over, see the decision on the codec.
pub(crate) const LIVE_LEVEL: i32 = 3;

/// A trained dictionary, ready for both directions.
pub(crate) struct Dictionary {
    /// Number within its file, from 1.
    pub(crate) generation: u32,
    pub(crate) bytes: Vec<u8>,
    compress: CDict<'static>,
    decompress: DDict<'static>,
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dictionary({}, {} bytes)", self.generation, self.bytes.len())
    }
}

impl Dictionary {
    /// Prepares stored bytes; `None` when they are no dictionary.
    pub(crate) fn prepare(generation: u32, bytes: Vec<u8>) -> Option<Self> {
        let compress = CDict::try_create(&bytes, LIVE_LEVEL)?;
        let decompress = DDict::try_create(&bytes)?;
        Some(Self { generation, bytes, compress, decompress })
    }
}

/// What a body is coded against.
#[derive(Clone, Copy)]
pub(crate) enum Against<'a> {
    /// Nothing.
    Nothing,
    /// A dictionary.
    Dictionary(&'a Dictionary),
    /// Another body.
    Body(&'a [u8]),
}

/// Compresses one body.
pub(crate) fn pack(body: &[u8], against: Against<'_>, level: i32) -> io::Result<Vec<u8>> {
    // A context borrows its prefix for as long as it lives, so each frame has its own; measured, this costs less than the copy would.
    let mut context = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
    let set = [
        CParameter::CompressionLevel(level),
        CParameter::Format(FrameFormat::Magicless),
        CParameter::ContentSizeFlag(true),
        CParameter::ChecksumFlag(false),
        CParameter::DictIdFlag(false),
    ];
    for parameter in set {
        context.set_parameter(parameter).map_err(failed)?;
    }
    match against {
        Against::Nothing => {}
        Against::Dictionary(dictionary) => drop(context.ref_cdict(&dictionary.compress).map_err(failed)?),
        Against::Body(prefix) => drop(context.ref_prefix(prefix).map_err(failed)?),
    }
    let mut out = Vec::with_capacity(zstd::zstd_safe::compress_bound(body.len()));
    context.compress2(&mut out, body).map_err(failed)?;
    Ok(out)
}

/// Decompresses one frame.
pub(crate) fn unpack(frame: &[u8], against: Against<'_>) -> io::Result<Vec<u8>> {
    let size = content_size(frame).filter(|size| *size <= LARGEST_BODY as u64);
    let size = size.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "frame does not tell a possible length"))?;
    let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
    context.set_parameter(DParameter::Format(FrameFormat::Magicless)).map_err(failed)?;
    match against {
        Against::Nothing => {}
        Against::Dictionary(dictionary) => drop(context.ref_ddict(&dictionary.decompress).map_err(failed)?),
        Against::Body(prefix) => drop(context.ref_prefix(prefix).map_err(failed)?),
    }
    let mut out = Vec::with_capacity(size as usize);
    context.decompress(&mut out, frame).map_err(failed)?;
    Ok(out)
}

/// The length that a magicless frame tells of itself (RFC 8878, 3.1.1.1).
fn content_size(frame: &[u8]) -> Option<u64> {
    let (descriptor, rest) = frame.split_first()?;
    let single_segment = descriptor & 0x20 != 0;
    let dictionary_id = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let rest = rest.get(usize::from(!single_segment) + dictionary_id..)?;
    let bytes = |count: usize| {
        let field = rest.get(..count)?;
        Some(field.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte)))
    };
    match descriptor >> 6 {
        0 if single_segment => bytes(1),
        0 => None,
        1 => bytes(2).map(|value| value + 256),
        2 => bytes(4),
        _ => bytes(8),
    }
}

/// Trains a dictionary of at most `size` bytes from sample bodies; `None` when there is too little in them.
pub(crate) fn train<S: AsRef<[u8]>>(samples: &[S], size: usize) -> Option<Vec<u8>> {
    zstd::dict::from_samples(samples, size).ok()
}

fn failed(code: usize) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, get_error_name(code))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn gives_back_what_it_packed(body in prop::collection::vec(any::<u8>(), 0..5000), prefix in prop::collection::vec(any::<u8>(), 0..3000)) {
            let related = [&prefix[..], &body[..]].concat();
            for (body, against) in [(&body, Against::Nothing), (&related, Against::Body(&prefix))] {
                let frame = pack(body, against, LIVE_LEVEL).unwrap();
                prop_assert_eq!(&unpack(&frame, against).unwrap(), body);
            }
        }

        #[test]
        fn refuses_or_decodes_any_bytes_without_a_panic(frame in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(unpack(&frame, Against::Body(b"prefix")));
        }
    }
}
