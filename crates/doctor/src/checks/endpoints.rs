//! Who answers for a Service: its EndpointSlices, or the older Endpoints where there are no slices.
//!
//! Pure. In a slice, `ready` that is absent counts as ready, as the API says; an empty list of ports means that nobody listens on any.

use jiff::Timestamp;
use proreus_model::Seq;
use proreus_observe::field::{self, Read};
use proreus_observe::{KindRef, Observed};

use super::joins;
use super::kinds;
use crate::check::{Subject, Undecided};

/// What is known of the endpoints of a Service.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    /// Endpoints that are ready and listen on a port.
    pub(super) usable: usize,
    /// Endpoints that are ready, on whatever ports.
    pub(super) ready: usize,
    /// Endpoints that are not ready.
    pub(super) unready: usize,
    /// Endpoints that are going.
    pub(super) going: usize,
    /// Names of the ports on which ready endpoints listen, `""` for one without; `None` when they listen on every port.
    pub(super) ports: Option<Vec<String>>,
    /// Whether anything at all is written about endpoints.
    pub(super) is_published: bool,
    /// Since when none has been ready, where none is.
    pub(super) empty_since: Option<Timestamp>,
    /// When the last ready one was seen to go, where none is ready.
    pub(super) lost_at: Option<Timestamp>,
    /// The changes that show it.
    pub(super) seqs: Vec<Seq>,
}

/// Reads the endpoints of a Service.
///
/// # Errors
/// `Unknown` when slices are not watched, or do not have the form that the API gives them.
pub(super) fn of_service(subject: &Subject<'_>, service: &Observed) -> Result<Endpoints, Undecided> {
    let mut found = Endpoints { ports: Some(Vec::new()), ..Endpoints::default() };
    for slice in subject.view.slices_of(service) {
        if !slice.is_known() {
            return joins::unknown(format!("of the EndpointSlice `{}` nothing but its existence is recorded", slice.name()));
        }
        found.add_slice(subject, slice)?;
    }
    if !found.is_published {
        found.add_legacy(subject, service)?;
    }
    if found.ready == 0
        && let Err(why) = joins::is_watched(subject, KindRef::ENDPOINT_SLICE)
    {
        return joins::unknown(format!("it has no ready endpoints that we know of, but {why}"));
    }
    Ok(found)
}

impl Endpoints {
    fn add_slice(&mut self, subject: &Subject<'_>, slice: &Observed) -> Result<(), Undecided> {
        self.is_published = true;
        self.seqs.push(slice.seq);
        let listens = listens(slice)?;
        let ready_before = self.ready;
        for endpoint in slice.list("/endpoints")? {
            let is_going = field::flag(endpoint, "/conditions/terminating")?.unwrap_or(false);
            let is_ready = field::flag(endpoint, "/conditions/ready")?.unwrap_or(true);
            match (is_ready, is_going) {
                (true, _) => self.ready += 1,
                (false, true) => self.going += 1,
                (false, false) => self.unready += 1,
            }
            self.usable += usize::from(is_ready && listens);
        }
        if self.ready > ready_before && listens {
            self.add_ports(slice)?;
        }
        let fact = subject.view.trail(&slice.id.uid).and_then(|trail| trail.fact("ready")).filter(|fact| fact.value == "false");
        // A slice that was seen from its first second on may have been born without ready endpoints: then it lost none.
        let was_ready = |since: Timestamp| slice.created_at().is_some_and(|made| since.duration_since(made).as_secs() > 1);
        let lost_at = fact.filter(|fact| fact.is_exact && was_ready(fact.since)).map(|fact| fact.since);
        self.lost_at = self.lost_at.max(lost_at);
        let since = fact.map_or(slice.recorded_at, |fact| fact.since);
        self.empty_since = self.empty_since.max(Some(since));
        Ok(())
    }

    fn add_ports(&mut self, slice: &Observed) -> Read<()> {
        let ports = slice.list("/ports")?;
        let mut names = Vec::new();
        for port in ports {
            names.push(field::text(port, "/name")?.unwrap_or_default().to_owned());
        }
        // No list stands for every port. A port without a name is the one without a name of the service, and no other.
        match &mut self.ports {
            Some(known) if !names.is_empty() => known.extend(names),
            ports => *ports = None,
        }
        Ok(())
    }

