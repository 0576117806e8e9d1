//! From HTTP requests to operations on the world, and back.
//!
//! Hosting and conversion only: what may be written and what is answered is decided elsewhere.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::response::Response;
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::cluster::{Target, Writer};
use crate::list;
use crate::patch::PatchType;
use crate::remove::{DeleteOptions, Propagation};
use crate::render::{Painter, Wrapping};
use crate::request::{self, Accepted, Form, Place, Query, ResourcePath};
use crate::server::Shared;
use crate::status::ApiError;
use crate::watch::Watch;
use crate::world::World;
use crate::{discovery, protobuf, subresource, tree};

/// Largest request body, as on a real server.
const BODY_LIMIT: usize = 3 * 1024 * 1024;
/// Most that is read and thrown away of a body beyond the limit: a client that is still writing when the connection closes is told of a broken
/// connection and never sees the refusal. Whoever sends more than this does.
const DISCARD_LIMIT: usize = 64 * 1024 * 1024;
/// Longest that it is read for; over loopback the limit above takes a fraction of this.
const DISCARD_PATIENCE: Duration = Duration::from_secs(5);

/// The service that answers everything.
pub(crate) fn app(shared: Arc<Shared>) -> Router {
    Router::new().fallback(answer).with_state(shared)
}

/// One request, with everything the operations need.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) accepted: Accepted,
    pub(crate) content_type: String,
    pub(crate) user_agent: String,
    pub(crate) body: bytes::Bytes,
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let outcome = match read(request).await {
        Ok(call) => dispatch(&shared, call),
        Err(refusal) => Err(refusal),
    };
    let response = outcome.unwrap_or_else(|refusal| refused(&refusal));
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    response
}

async fn read(request: Request<Body>) -> Result<Call, ApiError> {
    let text = |headers: &HeaderMap, name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let (parts, body) = request.into_parts();
    let query = Query::of(&parts.uri)?;
    let accepted = request::accepted(&text(&parts.headers, header::ACCEPT))?;
    let body = whole(body).await?;
    Ok(Call {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query,
        accepted,
        content_type: text(&parts.headers, header::CONTENT_TYPE),
        user_agent: text(&parts.headers, header::USER_AGENT),
        body,
    })
}

/// The body, or the refusal of one that is too large: said when the client has written it, as far as that is bounded.
async fn whole(body: Body) -> Result<bytes::Bytes, ApiError> {
    let mut stream = body.into_data_stream();
    let mut kept = bytes::BytesMut::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| ApiError::bad_request("the request body could not be read"))?;
        if kept.len() + piece.len() > BODY_LIMIT {
            let _written_or_given_up = tokio::time::timeout(DISCARD_PATIENCE, discard(stream)).await;
            return Err(ApiError::too_large(BODY_LIMIT));
        }
        kept.extend_from_slice(&piece);
    }
    Ok(kept.freeze())
}

async fn discard(mut stream: BodyDataStream) {
    let mut discarded = 0;
    while let Some(Ok(piece)) = stream.next().await
        && discarded < DISCARD_LIMIT
    {
        discarded += piece.len();
    }
}

fn dispatch(shared: &Arc<Shared>, call: Call) -> Result<Response, ApiError> {
    if shared.faults.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).unavailable {
        return Err(ApiError::unavailable());
    }
    match request::place(&call.path) {
        Some(Place::Resource(path)) => resource(shared, path, call),
        Some(place) => discovery::answer(shared, &place, &call),
        None => Err(ApiError::no_such_path()),
    }
}

