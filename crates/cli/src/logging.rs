//! Logs of the verbs that run for long: on stderr, for people or as JSON lines.

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::flags::{LogFlags, LogFormat};
use crate::run::Context;

/// The client logs each failed request as an error of its own; the recorder tells the same once, with what it does about it.
const TOLD_BY_US: &str = "kube_client::client::builder=off";

/// Starts logging by flags, then environment, then `level`. A second start in one process changes nothing.
pub(crate) fn start(flags: &LogFlags, level: &str, context: &Context<'_, '_>) -> Result<(), Failure> {
    let env = |name: &str| (context.around.env)(name).filter(|value| !value.is_empty());
    let wanted = flags.log_level.clone().or_else(|| env("PROREUS_LOG_LEVEL")).unwrap_or_else(|| level.to_owned());
    let filter: EnvFilter = format!("{TOLD_BY_US},{wanted}")
        .parse()
        .map_err(|_| usage(format!("`{wanted}` is no log level"), "write error, warn, info, debug, trace, or info,proreus_record=debug"))?;
    let format = match (flags.log_format, env("PROREUS_LOG_FORMAT").as_deref()) {
        (Some(format), _) => format,
        (None, Some("json")) => LogFormat::Json,
        (None, Some("text") | None) => LogFormat::Text,
        (None, Some(other)) => return Err(usage(format!("PROREUS_LOG_FORMAT is `{other}`"), "write text or json")),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_ansi(context.paint_stderr().is_on()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // Only a test in our own process can have started it before us.
    drop(started);
    Ok(())
}

fn usage(problem: String, hint: &str) -> Failure {
    Failure::Usage { problem, hint: hint.to_owned() }
}
