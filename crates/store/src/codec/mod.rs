//! The bytes of one change: header, body without what the header knows, compression.
//!
//! Pure functions of bytes: no file, no table, no choice of what to code against. `FORMAT.md` describes what stands here.

pub(crate) mod body;
pub(crate) mod header;
pub(crate) mod varint;
pub(crate) mod zstd_frame;
