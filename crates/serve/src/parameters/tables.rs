//! The parameters of each endpoint, as OpenAPI shows them and as the reader checks their names.
//!
//! A table only: reading is next door.

use proreus_app::monitors::{DEFAULT_LOG_LIMIT, MAX_LOG_LIMIT, MAX_TIMEOUT, MIN_TIMEOUT};
use proreus_app::questions::{DEFAULT_PAGE_LIMIT, MAX_PAGE_LIMIT};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Required};

use crate::limits::MAX_ALTERNATIVES;

/// Text of a cursor of changes or marks.
pub(crate) const CURSOR_PATTERN: &str = "^[0-9a-f]{32}-[0-9a-f]{1,16}$";
/// Text of a cursor of a state.
const STATE_CURSOR_PATTERN: &str = r"^[0-9a-f]{32}-[0-9a-f]{1,16}\.[A-Za-z0-9_-]+$";
/// Text of a place in the list of monitors.
const PLACE_PATTERN: &str = "^[A-Za-z0-9_-]+$";
/// Text of a cursor of a monitor's log; one of changes stands after all that follows from its record.
const MONITOR_CURSOR_PATTERN: &str = r"^[0-9a-f]{32}-[0-9a-f]{1,16}(\.[0-9a-f]{1,8})?$";
/// How long ago, in the form of `2h`.
const AGO_PATTERN: &str = "^[0-9]{1,5}[smhd]$";
/// Largest position: JSON numbers hold it exactly.
const MAX_SEQ: f64 = 9_007_199_254_740_991.0;

fn parameter(name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn words(name: &str, description: &str) -> Parameter {
    // A comma separates alternatives, so none can be in a value.
    let word: Object = text().min_length(Some(1)).pattern(Some("^[^,]+$")).build();
    alternatives(name, description, word)
}

fn choices(name: &str, description: &str, of: &[&str]) -> Parameter {
    alternatives(name, description, text().enum_values(Some(of.iter().copied())).build())
}

fn alternatives(name: &str, description: &str, item: Object) -> Parameter {
    let schema = ArrayBuilder::new().items(item).min_items(Some(1)).max_items(Some(MAX_ALTERNATIVES)).build();
    let described = format!("{description} Repeat it, or separate values by commas, for alternatives.");
    parameter(name, &described, Schema::Array(schema))
}

fn choice(name: &str, description: &str, of: &[&str], default: &str) -> Parameter {
    parameter(name, description, text().enum_values(Some(of.iter().copied())).default(Some(default.into())).build())
}

fn flag(name: &str, description: &str) -> Parameter {
    choice(name, description, &["true", "false"], "false")
}

fn times() -> AnyOfBuilder {
    let formatted = |format| text().format(Some(SchemaFormat::KnownFormat(format))).build();
    AnyOfBuilder::new()
        .item(formatted(KnownFormat::DateTime))
        .item(formatted(KnownFormat::Date))
        .item(text().pattern(Some(AGO_PATTERN)).build())
}

fn time(name: &str, description: &str) -> Parameter {
    let described = format!("{description} RFC 3339 with a zone, a UTC date, or how long ago (`90s`, `15m`, `2h`, `7d`).");
    parameter(name, &described, Schema::AnyOf(times().build()))
}

fn moment() -> Parameter {
    let schema = times().item(text().pattern(Some(CURSOR_PATTERN)).build()).build();
    let description = "The moment: RFC 3339 with a zone, a UTC date, how long ago (`2h`), or a cursor. Left out: now.";
    parameter("at", description, Schema::AnyOf(schema))
}

fn cursor(pattern: &str) -> Parameter {
    let description = "Continue there: a `nextCursor` or `endCursor` exactly as it was given.";
    parameter("cursor", description, text().pattern(Some(pattern)).build())
}

fn limit() -> Parameter {
    whole_number("limit", "Most items of this page. A page of large objects may end earlier.", 1, MAX_PAGE_LIMIT, Some(DEFAULT_PAGE_LIMIT))
}

fn whole_number(name: &str, description: &str, least: usize, most: usize, default: Option<usize>) -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(least as f64))
        .maximum(Some(most as f64))
        .default(default.map(Into::into));
    parameter(name, description, schema.build())
}

