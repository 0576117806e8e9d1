//! Chores of the repository: tidy, bench binaries, chaos.
fn main() {}
