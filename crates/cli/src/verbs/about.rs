//! `completions` and `version`.

use clap::CommandFactory;
use serde::Serialize;

use crate::failure::Failure;
use crate::flags::{CommandLine, CompletionsFlags, OutputFlags};
use crate::output::{Format, write_one};
use crate::run::Context;

/// The version as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: &'static str,
    target_os: &'static str,
    target_arch: &'static str,
}

/// Prints a completion script.
pub(crate) fn completions(flags: &CompletionsFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut CommandLine::command(), "proreus", &mut script);
    Ok(context.around.stdout.write_all(&script)?)
}

/// Prints the version.
pub(crate) fn version(flags: &OutputFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let version = Version { version: env!("CARGO_PKG_VERSION"), target_os: std::env::consts::OS, target_arch: std::env::consts::ARCH };
    match flags.output.unwrap_or_default() {
        Format::Table => Ok(writeln!(context.around.stdout, "proreus {}", version.version)?),
        format => Ok(write_one(context.around.stdout, format, &version)?),
    }
}
