//! A small in-memory Kubernetes API server with scripted scenarios, for `demo` and for tests.
//!
//! It speaks the real API over plain HTTP, keeps the real rules (one revision counter, managed fields, finalizers, watches with a bounded
//! history) and runs small controllers on a clock that its owner moves. It is a double, not a cluster: nothing runs in its pods, and
//! objects of built-in types are not checked field by field. Same seed, same clock, same requests: the same bytes.

mod clock;
mod cluster;
mod control;
mod convert;
mod custom;
mod defaults;
mod demo;
pub mod differential;
mod discovery;
mod fields;
mod http;
mod ids;
mod list;
mod logs;
mod managed;
mod openapi;
mod patch;
mod prepare;
mod remove;
mod render;
mod request;
mod resource;
mod scenario;
mod schema;
mod selector;
mod server;
mod status;
mod store;
mod structural;
mod subresource;
mod table;
mod time;
mod tree;
mod validate;
mod watch;
mod world;
mod write;

pub use clock::ScenarioClock;
pub use demo::{SHOP, shop};
pub use scenario::{LivePlayground, Player, Scenario, play_in_real_time};
pub use server::{Playground, PlaygroundError, PlaygroundOptions};
