//! Telling others of incidents, as a part of the service: a lane for each endpoint, over the records of incidents.
//!
//! Joins the deciding code (`proreus_doctor::emission`) with the hands that send. Not here: deciding what is told, opening incidents. Every
//! lane has a position of its own in the journal, a queue of its own and a task of its own, so that an endpoint that hangs holds up nobody.
//! Invariant: nothing here is waited for by recording, and a lane's position moves only with what is delivered, given up or kept as waiting.

mod board;
mod courier;
mod feed;
mod lane;
mod supervisor;

pub use board::{EmissionBoard, EndpointFigures};
pub use lane::Keep;
pub use supervisor::{Emission, EmissionInputs};
