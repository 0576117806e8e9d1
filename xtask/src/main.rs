//! Chores of the repository, as `cargo xtask CHORE`: one module a chore.
//!
//! No chore's logic lives here; this file only names them.

mod bench_binaries;
mod bench_modules;
mod bench_up;
mod tidy;

use clap::Parser;

// Each chore is named as it is called, and the first ones all concern the bench.
#[allow(clippy::enum_variant_names)]
#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the repository")]
enum Chore {
    /// Build etcd, the Kubernetes programs and KWOK into the cache, unless they are there.
    BenchBinaries(bench_binaries::Args),
    /// Rewrite `tests/bench/*/go.mod` for the given or pinned versions.
    BenchModules(bench_modules::Args),
    /// Run the test bench by hand until Ctrl-C.
    BenchUp(bench_up::Args),
    /// Prove that the repository keeps its own rules: the map, the edges between crates, lengths, names, purity, words and links.
    Tidy(tidy::Args),
}

fn main() -> anyhow::Result<()> {
    match Chore::parse() {
        Chore::BenchBinaries(args) => bench_binaries::run(&args),
        Chore::BenchModules(args) => bench_modules::run(&args),
        Chore::BenchUp(args) => bench_up::run(&args),
        Chore::Tidy(args) => tidy::run(&args),
    }
}