fn target(shared: &Shared, path: &ResourcePath) -> Result<Target, ApiError> {
    let world = shared.lock();
    let def = world.cluster.registry.get(&path.group, &path.resource).filter(|def| def.versions.contains(&path.version));
    let knows_group = world.cluster.registry.all().any(|def| def.group == path.group);
    let unknown = || if knows_group { ApiError::no_such_path() } else { ApiError::no_such_group() };
    let def = def.cloned().ok_or_else(unknown)?;
    // A namespaced object has no address without its namespace, a cluster-scoped one none with it.
    if def.namespaced && path.namespace.is_empty() && !path.name.is_empty() || !def.namespaced && !path.namespace.is_empty() {
        return Err(ApiError::no_such_path());
    }
    Ok(Target {
        def,
        version: path.version.clone(),
        namespace: path.namespace.clone(),
        name: path.name.clone(),
        subresource: path.subresource.clone(),
    })
}

fn resource(shared: &Arc<Shared>, path: ResourcePath, call: Call) -> Result<Response, ApiError> {
    let target = target(shared, &path)?;
    {
        let faults = shared.faults.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if faults.denied.iter().any(|(group, plural)| *group == target.def.group && *plural == target.def.plural) {
            let verb = if call.query.flag("watch") { "watch" } else { "list" };
            let why = format!(
                "User \"system:anonymous\" cannot {verb} resource {:?} in API group {:?} at the cluster scope",
                target.def.plural, target.def.group
            );
            return Err(ApiError::forbidden(target.about(), &why));
        }
    }
    if !matches!(target.subresource.as_str(), "" | "status") {
        return subresource::answer(shared, &target, &call);
    }
    if target.subresource == "status" && !target.def.traits.status {
        return Err(ApiError::no_such_path());
    }
    if target.def.traits.create_only {
        return match (&call.method, target.name.is_empty()) {
            (&Method::POST, true) => subresource::review(&target, &call),
            _ => Err(ApiError::method_not_allowed()),
        };
    }
    let watches = call.query.flag("watch");
    match (&call.method, target.name.is_empty()) {
        // A single object is not watched under its own name.
        (&Method::GET, true) if watches => watch(shared, target, &call),
        (&Method::GET, true) => {
            let now = shared.now();
            let page = list::page(&shared.lock().cluster, &target, &call.query)?;
            Ok(text_answer(StatusCode::OK, Painter::new(&target, call.accepted, Wrapping::Single).paint_list(&page, now), call.accepted))
        }
        (&Method::GET, false) => {
            let object = shared.lock().cluster.find(&target)?;
            let body = Painter::new(&target, call.accepted, Wrapping::Single).paint(&object, shared.now());
            Ok(text_answer(StatusCode::OK, body, call.accepted))
        }
        (&Method::POST, true) => create(shared, &target, &call),
        (&Method::PUT, false) => update(shared, &target, &call),
        (&Method::PATCH, false) => patch(shared, &target, &call),
        (&Method::DELETE, false) => delete(shared, &target, &call),
        (&Method::DELETE, true) => delete_collection(shared, &target, &call),
        _ => Err(ApiError::method_not_allowed()),
    }
}

fn watch(shared: &Arc<Shared>, target: Target, call: &Call) -> Result<Response, ApiError> {
    let watch = Watch::open(shared, target, &call.query, call.accepted)?;
    let stream = futures::stream::unfold(watch, |mut watch| async move {
        let piece = watch.next().await?;
        Some((Ok::<_, Infallible>(piece), watch))
    });
    Ok(response(StatusCode::OK, "application/json", Body::from_stream(stream)))
}

/// The body of a request as JSON, from JSON, YAML or protobuf.
pub(crate) fn decoded(call: &Call, target: &Target) -> Result<Value, ApiError> {
    let media = call.content_type.split(';').next().unwrap_or("").trim();
    match media {
        "application/json" | "" | "*/*" => serde_json::from_slice(&call.body)
            .map_err(|error| ApiError::bad_request(format!("couldn't get version/kind; json parse error: {error}"))),
        "application/yaml" => yaml(&call.body),
        "application/vnd.kubernetes.protobuf" if !target.def.is_custom() => protobuf::decode(&call.body, &target.def)
            .map_err(|why| ApiError::unsupported_media_type(&format!("application/json, application/yaml (protobuf: {why})"))),
        _ => Err(ApiError::unsupported_media_type("application/json, application/yaml")),
    }
}

