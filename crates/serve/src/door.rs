//! Lets callers in: by the bearer token, before any handler runs.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use proreus_app::access::{Caller, Denied};

use crate::failure::Failure;
use crate::front::AskedBy;
use crate::shared::Shared;

/// A caller that was let in, with what is needed to ask again later.
#[derive(Clone)]
pub(crate) struct LetIn {
    pub(crate) caller: Caller,
    token: Option<Token>,
}

/// A token; it has no way to be printed.
#[derive(Clone)]
struct Token(String);

impl LetIn {
    /// Whether a token says who it is.
    pub(crate) fn is_known(&self) -> bool {
        self.token.is_some()
    }

    /// Asks the door again.
    pub(crate) fn recheck(&self, shared: &Shared) -> Result<Caller, Denied> {
        shared.app.door.authenticate(self.token.as_ref().map(|token| token.0.as_str()))
    }
}

/// Lets the request through with its caller, or turns it away.
pub(crate) async fn door(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let token = bearer(request.headers());
    match shared.app.door.authenticate(token.as_ref().map(|token| token.0.as_str())) {
        Err(denied) => Failure::denied(denied).into_response(),
        Ok(caller) => {
            let asked = AskedBy(caller.name.clone());
            request.extensions_mut().insert(LetIn { caller, token });
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
