//! Verbs, tables, progress bars, exit codes.
//!
//! An interface: it parses what a person typed, asks the application or a server, and shows the answer. No question is answered here.
//! Invariants: stdout carries data and nothing else; `-o json` shows the wire types of `proreus_api` and no others; text of a cluster
//! never reaches a terminal uncleaned; a listing of any length needs the memory of a page.

mod failure;
mod flags;
mod hosting;
mod logging;
mod output;
mod progress;
mod reference;
mod run;
mod signals;
mod source;
mod surroundings;
mod terminal;
mod verbs;
mod view;
mod yaml;

pub use failure::{EXIT_DONE, EXIT_FAILED, EXIT_REFUSED};
pub use reference::reference;
pub use run::{main, run};
pub use surroundings::Surroundings;
