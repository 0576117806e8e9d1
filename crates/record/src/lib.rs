//! Watches a cluster and appends its changes to the journal.

mod connect;

pub use connect::{ClusterSource, ConnectError, Connection, connect};
