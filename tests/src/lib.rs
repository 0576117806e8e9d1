//! End-to-end tests on the real control plane, and what they share with the large runs of `cargo xtask`.
//!
//! [`judge`] holds what was recorded against what etcd saw. [`RecorderProcess`] runs the real binary, watches its durable watermark and
//! its memory, and kills it. [`chaos`] does so again and again while the cluster changes and breaks.
//!
//! Nothing here records anything, and nothing here is lenient in silence: whatever is excused is counted and printed.

pub mod chaos;
pub mod judge;
mod random;
pub mod reading;
mod recorder_process;
pub mod walk;

pub use recorder_process::{RecorderOptions, RecorderProcess, built_proreus};