fn order() -> Parameter {
    choice("order", "Oldest or newest first.", &["asc", "desc"], "asc")
}

fn full() -> Parameter {
    flag("full", "Whether the objects themselves are wanted.")
}

fn seq(name: &str, description: &str, example: u64) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MAX_SEQ)).build();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(schema))
        .example(Some(example.into()))
        .build()
}

fn place() -> Vec<Parameter> {
    vec![
        words("cluster", "Cluster, by id or configured name."),
        words("namespace", "Namespace; `_` is the cluster scope."),
        words("group", "API group; `core` is the core group."),
        words("kind", "Kind, plural, singular or short name, in any case, optionally with `.group`."),
        words("resource", "Lower-case plural, exact."),
        words("name", "Name, exact."),
        words("uid", "Incarnation."),
    ]
}

fn of_incidents() -> Vec<Parameter> {
    vec![
        words("cluster", "Cluster, by id or configured name."),
        words("namespace", "Namespace of the primary object; `_` is the cluster scope."),
        choices("state", "Whether it goes on.", &["open", "resolved"]),
        choices("severity", "How bad it is, or was last.", &["info", "warning", "critical"]),
        words("check", "Check that it opened with, by id."),
    ]
}

fn step() -> Vec<Parameter> {
    vec![
        choices("verb", "What happened.", &["create", "update", "delete"]),
        choices("origin", "How it became known.", &["watch", "snapshot", "relist", "gap"]),
        words("manager", "Newest field manager, exact."),
    ]
}

fn range() -> Vec<Parameter> {
    vec![time("since", "Recorded at or after."), time("until", "Recorded at or before.")]
}

macro_rules! table {
    ($(#[$doc:meta])* $name:ident, $parameters:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                $parameters
            }
        }
    };
}

