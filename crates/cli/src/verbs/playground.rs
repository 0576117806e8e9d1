//! `playground`: the small Kubernetes API alone, with a story going on in it, until a signal.

use proreus_app::playground::{PlaygroundInputs, RunningPlayground, scenario};

use crate::failure::Failure;
use crate::flags::PlaygroundFlags;
use crate::run::Context;
use crate::signals::Signals;

/// What is logged when nothing is said.
const DEFAULT_LOG_LEVEL: &str = "info";

/// Runs the verb.
pub(crate) async fn run(flags: &PlaygroundFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    crate::logging::start(&flags.log, DEFAULT_LOG_LEVEL, context)?;
    if !(flags.speed.is_finite() && flags.speed > 0.0) {
        return Err(Failure::Usage {
            problem: format!("--speed is `{}`", flags.speed),
            hint: "give a number above 0, such as 10".to_owned(),
        });
    }
    let mut signals = Signals::take()?;
    let inputs = PlaygroundInputs { listen: flags.listen, speed: flags.speed, scenario: scenario(None, None)? };
    let mut playground = RunningPlayground::start(inputs).await?;
    if let Some(path) = &flags.kubeconfig {
        std::fs::write(path, playground.kubeconfig()).map_err(|source| Failure::File {
            step: format!("cannot write `{}`", path.display()),
            source,
            hint: "give --kubeconfig a path that can be written".to_owned(),
        })?;
        context.note(&format!("kubectl --kubeconfig {} get pods -A", path.display()));
    }
    context.note(&format!("kubectl --server {} get pods -A", playground.url()));
    context.note("playing until Ctrl-C");
    let ended = tokio::select! {
        played = playground.play() => played.map(drop).map_err(Failure::from),
        () = signals.next() => Ok(()),
    };
    signals
        .while_ending(async {
            playground.shutdown().await;
            Ok(())
        })
        .await?;
    ended
}
