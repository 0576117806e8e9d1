//! Chores of the repository, as `cargo xtask CHORE`: one module a chore.
//!
//! No chore's logic lives here; this file only names them.

mod bench;
mod bench_binaries;
mod bench_modules;
mod bench_up;
mod chaos;
mod listen;
mod load;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the repository")]
enum Chore {
    /// Measure the journal and a recording process, each figure beside a baseline of the same run.
    Bench(Box<bench::Args>),
    /// Build etcd, the Kubernetes programs and KWOK into the cache, unless they are there.
    BenchBinaries(bench_binaries::Args),
    /// Rewrite `tests/bench/*/go.mod` for the given or pinned versions.
    BenchModules(bench_modules::Args),
    /// Run the test bench by hand until Ctrl-C.
    BenchUp(bench_up::Args),
    /// Break a recorded cluster in rounds and hold the journal against etcd.
    Chaos(chaos::Args),
    /// Follow fifty monitors with a thousand listeners and hold them against the log and a raw watch.
    Listen(listen::Args),
    /// Record a large cluster at work, measure it and hold the journal against etcd.
    Load(load::Args),
    /// Prove that the repository keeps its own rules: the map, the edges between crates, lengths, names, purity, words and links.
    Tidy(tidy::Args),
}

fn main() -> ExitCode {
    match run(&Chore::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(chore: &Chore) -> anyhow::Result<()> {
    match chore {
        Chore::Bench(args) => bench::run(args),
        Chore::BenchBinaries(args) => bench_binaries::run(args),
        Chore::BenchModules(args) => bench_modules::run(args),
        Chore::BenchUp(args) => bench_up::run(args),
        Chore::Chaos(args) => chaos::run(args),
        Chore::Listen(args) => listen::run(args),
        Chore::Load(args) => load::run(args),
        Chore::Tidy(args) => tidy::run(args),
    }
}

/// On one line and without a backtrace: what is missing here is a program, not a fix of this one.
#[allow(clippy::print_stderr)]
fn complain(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
