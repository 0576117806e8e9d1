//! The REST API over an in-memory journal, asked in this process.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

#[path = "../shop/mod.rs"]
mod shop;

mod access;
mod audit;
mod broken;
mod changes;
mod document;
mod hosting;
mod journalled;
mod listening;
mod monitors;
mod objects;
mod stream;
