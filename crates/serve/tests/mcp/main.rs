//! `/mcp` in this process: both eras of the protocol, tools, resources, bounds, and what comes of bad input.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that does not hold")]

#[path = "../shop/mod.rs"]
mod shop;

mod agent;
mod bounds;
mod garbage;
mod reference;
mod resources;
mod tools;
