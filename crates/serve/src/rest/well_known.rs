//! What clients are told of the way to a token: the metadata of the protected resource (RFC 9728), at its own place and beside `/mcp`.
//!
//! Open to everybody, as a way in has to be: it names the issuer and nothing of what is recorded.

use std::sync::Arc;

use axum::Json;
use axum::extract::{OriginalUri, Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use proreus_api::Problem;

use crate::failure::Failure;
use crate::front::host;
use crate::openapi::OpenErrors;
use crate::shared::Shared;

/// Put into every request that came over TLS.
#[derive(Clone, Copy)]
pub(crate) struct OverTls;

/// Where the metadata is; the path of a resource goes behind it.
const METADATA: &str = "/.well-known/oauth-protected-resource";
/// The resource that has metadata of its own: the one that clients with a browser come to.
const MCP: &str = "/mcp";

/// Where callers get a token: metadata of this server as a protected resource (RFC 9728). Served only where an issuer is configured.
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource", tag = "access", responses(
    OpenErrors,
    (status = 200, description = "OAuth 2.0 protected resource metadata", body = serde_json::Value),
    (status = 404, description = "No issuer is configured", content((proreus_api::Problem = "application/problem+json")))
))]
pub(crate) async fn metadata(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Failure> {
    told(&shared, &request, "")
}

/// The same for `/mcp`.
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource/mcp", tag = "access", responses(
    OpenErrors,
    (status = 200, description = "OAuth 2.0 protected resource metadata", body = serde_json::Value),
    (status = 404, description = "No issuer is configured", content((proreus_api::Problem = "application/problem+json")))
))]
pub(crate) async fn metadata_of_mcp(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Failure> {
    told(&shared, &request, MCP)
}

fn told(shared: &Shared, request: &Request, path: &str) -> Result<Response, Failure> {
    let resource = shared.app.door.protected_resource().zip(base(shared, request));
    let Some((resource, base)) = resource else {
        let hint = "ask the operator for a token; docs/guides/access.md says how an issuer is configured";
        return Err(Problem::new(404, "no-such-path", "there is no such path", "no issuer of tokens is configured", hint).into());
    };
    let mut response = Json(resource.metadata(&format!("{base}{path}"))).into_response();
    // It differs by the name under which the server is asked, and says nothing that may not be kept for a while by the client itself.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=60"));
    Ok(response)
}

/// What a challenge says of the way to a token: where the metadata is, and what to ask for.
pub(crate) fn challenge(shared: &Shared, request: &Request) -> Option<String> {
    let resource = shared.app.door.protected_resource()?;
    let base = base(shared, request)?;
    let path = request.extensions().get::<OriginalUri>().map_or(request.uri().path(), |uri| uri.0.path());
    let suffix = if path == MCP || path.starts_with("/mcp/") { MCP } else { "" };
    let (origin, prefix) = split(&base);
    let scopes = if resource.scopes.is_empty() { String::new() } else { format!(", scope=\"{}\"", resource.scopes.join(" ")) };
    Some(format!(", resource_metadata=\"{origin}{METADATA}{prefix}{suffix}\"{scopes}"))
}

/// The URL under which the caller knows the server, without a path of ours.
fn base(shared: &Shared, request: &Request) -> Option<String> {
    let is_plain =
        |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']' | b'_'));
    let scheme = if request.extensions().get::<OverTls>().is_some() { "https" } else { "http" };
    let names = shared.app.door.public().cloned().unwrap_or_default();
    names.base(scheme, host(request.uri(), request.headers()).filter(is_plain))
}

/// A URL as its origin and its path: the well-known place goes between the two.
fn split(url: &str) -> (&str, &str) {
    let from = url.find("://").map_or(0, |at| at + 3);
    url[from..].find('/').map_or((url, ""), |at| url.split_at(from + at))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn puts_the_well_known_place_between_host_and_path() {
        assert_eq!(split("https://a.example.com"), ("https://a.example.com", ""));
        assert_eq!(split("https://a.example.com/proreus"), ("https://a.example.com", "/proreus"));
        assert_eq!(split("a"), ("a", ""));
    }
}
