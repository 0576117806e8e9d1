//! The demo scenario: a shop and its twelve minutes of trouble, embedded so that no file is needed.

use crate::scenario::Scenario;
use crate::server::PlaygroundError;

/// Text of the demo scenario.
pub const SHOP: &str = include_str!("../scenarios/shop.yaml");

/// The demo scenario, parsed.
pub fn shop() -> Result<Scenario, PlaygroundError> {
    Scenario::parse(SHOP)
}
