//! Verbs, tables, progress bars, exit codes.
