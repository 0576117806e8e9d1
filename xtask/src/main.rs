//! Chores of the repository, as `cargo xtask CHORE`: one module a chore.
//!
//! No chore's logic lives here; this file only names them.

mod tidy;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the repository")]
enum Chore {
    /// Prove that the repository keeps its own rules: the map, the edges between crates, lengths, names, purity, words and links.
    Tidy(tidy::Args),
}

fn main() -> anyhow::Result<()> {
    match Chore::parse() {
        Chore::Tidy(args) => tidy::run(&args),
    }
}
