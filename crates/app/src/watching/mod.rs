//! The doctor that watches: follows the journal, keeps the incidents in it, and holds what is believed now for who asks.
//!
//! `follower` folds and says what is to be appended; `live` gives it the time and appends. Not here: what is wrong and what becomes of it
//! (`proreus-doctor`), telling others.

mod follower;
mod kept;
mod live;

pub use follower::{CONSUMER, Follower, KEEPER, Portion, Step, WatchSettings};
pub(crate) use follower::{fold_base, is_forgotten, recorded, replay};
pub use live::{Watching, WatchingBoard};
