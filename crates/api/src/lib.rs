//! The wire: what REST, SSE and the CLI's JSON say, as types. OpenAPI comes from them, and a client reads them back.
//!
//! Not here: hosting (`serve`), terminals (`cli`), any decision. Names are camelCase with the unit last; times are RFC 3339 in UTC with as
//! many digits as are needed; numbers of cluster objects keep their source text.

mod audit;
mod change;
mod doctor;
mod incident;
mod json;
mod mark;
mod monitor;
mod object;
mod problem;
mod status;

pub use audit::{AuditEvent, AuditObject, audit_event};
pub use change::{Change, ChangePage, FieldChange, FieldOp, Gap, Origin, Verb};
pub use doctor::{Check, CheckCounts, CheckMode, CheckPage, CheckThreshold, DoctorReport, SilencedFinding, UnsettledFinding};
pub use incident::{
    FindingOwner, Hidden, Incident, IncidentCause, IncidentFinding, IncidentPage, IncidentSeverity, IncidentState, OrHidden,
};
pub use json::{Json, read_json};
pub use mark::{Mark, MarkKind, MarkPage};
pub use monitor::{MonitorItem, MonitorLog, MonitorMetadata, MonitorPage, MonitorService, MonitorUpdate, RelatedObject};
pub use object::{Diff, ObjectAtTime, StatePage};
pub use problem::Problem;
pub use status::{
    Cluster, ClusterPage, Health, JournalReadiness, Liveness, Readiness, StoreSegment, StoreStats, WatchPage, WatchState, WatchStatus,
};
