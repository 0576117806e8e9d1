//! The binary: parse, build, run; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    proreus_cli::main()
}
