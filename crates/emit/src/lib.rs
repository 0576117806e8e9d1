//! Sends to other systems over HTTP: one request, one outcome.
//!
//! Hands: async, may fail. Not here: what is sent, to whom, and when to try again; Kubernetes (its client lives in `record`). Invariants: every
//! wait has a limit; no redirect is followed, so that a secret goes only where the configuration says; a secret cannot be printed.

mod answer;
mod secret;
mod sender;
mod signature;
mod target;

pub use answer::Answer;
pub use secret::{Secret, SecretError, SecretFile};
pub use sender::{Post, Sender};
pub use target::{Address, Target, TargetError, checked_url};