/// YAML as JSON.
pub(crate) fn yaml(text: &[u8]) -> Result<Value, ApiError> {
    serde_saphyr::from_slice(text).map_err(|error| ApiError::bad_request(format!("error parsing YAML: {error}")))
}

/// Who writes, by the request.
pub(crate) fn writer(shared: &Shared, call: &Call) -> Result<Writer, ApiError> {
    let dry_run = match call.query.text("dryRun") {
        "" => false,
        "All" => true,
        other => {
            let about = crate::status::About { group: "meta.k8s.io", resource: "CreateOptions", name: "" };
            let cause = crate::status::Cause::unsupported("dryRun", &json!([other]), &["All"]);
            return Err(ApiError::invalid(about, &[cause]));
        }
    };
    let stated = call.query.text("fieldManager");
    let manager = if stated.is_empty() { request::manager(&call.user_agent) } else { stated.to_owned() };
    Ok(Writer { manager, now: shared.now(), dry_run })
}

fn create(shared: &Shared, target: &Target, call: &Call) -> Result<Response, ApiError> {
    let writer = writer(shared, call)?;
    let body = decoded(call, target)?;
    let written = shared.write(|world, _| world.cluster.create(target, body, &writer))?;
    Ok(painted(shared, target, call, StatusCode::CREATED, &written.object))
}

fn update(shared: &Shared, target: &Target, call: &Call) -> Result<Response, ApiError> {
    let writer = writer(shared, call)?;
    let body = decoded(call, target)?;
    let written = shared.write(|world, _| world.cluster.update(target, body, &writer))?;
    let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(painted(shared, target, call, status, &written.object))
}

fn patch(shared: &Shared, target: &Target, call: &Call) -> Result<Response, ApiError> {
    let kind = PatchType::of(&call.content_type, target)?;
    let writer = writer(shared, call)?;
    if kind == PatchType::Apply && call.query.text("fieldManager").is_empty() {
        let about = crate::status::About { group: "meta.k8s.io", resource: "PatchOptions", name: "" };
        let cause = crate::status::Cause::required("fieldManager", "is required for apply patch");
        return Err(ApiError::invalid(about, &[cause]));
    }
    let body = match kind {
        PatchType::Apply => yaml(&call.body)?,
        PatchType::Json | PatchType::Merge | PatchType::Strategic => {
            serde_json::from_slice(&call.body).map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?
        }
    };
    let force = call.query.flag("force");
    let written = shared.write(|world, _| world.cluster.patch(target, kind, body, force, &writer))?;
    let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(painted(shared, target, call, status, &written.object))
}

/// What a deletion asks for, from its body and its query.
fn delete_options(call: &Call, target: &Target) -> Result<DeleteOptions, ApiError> {
    let body = if call.body.is_empty() { json!({}) } else { decoded(call, target)? };
    let policy = match (tree::text(&body, "/propagationPolicy"), call.query.text("propagationPolicy")) {
        ("", policy) => policy.to_owned(),
        (policy, _) => policy.to_owned(),
    };
    let orphans = tree::flag(&body, "/orphanDependents") || call.query.flag("orphanDependents");
    let propagation = match policy.as_str() {
        "Foreground" => Propagation::Foreground,
        "Orphan" => Propagation::Orphan,
        "" if orphans => Propagation::Orphan,
        "" | "Background" => Propagation::Background,
        other => {
            let about = crate::status::About { group: "meta.k8s.io", resource: "DeleteOptions", name: "" };
            let cause =
                crate::status::Cause::unsupported("propagationPolicy", &other.into(), &["Foreground", "Background", "Orphan", "nil"]);
            return Err(ApiError::invalid(about, &[cause]));
        }
    };
    let precondition = |field: &str| body.pointer(&format!("/preconditions/{field}")).and_then(Value::as_str).map(str::to_owned);
    Ok(DeleteOptions {
        grace_seconds: tree::number(&body, "/gracePeriodSeconds").or(call.query.number("gracePeriodSeconds")?),
        propagation,
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
    })
}

