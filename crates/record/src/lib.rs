//! Watches a cluster and appends its changes to the journal.
