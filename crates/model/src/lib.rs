//! The shared words: ids, changes, marks. No behaviour.
