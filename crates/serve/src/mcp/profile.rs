//! More for agents than this crate offers: whoever hosts the server may add tools, resources and prompts of its own.
//!
//! Made for conformance suites, whose fixtures no product has: they try how this server speaks, with something to speak of. Its answers go
//! out as they are; what is offered under a name that is taken is not reached.

use futures::future::BoxFuture;
use serde_json::Value;

use super::asker::Asker;
use super::rpc::JsonObject;

/// A way to say how far an answer is: progress of a total.
pub struct Telling<'a>(pub(super) &'a Asker);

impl Telling<'_> {
    /// Tells it, when the client asked to be told.
    pub async fn tell(&self, progress: f64, total: f64, message: &str) {
        self.0.tell(progress, Some(total), message).await;
    }
}

/// What is offered besides.
pub trait AgentProfile: Send + Sync {
    /// Entries of `tools/list`.
    fn tools(&self) -> Vec<Value>;

    /// The result of a tool; `None` when there is none of that name.
    fn call<'a>(&'a self, name: &'a str, telling: Telling<'a>) -> BoxFuture<'a, Option<Value>>;

    /// Entries of `resources/list`.
    fn resources(&self) -> Vec<Value>;

    /// Entries of `resources/templates/list`.
    fn templates(&self) -> Vec<Value>;

    /// The result of reading a resource; `None` when there is none of that address.
    fn read(&self, uri: &str) -> Option<Value>;

    /// Whether the resource can be subscribed to. Nothing is ever told of it.
    fn is_watched(&self, uri: &str) -> bool;

    /// Entries of `prompts/list`.
    fn prompts(&self) -> Vec<Value>;

    /// The result of a prompt; `None` when there is none of that name.
    fn prompt(&self, name: &str, arguments: Option<&JsonObject>) -> Option<Value>;
}
