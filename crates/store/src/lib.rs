//! The journal: codec, day files, queries.