fn delete_writer(shared: &Shared, call: &Call, target: &Target) -> Result<Writer, ApiError> {
    let mut writer = writer(shared, call)?;
    if !call.body.is_empty() {
        let body = decoded(call, target)?;
        writer.dry_run |= tree::items(&body, "/dryRun").iter().any(|value| value == "All");
    }
    Ok(writer)
}

fn delete(shared: &Shared, target: &Target, call: &Call) -> Result<Response, ApiError> {
    let options = delete_options(call, target)?;
    let writer = delete_writer(shared, call, target)?;
    let told = shared.write(|world, _| {
        let removal = world.cluster.delete(target, &options, &writer)?;
        Ok::<_, ApiError>(world.cluster.told(target, &removal))
    })?;
    Ok(json_answer(StatusCode::OK, &told, call.accepted))
}

fn delete_collection(shared: &Shared, target: &Target, call: &Call) -> Result<Response, ApiError> {
    if target.def.kind == "Namespace" || target.def.kind == "Service" && target.namespace.is_empty() {
        return Err(ApiError::method_not_allowed());
    }
    let options = delete_options(call, target)?;
    let writer = delete_writer(shared, call, target)?;
    let page = shared.write(|world, _| {
        let page = list::page(&world.cluster, target, &call.query)?;
        for object in &page.items {
            delete_item(world, target, object, &options, &writer)?;
        }
        Ok::<_, ApiError>(page)
    })?;
    let plain = Accepted { form: Form::Object, ..call.accepted };
    Ok(text_answer(StatusCode::OK, Painter::new(target, plain, Wrapping::Single).paint_list(&page, shared.now()), plain))
}

fn delete_item(
    world: &mut World,
    target: &Target,
    object: &crate::store::Object,
    options: &DeleteOptions,
    writer: &Writer,
) -> Result<(), ApiError> {
    let one = Target { namespace: object.namespace().to_owned(), name: object.name().to_owned(), ..target.clone() };
    match world.cluster.delete(&one, options, writer) {
        Ok(_) => Ok(()),
        // Gone since the list was made, by a cascade.
        Err(refusal) if refusal.code == StatusCode::NOT_FOUND => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

fn painted(shared: &Shared, target: &Target, call: &Call, status: StatusCode, object: &crate::store::Object) -> Response {
    text_answer(status, Painter::new(target, call.accepted, Wrapping::Single).paint(object, shared.now()), call.accepted)
}

/// A refusal as an answer.
pub(crate) fn refused(refusal: &ApiError) -> Response {
    if refusal.is_plain_text() {
        return response(refusal.code, "text/plain; charset=utf-8", Body::from(refusal.message.clone()));
    }
    let mut out = response(refusal.code, "application/json", Body::from(refusal.status().to_string()));
    if let Some(seconds) = refusal.details.as_ref().and_then(|details| details.get("retryAfterSeconds")).and_then(Value::as_u64) {
        out.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    out
}

/// JSON as an answer.
pub(crate) fn json_answer(status: StatusCode, value: &Value, accepted: Accepted) -> Response {
    text_answer(status, value.to_string(), accepted)
}

/// JSON text as an answer, in the notation that the client asked for.
pub(crate) fn text_answer(status: StatusCode, json: String, accepted: Accepted) -> Response {
    if accepted.yaml {
        let parsed: Value = serde_json::from_str(&json).unwrap_or(Value::Null);
        if let Ok(text) = serde_saphyr::to_string(&parsed) {
            return response(status, "application/yaml", Body::from(text));
        }
    }
    response(status, "application/json", Body::from(json))
}

/// Any answer.
pub(crate) fn response(status: StatusCode, media: &'static str, body: Body) -> Response {
    let mut out = Response::new(body);
    *out.status_mut() = status;
    out.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media));
    out.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache, private"));
    out
}
