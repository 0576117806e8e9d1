//! What changed before a time: what somebody wanted otherwise, near an object.

use futures::FutureExt;
use proreus_api::Change;
use proreus_app::questions::BeforeQuestion;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Entry;
use super::history::{listing, reference};
use crate::mcp::answers::Answer;
use crate::mcp::asker::Asker;
use crate::mcp::refusal::{Refusal, read};
use crate::mcp::rpc::JsonObject;
use crate::mcp::{schema, words};

/// Minutes looked back when nothing else is asked: a rollout and what it breaks lie closer together.
const DEFAULT_WINDOW_MINUTES: u64 = 60;
/// The longest window: a day.
const MAX_WINDOW_MINUTES: u64 = 24 * 60;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "what_changed_before",
    title: "What changed before something broke",
    description: "The changes that somebody or some controller wanted (specification, data, creation, deletion; never status) before a time, newest \
                  first, in the namespace of an object and in the cluster scope. Use it with the openedAt of an incident to find its cause.",
    input: schema::of::<BeforeArguments>,
    output: || schema::list_of::<Change>("items"),
    run: |asker, arguments| before(asker, arguments).boxed(),
}];

/// Before what.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BeforeArguments {
    /// The time: RFC 3339, a date, or how long ago such as `2h`. Without it: the last record.
    at: Option<String>,
    /// Kind of the object it is about, when there is one.
    kind: Option<String>,
    /// Its name.
    name: Option<String>,
    /// Its namespace, or the namespace to look at when no object is named.
    namespace: Option<String>,
    /// Cluster id or configured name.
    cluster: Option<String>,
    /// Minutes to look back, 1 to 1440; 60 unless said otherwise.
    window_minutes: Option<u64>,
    /// nextCursor of the page before.
    cursor: Option<String>,
    /// Items at most, 1 to 1000.
    limit: Option<u64>,
}

async fn before(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: BeforeArguments = read(arguments)?;
    let minutes = of.window_minutes.unwrap_or(DEFAULT_WINDOW_MINUTES);
    if !(1..=MAX_WINDOW_MINUTES).contains(&minutes) {
        return Err(Refusal::argument(format!("`windowMinutes` is `{minutes}`"), format!("give 1 to {MAX_WINDOW_MINUTES}")));
    }
    let object = match (of.kind, of.name) {
        (Some(kind), Some(name)) => Some(reference(kind, name, of.namespace.clone(), None, of.cluster.clone(), None)),
        (None, None) => None,
        _ => return Err(Refusal::argument("`kind` and `name` belong together", "give both, or neither")),
    };
    let question = BeforeQuestion {
        at: words::time("at", of.at.as_deref(), asker.shared.app.clock.now())?,
        object,
        namespace: of.namespace,
        cluster: of.cluster,
        window: std::time::Duration::from_secs(minutes * 60),
        cursor: words::cursor(of.cursor.as_deref())?,
        limit: words::limit(of.limit)?,
    };
    asker.ask(move |app, access| Ok(listing(app, app.questions.before(&question, access)?, "changes before that time"))).await
}
