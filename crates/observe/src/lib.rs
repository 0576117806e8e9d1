//! Records in, understanding out: field diffs and joins. Pure.
