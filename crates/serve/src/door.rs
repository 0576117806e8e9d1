//! Lets callers in: by the bearer token, before any handler runs.

use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use proreus_app::access::{Caller, Denied};
use proreus_model::{Access, Namespace};

use crate::failure::Failure;
use crate::front::AskedBy;
use crate::limits::MAX_ALTERNATIVES;
use crate::shared::Shared;

/// A caller that was let in, with what is needed to ask again later.
#[derive(Clone)]
pub(crate) struct LetIn {
    pub(crate) caller: Caller,
    token: Option<Token>,
    namespaces: Vec<Namespace>,
}

/// A token; it has no way to be printed.
#[derive(Clone)]
struct Token(String);

impl LetIn {
    /// Whether a token says who it is.
    pub(crate) fn is_known(&self) -> bool {
        self.token.is_some()
    }

    /// Asks the door again, as of now.
    pub(crate) async fn recheck(&mut self, shared: &Shared) -> Result<(), Denied> {
        self.caller = shared.app.door.authenticate(self.token.as_ref().map(|token| token.0.as_str()), &self.namespaces).await?;
        Ok(())
    }

    /// Whether nothing can have been passed over since the door was asked; see there.
    pub(crate) async fn is_current(&self, shared: &Shared) -> Result<bool, Denied> {
        shared.app.door.is_current(&self.caller).await
    }

    /// Refuses those who may not see the figures of the whole.
    pub(crate) async fn figures(&self, shared: &Shared) -> Result<(), Failure> {
        match self.caller.access == Access::All || shared.app.door.may_see_figures(&self.caller).await.map_err(Failure::denied)? {
            true => Ok(()),
            false => Err(Failure::forbidden_figures()),
        }
    }
}

/// Lets the request through with its caller, or turns it away.
pub(crate) async fn door(
    State(shared): State<Arc<Shared>>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let token = bearer(request.headers());
    // What is wrong with a path is the handler's to tell.
    let namespaces = namespaces(path.as_ref().ok(), request.uri().query());
    match shared.app.door.authenticate(token.as_ref().map(|token| token.0.as_str()), &namespaces).await {
        Err(denied) => Failure::denied(denied).challenged(&shared, &request).into_response(),
        Ok(caller) => {
            let asked = AskedBy(caller.name.clone());
            request.extensions_mut().insert(LetIn { caller, token, namespaces });
            let mut response = next.run(request).await;
            response.extensions_mut().insert(asked);
            response
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<Token> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token(token.trim().to_owned()))
}

/// The namespaces that a request names, in its path or its query. Only a hint for the door: the handler reads them again, and refuses
/// what will not do.
fn namespaces(path: Option<&RawPathParams>, query: Option<&str>) -> Vec<Namespace> {
    let in_path = path.into_iter().flatten().filter(|(name, _)| *name == "namespace").map(|(_, value)| Namespace::from(value));
    let in_query = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).filter(|(name, _)| name == "namespace");
    let in_query = in_query.flat_map(|(_, value)| value.split(',').map(Namespace::from).collect::<Vec<_>>());
    in_path.chain(in_query).take(MAX_ALTERNATIVES).collect()
}
