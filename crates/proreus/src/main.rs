//! The binary: parse, build, run; nothing else.

fn main() {}
