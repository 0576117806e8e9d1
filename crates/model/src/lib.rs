//! The shared words of Proreus: ids, changes, marks, filters, cursors.
//!
//! Plain data with no behaviour beyond parsing and printing itself. No clock, no I/O, no policy: a type that decides something
//! belongs to the crate that decides it.

mod change;
mod clock;
mod cursor;
mod filter;
mod id;
mod mark;
mod record;

pub use change::{Change, FieldChange, FieldOp, Gap, Origin, Verb};
pub use clock::Clock;
pub use cursor::{Cursor, CursorError, JournalId};
pub use filter::{Access, AccessRule, Filter, Order, SeqRange};
pub use id::{ApiVersion, ClusterId, Group, Kind, Manager, Name, Namespace, ObjectId, Resource, ResourceType, ResourceVersion, Seq, Uid};
pub use mark::{Mark, MarkKind, WatchScope};
pub use record::{Record, Recorded};
