//! Watches a cluster and appends its changes to the journal.
//!
//! The brains are pure: `json`, `cutter`, `envelope`, `redact`, `noise`, `known`, `watch_state`, `selection`, `discovery`, `log_words` take text and
//! give text, with no await, clock or client. The hands are few.

mod json;

mod cutter;
mod envelope;

mod authorship;

mod facts;
mod redact;
mod redaction_key;

mod noise;

mod known;

mod intake;

mod backoff;
mod watch_state;
mod watch_words;
mod worker;

mod discovery;
mod selection;
mod served;

mod board;
mod lag;
mod queue;
mod settings;
mod writer;

mod appender;

mod cluster_api;
mod event_writer;
mod identity;
mod ledger;
mod log_words;
mod pod_log;
mod scope_watch;

mod cluster;
mod recorder;
mod removed;

mod connect;
mod import;
mod look;
mod reviews;

mod error;

pub use appender::{APPEND_BYTES_LIMIT, APPEND_RECORDS_LIMIT, Appender};
pub use board::{Board, BoardSnapshot, ClusterStatus, WatchCounters, WatchStatus, WriterStatus};
pub use connect::{ClusterSource, ConnectError, Connection, connect};
pub use cutter::MAX_OBJECT_BYTES;
pub use error::RecordError;
pub use event_writer::{EventRefusal, EventWriter};
pub use import::{ImportOptions, ImportProgress, ImportReport, import_watch_jsonl};
pub use json::{JsonError, MAX_DEPTH};
pub use lag::LagHistogram;
pub use look::{Look, LookError, LookProgress, Looked, TypeName, look};
pub use noise::{NoisePath, NoisePathError, NoisePolicy, NoiseRule};
pub use pod_log::{LogFollower, LogQuestion, LogReader, LogRefusal, LogTail};
pub use recorder::{Recorder, RecorderHandle, RecorderInputs};
pub use redact::{RedactionSettings, Redactor};
pub use redaction_key::{KEY_BYTES, KeyOrigin, RedactionKey};
pub use reviews::{Deed, ReviewError, Reviewer, Subject};
pub use selection::{ExactType, Selection, TypePattern, TypePatternError};
pub use settings::RecorderSettings;
pub use watch_words::WatchCondition;
pub use worker::Worker;
