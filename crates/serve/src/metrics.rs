//! The figures of `/metrics`: requests as they are answered, and the recording and the journal as they stand when asked.
//!
//! No label names a namespace or an object: only clusters, resource types, route templates and states.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use proreus_app::Application;
use proreus_app::emission::EndpointFigures;
use proreus_app::status::{RecordingStatus, WatchState, WatchStatus};

/// Media type of the OpenMetrics text format.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the request histogram in seconds: from a health check to a question that is given up.
const REQUEST_BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: u16,
}

/// What is counted while serving.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Histogram, fn() -> Histogram>,
    streams: Gauge<u64, AtomicU64>,
}

impl Metrics {
    /// Figures of `app`.
    pub(crate) fn new(app: &Arc<Application>) -> Self {
        let mut registry = Registry::with_prefix("proreus");
        let requests = Family::<RequestLabels, Histogram, fn() -> Histogram>::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS));
        registry.register("http_request_duration_seconds", "Time to answer a request, by route template and status", requests.clone());
        let streams = Gauge::<u64, AtomicU64>::default();
        registry.register("http_streams", "Streams that are open", streams.clone());
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What runs", version);
        registry.register_collector(Box::new(Live { app: Arc::clone(app) }));
        Self { registry, requests, streams }
    }

    /// Counts an answered request.
    pub(crate) fn answered(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        let labels = RequestLabels { route: route.to_owned(), method, status };
        self.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// The text of all figures; it asks the journal, so it blocks.
    pub(crate) fn encode(&self, open_streams: usize) -> Result<String, fmt::Error> {
        self.streams.set(open_streams as u64);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Reads the recording and the journal at each scrape.
struct Live {
    app: Arc<Application>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = self.app.recording();
        recording(&mut encoder, &status)?;
        watches(&mut encoder, &status)?;
        lag(&mut encoder, &status)?;
        self.incidents(&mut encoder)?;
        emission(&mut encoder, &self.app)?;
        self.journal(&mut encoder)
    }
}

type Labels = Vec<(&'static str, String)>;

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    gauges(encoder, name, help, [(Labels::new(), value)])
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels, u64)>,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        if labels.is_empty() {
            return gauge.encode(family);
        }
        gauge.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels, u64)>,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        let counter = ConstCounter::new(value);
        if labels.is_empty() {
            return counter.encode(family);
        }
        counter.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn recording(encoder: &mut DescriptorEncoder<'_>, status: &RecordingStatus) -> Result<(), fmt::Error> {
    gauge(encoder, "queue_records", "Records waiting to be written", status.queue_records)?;
    gauge(encoder, "queue_bytes", "Bytes waiting to be written", status.queue_bytes)?;
    gauge(encoder, "recording_paused", "1 while recording pauses, such as on a full disk", u64::from(status.paused.is_some()))?;
    counters(encoder, "appended_records", "Records made durable by this process", [(Labels::new(), status.appended)])?;
    counters(encoder, "append_errors", "Appends that failed", [(Labels::new(), status.append_errors)])
}

fn watches(encoder: &mut DescriptorEncoder<'_>, status: &RecordingStatus) -> Result<(), fmt::Error> {
    let states = [WatchState::Listing, WatchState::Synced, WatchState::Stale, WatchState::Stopped];
    let counted = states.map(|state| {
        let of_state = status.watches.iter().filter(|watch| watch.state == state).count() as u64;
        (vec![("state", state.as_str().to_owned())], of_state)
    });
    gauges(encoder, "watches", "Watches by state", counted)?;
    let each = |value: fn(&WatchStatus) -> u64| status.watches.iter().map(move |watch| (labels_of(watch), value(watch)));
    gauges(
        encoder,
        "watch_stale",
        "1 for a resource type that is not followed at the moment",
        each(|watch| u64::from(watch.state == WatchState::Stale)),
    )?;
    counters(encoder, "changes_recorded", "Changes recorded", each(|watch| watch.recorded))?;
    counters(encoder, "changes_noise", "Updates dropped by the noise policy", each(|watch| watch.noise))?;
    counters(encoder, "changes_coalesced", "Versions dropped by back-pressure", each(|watch| watch.coalesced))?;
    counters(encoder, "changes_refused", "Objects that could not be recorded", each(|watch| watch.refused))?;
    counters(encoder, "watch_relists", "Lists made after lost history", each(|watch| watch.relists))?;
    counters(encoder, "watch_connects", "Connections made", each(|watch| watch.connects))
}