table!(
    /// Of `/api/v1/changes`.
    ChangesParameters,
    [place(), step(), range(), vec![cursor(CURSOR_PATTERN), limit(), order(), full()]].concat()
);
table!(
    /// Of `/api/v1/changes/stream`.
    StreamParameters,
    [
        place(),
        step(),
        vec![
            time("since", "Begin with what was recorded at or after; a cursor beats it."),
            cursor(CURSOR_PATTERN),
            full(),
            flag("marks", "Whether marks are wanted in between, as events of their own type."),
        ]
    ]
    .concat()
);
table!(
    /// Of `/api/v1/marks`.
    MarksParameters,
    [
        vec![
            words("cluster", "Cluster, by id or configured name."),
            words("group", "API group; `core` is the core group."),
            words("resource", "Lower-case plural, exact."),
            choices("kind", "What became true.", &MARK_KINDS),
        ],
        range(),
        vec![cursor(CURSOR_PATTERN), limit(), order()]
    ]
    .concat()
);
table!(
    /// Of one object.
    ObjectParameters,
    vec![moment(), one_word("uid", "One incarnation; left out: the newest by then."), one_cluster()]
);
table!(
    /// Of one object's history.
    HistoryParameters,
    [
        vec![
            one_word("uid", "One incarnation; left out: every one."),
            one_cluster(),
            flag("events", "Whether the Events about the object are told in between."),
        ],
        range(),
        vec![cursor(CURSOR_PATTERN), limit(), order(), full()]
    ]
    .concat()
);
table!(
    /// Of `/api/v1/diff`.
    DiffParameters,
    vec![seq("from", "Position of the one change.", 2), seq("to", "Position of the other change, of the same object.", 3)]
);
table!(
    /// Of `/api/v1/state`.
    StateParameters,
    [place(), vec![moment(), cursor(STATE_CURSOR_PATTERN), limit(), full()]].concat()
);
table!(
    /// Of `/api/v1/incidents`.
    IncidentsParameters,
    [
        of_incidents(),
        vec![
            moment(),
            time("since", "Not resolved before."),
            time("until", "Opened at or before."),
            cursor(STATE_CURSOR_PATTERN),
            limit(),
            order()
        ]
    ]
    .concat()
);
table!(
    /// Of one incident.
    IncidentParameters,
    vec![moment()]
);
table!(
    /// Of `/api/v1/incidents/stream`.
    IncidentStreamParameters,
    [of_incidents(), vec![cursor(CURSOR_PATTERN)]].concat()
);
table!(
    /// Of `/api/v1/doctor`.
    DoctorParameters,
    vec![
        moment(),
        words("check", "Check, by id or by a reason that it gives."),
        words("namespace", "Namespace; `_` is the cluster scope."),
    ]
);
table!(
    /// Of `/api/v1/monitors`.
    MonitorsParameters,
    vec![
        words("cluster", "Cluster that holds the monitored objects, by id or configured name."),
        words("namespace", "Namespace."),
        cursor(PLACE_PATTERN),
        limit(),
    ]
);
table!(
    /// Of one monitor.
    MonitorLogParameters,
    vec![
        one_cluster(),
        cursor(MONITOR_CURSOR_PATTERN),
        whole_number("limit", "Most updates of this page.", 1, MAX_LOG_LIMIT, Some(DEFAULT_LOG_LIMIT)),
    ]
);
table!(
    /// Of a monitor's stream.
    MonitorStreamParameters,
    vec![
        one_cluster(),
        cursor(MONITOR_CURSOR_PATTERN),
        whole_number(
            "timeout",
            "Seconds after which the stream ends, with a warning before; left out: as configured.",
            MIN_TIMEOUT.as_secs() as usize,
            MAX_TIMEOUT.as_secs() as usize,
            None
        ),
        flag("await", "Whether to wait for a monitored object that does not exist yet."),
    ]
);
table!(
    /// Of endpoints that have none.
    NoParameters,
    Vec::new()
);
table!(
    /// Of the older service's `/api/v1/events`.
    AuditParameters,
    vec![
        parameter("start", "Recorded at or after, RFC 3339.", or_empty(date_time())),
        parameter("end", "Recorded at or before, RFC 3339.", or_empty(date_time())),
        parameter("namespace", "Namespace, exact; `_` or `-` is the cluster scope.", text().build()),
        parameter("resourceType", "Lower-case plural, exact.", text().build()),
        parameter("resourceName", "Name, exact.", text().build()),
        parameter("verb", "`create`, `update` or `delete`; any other matches nothing.", text().build()),
        parameter("user", "`system:k8s-watcher`; any other matches nothing.", text().build()),
        parameter("limit", "Most items; one that is no number is an error, one out of range means the configured most.", or_empty(integer())),
        parameter("order", "Oldest first (`asc`, as ever) or newest first.", text().enum_values(Some(["asc", "desc", ""])).build()),
        parameter(
            "cursor",
            "Continue there: the `cursor` of a `Link`.",
            or_empty(text().pattern(Some(CURSOR_PATTERN)).build())
        ),
    ]
);

/// Every kind of mark by its wire text.
pub(crate) const MARK_KINDS: [&str; 8] = ["watchStarted", "synced", "stale", "gap", "stopped", "configChanged", "clockStepped", "refused"];

/// The older service took an empty value for none.
fn or_empty(schema: Object) -> Schema {
    Schema::AnyOf(AnyOfBuilder::new().item(schema).item(text().max_length(Some(0)).build()).build())
}

fn integer() -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))).build()
}

fn date_time() -> Object {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).build()
}

fn one_word(name: &str, description: &str) -> Parameter {
    parameter(name, description, text().min_length(Some(1)).build())
}

fn one_cluster() -> Parameter {
    one_word("cluster", "Cluster, by id or configured name; may be left out while the name fits one cluster.")
}