    fn add_legacy(&mut self, subject: &Subject<'_>, service: &Observed) -> Result<(), Undecided> {
        let name = &service.id.name;
        let Some(endpoints) = subject.view.named(&service.id.cluster, kinds::ENDPOINTS, &service.id.namespace, name) else { return Ok(()) };
        self.is_published = true;
        self.ports = None;
        self.seqs.push(endpoints.seq);
        self.empty_since = Some(endpoints.recorded_at);
        for subset in endpoints.list("/subsets")? {
            self.ready += field::list(subset, "/addresses")?.len();
            self.usable += field::list(subset, "/addresses")?.len();
            self.unready += field::list(subset, "/notReadyAddresses")?.len();
        }
        Ok(())
    }
}

/// Whether the endpoints of a slice listen on any port: a list that is left out stands for every port.
fn listens(slice: &Observed) -> Read<bool> {
    Ok(match slice.body().get("ports") {
        None => true,
        Some(ports) if ports.is_null() => false,
        Some(_) => !slice.list("/ports")?.is_empty(),
    })
}

/// Whether the API server reaches a Service that it must call.
#[derive(Debug)]
pub(super) enum Reach {
    /// Somebody answers.
    Served,
    /// There is no such Service.
    NoService,
    /// It has no such port.
    NoPort {
        /// The change that shows the ports.
        seq: Seq,
    },
    /// Nobody answers behind it.
    NoEndpoints {
        /// Since when.
        since: Timestamp,
        /// The changes that show it.
        seqs: Vec<Seq>,
    },
    /// Nobody can tell.
    Unsure(String),
}

/// Whether somebody answers at a port of a Service; without a port, at any.
///
/// # Errors
/// When the Service does not have the form that the API gives it.
pub(super) fn reach(subject: &Subject<'_>, namespace: &str, name: &str, port: Option<i64>) -> Result<Reach, Undecided> {
    let service = match joins::look(subject, KindRef::SERVICE, namespace, name) {
        joins::Sight::There(service) => service,
        joins::Sight::Missing => return Ok(Reach::NoService),
        joins::Sight::Unsure(why) => return Ok(Reach::Unsure(why)),
    };
    if service.text("/spec/type")? == Some("ExternalName") {
        return Ok(Reach::Served);
    }
    if let Some(port) = port {
        let mut is_there = false;
        for entry in service.list("/spec/ports")? {
            is_there |= field::int(entry, "/port")? == Some(port);
        }
        if !is_there {
            return Ok(Reach::NoPort { seq: service.seq });
        }
    }
    let found = match of_service(subject, service) {
        Ok(found) => found,
        Err(Undecided::Unknown(why) | Undecided::Skipped(why)) => return Ok(Reach::Unsure(why)),
    };
    if found.usable > 0 {
        return Ok(Reach::Served);
    }
    if !found.is_published {
        return Ok(unpublished(subject, service));
    }
    let mut seqs = found.seqs;
    seqs.push(service.seq);
    Ok(Reach::NoEndpoints { since: found.empty_since.unwrap_or(service.recorded_at), seqs })
}

/// Nothing is written about endpoints: with ready pods that is somebody else's silence, without pods it is the truth.
fn unpublished(subject: &Subject<'_>, service: &Observed) -> Reach {
    let selector = proreus_observe::Selector::of_map(service.body(), "/spec/selector").unwrap_or_default();
    let pods = subject.view.pods_matching(&service.id.cluster, &service.id.namespace, &selector);
    let is_ready = |pod: &Observed| pod.condition("Ready").ok().flatten().is_some_and(|ready| ready.is_true());
    if selector.is_empty() || pods.iter().any(|pod| is_ready(pod)) {
        return Reach::Unsure(format!("no EndpointSlice names the Service `{}`", service.name()));
    }
    Reach::NoEndpoints { since: service.recorded_at, seqs: vec![service.seq] }
}
