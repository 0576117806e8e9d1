//! Compression of one body: zstd without its magic number, against nothing, a trained dictionary or another body as prefix.
//!
//! Which prefix to take is not decided here. Invariant: `unpack(pack(body))` with the same prefix gives the body, and no input makes
//! `unpack` allocate more than `LARGEST_BODY`.

use std::cell::RefCell;
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

/// Compresses bodies. A context is some hundred kilobytes that cost more to make than a body costs to compress, so it is kept.
pub(crate) struct Packer(CCtx<'static>);

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Packer")
    }
}

/// The magic number that zstd puts before a frame, and that no stored frame has.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

impl Packer {
    pub(crate) fn new() -> Self {
        Self(CCtx::create())
    }

    /// One frame.
    pub(crate) fn pack(&mut self, body: &[u8], against: Against<'_>) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(zstd::zstd_safe::compress_bound(body.len()));
        match against {
            Against::Nothing => self.0.compress(&mut out, body, LIVE_LEVEL).map_err(failed)?,
            // Bytes that happen to begin like a trained dictionary would be read as one, and refused.
            Against::Body(prefix) if prefix.starts_with(&DICTIONARY_MAGIC) => self.0.compress(&mut out, body, LIVE_LEVEL).map_err(failed)?,
            Against::Body(prefix) => self.0.compress_using_dict(&mut out, body, prefix, LIVE_LEVEL).map_err(failed)?,
            // Few bodies take this way: a context of their own spares them the number of the dictionary in each frame.
            Against::Dictionary(dictionary) => return pack_with(body, dictionary),
        };
        if !out.starts_with(&MAGIC) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "zstd wrote a frame of another format"));
        }
        out.drain(..MAGIC.len());
        Ok(out)
    }
}

/// First bytes of a trained dictionary.
const DICTIONARY_MAGIC: [u8; 4] = [0x37, 0xa4, 0x30, 0xec];

fn pack_with(body: &[u8], dictionary: &Dictionary) -> io::Result<Vec<u8>> {
    let mut context = CCtx::create();
    let set = [
        CParameter::Format(FrameFormat::Magicless),
        CParameter::ContentSizeFlag(true),
        CParameter::ChecksumFlag(false),
        CParameter::DictIdFlag(false),
    ];
    for parameter in set {
        context.set_parameter(parameter).map_err(failed)?;
    }
    context.ref_cdict(&dictionary.compress).map_err(failed)?;
    let mut out = Vec::with_capacity(zstd::zstd_safe::compress_bound(body.len()));
    context.compress2(&mut out, body).map_err(failed)?;
    Ok(out)
}

thread_local! {
    /// Kept for the same reason as a `Packer`, but readers come on many threads and often for one body.
    static UNPACKER: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

/// Decompresses one frame.
pub(crate) fn unpack(frame: &[u8], against: Against<'_>) -> io::Result<Vec<u8>> {
    let size = content_size(frame).filter(|size| *size <= LARGEST_BODY as u64);
    let size = size.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "frame does not tell a possible length"))?;
    let mut out = Vec::with_capacity(size as usize);
    UNPACKER.with_borrow_mut(|kept| {
        let context = match kept {
            Some(context) => context,
            None => {
                let mut fresh = DCtx::create();
                fresh.set_parameter(DParameter::Format(FrameFormat::Magicless)).map_err(failed)?;
                kept.insert(fresh)
            }
        };
        let unpacked = match against {
            Against::Nothing => context.decompress(&mut out, frame),
            Against::Body(prefix) if prefix.starts_with(&DICTIONARY_MAGIC) => context.decompress(&mut out, frame),
            Against::Body(prefix) => context.decompress_using_dict(&mut out, frame, prefix),
            Against::Dictionary(dictionary) => context.decompress_using_ddict(&mut out, frame, &dictionary.decompress),
        };
        unpacked.map_err(failed)
    })?;
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
                let frame = Packer::new().pack(body, against).unwrap();
                prop_assert_eq!(&unpack(&frame, against).unwrap(), body);
            }
        }

        #[test]
        fn refuses_or_decodes_any_bytes_without_a_panic(frame in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(unpack(&frame, Against::Body(b"prefix")));
        }
    }
}
