//! Who asks, and what may be waited for: taken from a request, so that no tool looks at a transport.

use std::sync::Arc;

use axum::extract::ConnectInfo;
use proreus_app::access::Caller;
use proreus_app::{AppError, Application};
use proreus_model::Access;
use serde_json::{Value, json};

use super::protocol::Outlet;
use super::refusal::Refusal;
use super::rpc::notification;
use crate::answer::ask;
use crate::door::LetIn;
use crate::failure::Failure;
use crate::limits::Place;
use crate::shared::Shared;

/// Name of whoever comes in through an open door.
const ANYBODY: &str = "anonymous";

/// What stands behind the tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A process that records: monitors run, clusters can be asked.
    Server,
    /// The files of a journal, and nothing else.
    Directory,
}

/// One request's asker.
#[derive(Clone)]
pub(crate) struct Asker {
    /// What everything is asked of.
    pub(crate) shared: Arc<Shared>,
    /// What stands behind it.
    pub(crate) reach: Reach,
    /// What may be read.
    pub(crate) access: Access,
    /// Whose subscriptions are counted together: the token's subject, else the session, else the connection.
    pub(crate) client: String,
    /// To ask the door again; nobody on standard input.
    pub(crate) let_in: Option<LetIn>,
    progress: Option<(Outlet, Value)>,
}

impl Asker {
    /// The asker of a request that came over HTTP; of none, standard input's.
    pub(crate) fn new(shared: &Arc<Shared>, reach: Reach, parts: Option<&http::request::Parts>) -> Self {
        let let_in = parts.and_then(|parts| parts.extensions.get::<LetIn>()).cloned();
        let access = match (&let_in, parts) {
            (Some(let_in), _) => let_in.caller.access.clone(),
            // Standard input belongs to whoever started us.
            (None, None) => Access::All,
            // HTTP without the door before it would be our own mistake: nothing may be read.
            (None, Some(_)) => Access::Only(Vec::new()),
        };
        Self { shared: Arc::clone(shared), reach, access, client: client_of(let_in.as_ref(), parts), let_in, progress: None }
    }

    /// With a client that wants to be told how far an answer is.
    #[must_use]
    pub(crate) fn telling(mut self, outlet: &Outlet, token: Option<&Value>) -> Self {
        self.progress = token.map(|token| (outlet.clone(), token.clone()));
        self
    }

    /// Counted by its session, where it has no name of its own.
    pub(crate) fn in_session(&mut self, session: &str) {
        if self.let_in.as_ref().is_none_or(|let_in| !is_named(let_in)) {
            self.client = format!("session {session}");
        }
    }

    /// Asks the application, off the async threads and within the gates.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Application, &Access) -> Result<T, AppError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let access = self.access.clone();
        Ok(ask(&self.shared, move |app| question(app, &access)).await?)
    }

    /// Who asks, in their own right; whoever started us may do what we may.
    pub(crate) fn caller(&self) -> Caller {
        match &self.let_in {
            Some(let_in) => let_in.caller.clone(),
            // What may be read was decided above, so that no door means no access here too.
            None => {
                let mut caller = Caller::trusted(self.client.clone());
                caller.access = self.access.clone();
                caller
            }
        }
    }

    /// A place among those who wait for what is recorded next; REST's streams are counted with them.
    pub(crate) fn stream(&self) -> Result<Place, Refusal> {
        self.shared.gates.stream().ok_or_else(|| Failure::overloaded("streams").into())
    }

    /// Tells how far a long answer is, when the client asked to be told.
    pub(crate) async fn tell(&self, progress: f64, total: Option<f64>, message: &str) {
        let Some((outlet, token)) = &self.progress else { return };
        let mut params = json!({"progressToken": token, "progress": progress, "message": message});
        if let Some(total) = total {
            params["total"] = json!(total);
        }
        // A client that is gone is noticed by its request.
        let _ = outlet.send(notification("notifications/progress", params)).await;
    }
}

/// Whether the door knows the caller by a name.
fn is_named(let_in: &LetIn) -> bool {
    let_in.is_known() && let_in.caller.name != ANYBODY
}

fn client_of(let_in: Option<&LetIn>, parts: Option<&http::request::Parts>) -> String {
    if let Some(let_in) = let_in.filter(|let_in| is_named(let_in)) {
        return let_in.caller.name.clone();
    }
    let Some(parts) = parts else { return "standard input".to_owned() };
    let address = parts.extensions.get::<ConnectInfo<std::net::SocketAddr>>();
    address.map_or_else(|| "connection".to_owned(), |ConnectInfo(address)| address.to_string())
}
