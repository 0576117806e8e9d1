//! Query parameters: what is documented and what is read come from one table an endpoint, so that they cannot drift apart.

mod read;
mod tables;

pub(crate) use read::{Parameters, parse_cursor};
pub(crate) use tables::{
    AuditParameters, ChangesParameters, DiffParameters, DoctorParameters, HistoryParameters, IncidentParameters, IncidentStreamParameters,
    IncidentsParameters, MarksParameters, MonitorLogParameters, MonitorStreamParameters, MonitorsParameters, NoParameters,
    ObjectParameters, StateParameters, StreamParameters,
};
