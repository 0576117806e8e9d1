//! `/openapi.json`: the document is generated from the handlers; here is what they share.

use std::collections::BTreeMap;

use proreus_api::Problem;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type};
use utoipa::{IntoResponses, Modify, OpenApi};

use crate::failure::PROBLEM_JSON;

/// What the document says besides its paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Proreus",
        description = "Every change of every object of a Kubernetes cluster, and every question about its past."
    ),
    components(schemas(Problem)),
    modifiers(&Bearer),
    tags(
        (name = "changes", description = "What changed, page by page or as a stream"),
        (name = "objects", description = "Objects as they were"),
        (name = "incidents", description = "What is wrong, was wrong, and what changed before"),
        (name = "monitors", description = "How far clusters are that are being made"),
        (name = "recording", description = "How the watching stands"),
        (name = "access", description = "The way to a token"),
        (name = "health", description = "For machines that look after this one"),
        (name = "events", description = "The watch event service's two endpoints, by its own rules")
    )
)]
pub(crate) struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(
            Http::builder()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("A token of the server's token file, of its issuer or of a cluster; see docs/guides/access.md"))
                .build(),
        );
        document.components.get_or_insert_default().add_security_scheme("bearer", scheme);
    }
}

fn problems(of: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let of = of.iter().map(|(status, description)| {
        let response = ResponseBuilder::new().description(*description).content(PROBLEM_JSON, content()).build();
        ((*status).to_owned(), RefOr::T(response))
    });
    of.collect()
}

/// What any endpoint may answer.
const ANYWHERE: [(&str, &str); 5] = [
    ("403", "`Host` or `Origin` names another than the server answers; or figures of the whole, and the caller may not see those"),
    ("405", "The path does not know that method"),
    ("413", "The body is too large; nothing here reads one"),
    ("500", "An error of ours"),
    ("503", "Too much at once, or the journal cannot answer at the moment"),
];

/// Errors of open endpoints.
pub(crate) struct OpenErrors;

impl IntoResponses for OpenErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&ANYWHERE)
    }
}

/// Errors of guarded endpoints.
pub(crate) struct GuardedErrors;

impl IntoResponses for GuardedErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let guarded =
            [("400", "A parameter is not known or not of an allowed form; `parameter` names it"), ("401", "A bearer token is needed")];
        problems(&[&ANYWHERE[..], &guarded].concat())
    }
}

/// Errors of guarded endpoints that read the past.
pub(crate) struct PastErrors;

impl IntoResponses for PastErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut all = GuardedErrors::responses();
        all.extend(problems(&[("410", "That part of the past is no longer kept; `oldestCursor` is where the journal begins")]));
        all
    }
}

/// Errors of guarded endpoints that name something in the past.
pub(crate) struct NamedErrors;

impl IntoResponses for NamedErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut all = PastErrors::responses();
        all.extend(problems(&[("404", "There is nothing by that name")]));
        all
    }
}

/// Errors of monitors.
pub(crate) struct MonitorErrors;

impl IntoResponses for MonitorErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut all = NamedErrors::responses();
        all.extend(problems(&[("429", "As many subscriptions as one client, or all together, may have")]));
        all
    }
}

/// Errors of the older service's endpoints: plain text where it had plain text.
pub(crate) struct AuditErrors;

impl IntoResponses for AuditErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut all = NamedErrors::responses();
        let plain = || ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String))).build();
        for (status, description) in [
            ("400", "A time, a limit, an order or a cursor cannot be read"),
            ("404", "Nothing matches; as problem details for a path that is not served"),
            ("410", "The cursor can no longer be continued"),
            ("500", "The journal cannot answer at the moment; as problem details for any other error of ours"),
        ] {
            let response = ResponseBuilder::new().description(description).content("text/plain", plain());
            let problem = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let response = if matches!(status, "404" | "500") { response.content(PROBLEM_JSON, problem()) } else { response };
            all.insert(status.to_owned(), response.build().into());
        }
        all
    }
}
