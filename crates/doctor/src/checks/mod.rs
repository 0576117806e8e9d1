//! The checks, one file each. A file holds one definition and one function; what they share stands in `reading`.
//!
//! To add one: write its file, name it here and in `CHECKS`, and put a scenario with a fault and one with healthy noise under
//! `tests/scenarios/doctor/`.

mod image_pull;
mod reading;

use crate::check::Check;

/// Every check, in the order of the catalogue.
pub const CHECKS: &[&Check] = &[&image_pull::CHECK];

/// The check of that id.
pub fn by_id(id: &str) -> Option<&'static Check> {
    CHECKS.iter().copied().find(|check| check.id == id)
}
