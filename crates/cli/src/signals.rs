//! SIGTERM and Ctrl-C: the first ends in good order, a second one at once, and so does a good order that takes too long.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{EXIT_FAILED, Failure};

/// Time to end in good order after the first signal, as promised to whoever stops us. Kubernetes gives 30 s by default.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// Hears signals from its making on.
pub(crate) struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Takes over both signals.
    pub(crate) fn take() -> Result<Self, Failure> {
        let take =
            |kind| signal(kind).map_err(|source| Failure::File { step: "cannot hear signals".to_owned(), source, hint: String::new() });
        Ok(Self { term: take(SignalKind::terminate())?, int: take(SignalKind::interrupt())? })
    }

    /// Resolves at the next signal.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }

    /// Runs an orderly end; a second signal exits on the spot, and after `GRACE` it is given up.
    #[expect(clippy::disallowed_methods, reason = "a second signal means now: destructors would take the time that is refused")]
    pub(crate) async fn while_ending<T>(&mut self, end: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            ended = end => ended,
            () = tokio::time::sleep(GRACE) => Err(Failure::Slow),
            () = self.next() => std::process::exit(EXIT_FAILED.into()),
        }
    }
}
