//! What a person sees: colours, widths, columns, times. Nothing here knows a verb or a journal.
//!
//! Invariant: text that comes from a cluster passes through `fit::clean` before it reaches a terminal, so that an object's name or
//! message can never move the cursor or change colours.

pub(crate) mod columns;
pub(crate) mod fit;
pub(crate) mod paint;
pub(crate) mod times;
