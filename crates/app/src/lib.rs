//! One method per use case; joins brains and hands.
//!
//! Not here: JSON, HTTP, terminals (`api`, `serve`, `cli`); decisions about clusters (`observe` and its siblings). Every interface reaches
//! the same method with the same access predicate.

pub mod access;
mod application;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod emission;
mod error;
mod kinds;
pub mod live;
pub mod manifests;
mod moment;
pub mod monitors;
pub mod playground;
pub mod pod_logs;
pub mod questions;
mod reading;
pub mod scenario;
pub mod service;
pub mod status;
pub mod storekeeping;
pub mod watching;

pub use application::{Application, Readiness, blocking};
pub use error::AppError;
pub use kinds::{KindQuery, resolve_kind};
pub use moment::{Moment, parse_moment};
pub use proreus_model::Clock;
pub use questions::Questions;
pub use reading::{application_over_files, open_reading};