fn labels_of(watch: &WatchStatus) -> Labels {
    vec![("cluster", watch.cluster_name.clone()), ("group", watch.scope.group.to_string()), ("resource", watch.scope.resource.to_string())]
}

fn lag(encoder: &mut DescriptorEncoder<'_>, status: &RecordingStatus) -> Result<(), fmt::Error> {
    let lag = &status.lag;
    let mut below = 0;
    let mut buckets: Vec<(f64, u64)> = Vec::with_capacity(lag.buckets.len() + 1);
    for (bound, cumulative) in &lag.buckets {
        buckets.push((bound.as_secs_f64(), cumulative.saturating_sub(below)));
        below = (*cumulative).max(below);
    }
    buckets.push((f64::INFINITY, lag.count.saturating_sub(below)));
    let help = "Time from the arrival of an event to its durability";
    let mut histogram = encoder.encode_descriptor("recording_lag_seconds", help, None, MetricType::Histogram)?;
    histogram.encode_histogram::<Labels>(lag.sum.as_secs_f64(), lag.count, &buckets, None)
}

/// Figures of telling others of incidents, by the name of the endpoint; none where nobody is told.
fn emission(encoder: &mut DescriptorEncoder<'_>, app: &Application) -> Result<(), fmt::Error> {
    let all = app.emission.figures();
    if all.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    let lag =
        |figures: &EndpointFigures| figures.waiting_since.map_or(0, |since| now.duration_since(since).as_secs().max(0).unsigned_abs());
    let each = |value: &dyn Fn(&EndpointFigures) -> u64| -> Vec<(Labels, u64)> {
        all.iter().map(|(name, figures)| (vec![("endpoint", name.clone())], value(figures))).collect()
    };
    counters(encoder, "emission_delivered", "Notices of incidents that arrived", each(&|figures| figures.delivered))?;
    counters(encoder, "emission_failures", "Requests to tell of incidents that failed", each(&|figures| figures.failed))?;
    counters(encoder, "emission_given_up", "Notices of incidents that are told to nobody", each(&|figures| figures.given_up))?;
    gauges(encoder, "emission_waiting", "Notices of incidents that wait or are on their way", each(&|figures| figures.waiting))?;
    gauges(encoder, "emission_lag_seconds", "How long the oldest of the notices that wait has been waiting", each(&lag))?;
    gauges(
        encoder,
        "emission_trouble",
        "1 while an endpoint does not take what it is told",
        each(&|figures| u64::from(figures.trouble.is_some())),
    )
}

impl Live {
    /// Figures of the doctor that watches; left out where there is none.
    fn incidents(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(watching) = &self.app.watching else { return Ok(()) };
        let board = watching.board();
        let open = board
            .open
            .iter()
            .map(|((severity, check), count)| (vec![("severity", severity.as_str().to_owned()), ("check", (*check).to_owned())], *count));
        gauges(encoder, "incidents_open", "Open incidents by severity and check", open)?;
        let behind = self.app.questions.journal().watermark().0.saturating_sub(board.position.0);
        gauge(encoder, "incidents_lag_records", "Records that are durable and not yet judged", behind)?;
        gauge(encoder, "incidents_failing", "1 while incidents are not kept", u64::from(board.failed.is_some()))
    }

    /// Figures of the journal; left out while it cannot be read, so that an alert on their absence fires.
    fn journal(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let journal = self.app.questions.journal();
        gauge(encoder, "journal_last_seq", "Last durable position", journal.watermark().0)?;
        let Ok(figures) = self.app.questions.store_sizes() else { return Ok(()) };
        gauge(encoder, "journal_changes", "Changes kept", figures.changes)?;
        gauge(encoder, "journal_raw_bytes", "Canonical JSON of the changes kept, uncompressed", figures.raw_bytes)?;
        gauge(encoder, "journal_stored_bytes", "Bytes of all files", figures.stored_bytes)?;
        let mut states: Vec<(&'static str, u64)> = Vec::new();
        for segment in &figures.segments {
            match states.iter_mut().find(|(state, _)| *state == segment.state.as_str()) {
                Some((_, count)) => *count += 1,
                None => states.push((segment.state.as_str(), 1)),
            }
        }
        let counted = states.into_iter().map(|(state, count)| (vec![("state", state.to_owned())], count));
        gauges(encoder, "journal_segments", "Days by condition", counted)
    }
}
