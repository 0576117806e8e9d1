//! REST and MCP over HTTP, MCP over standard input: hosting and conversion.
//!
//! Not here: logic. Each endpoint reads its parameters, asks one method of the application with the caller's access, and converts the
//! answer; the command line and the other interfaces reach the same methods. Invariant: everything a client can make us hold is bounded.

mod answer;
mod door;
mod failure;
mod front;
mod limits;
pub mod mcp;
mod metrics;
mod openapi;
mod parameters;
mod rest;
mod router;
mod server;
mod shared;

pub use router::{openapi, router};
pub use server::{BoundServer, ServeError, TlsFiles, run};
pub use shared::{Exposure, ServeOptions};
