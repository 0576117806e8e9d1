//! The protocol's official conformance suite against a server that has the suite's own fixtures beside its tools, in both eras.
//!
//! The server as it is, without them, is tried with the whole program. Needs the Node programs under the target folder, where
//! `tests/prepare` puts them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that does not hold")]

mod shop;

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use proreus_serve::mcp::{AgentProfile, Telling};
use proreus_serve::{Exposure, ServeOptions, router};
use serde_json::{Map, Value, json};
use shop::Shop;
use tokio_util::sync::CancellationToken;

/// How long one run may take.
const RUN_TIMEOUT: Duration = Duration::from_secs(300);
/// A picture of one pixel, and a sound without samples.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

/// What the suite asks for by name.
struct Fixtures;

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn image() -> Value {
    json!({"type": "image", "data": PNG, "mimeType": "image/png"})
}

fn resource(uri: &str, kind: &str, text: &str) -> Value {
    json!({"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": text}})
}

fn said(parts: &[Value]) -> Value {
    let messages: Vec<Value> = parts.iter().map(|part| json!({"role": "user", "content": part})).collect();
    json!({"messages": messages})
}

const TOOLS: [&str; 7] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_error_handling",
    "test_tool_with_progress",
];

impl AgentProfile for Fixtures {
    fn tools(&self) -> Vec<Value> {
        TOOLS.iter().map(|name| json!({"name": name, "description": "A fixture.", "inputSchema": {"type": "object"}})).collect()
    }

    fn call<'a>(&'a self, name: &'a str, telling: Telling<'a>) -> BoxFuture<'a, Option<Value>> {
        async move {
            let content = match name {
                "test_simple_text" => vec![text("This is a simple text response for testing.")],
                "test_image_content" => vec![image()],
                "test_audio_content" => vec![json!({"type": "audio", "data": WAV, "mimeType": "audio/wav"})],
                "test_embedded_resource" => {
                    vec![resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]
                }
                "test_multiple_content_types" => vec![
                    text("Multiple content types test:"),
                    image(),
                    resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
                ],
                "test_error_handling" => {
                    return Some(json!({"isError": true, "content": [text("This tool intentionally returns an error for testing")]}));
                }
                "test_tool_with_progress" => {
                    for done in [0.0, 50.0, 100.0] {
                        telling.tell(done, 100.0, "under way").await;
                    }
                    vec![text("done")]
                }
                _ => return None,
            };
            Some(json!({"content": content, "isError": false}))
        }
        .boxed()
    }

    fn resources(&self) -> Vec<Value> {
        ["test://static-text", "test://static-binary", "test://watched-resource"]
            .iter()
            .map(|uri| json!({"uri": uri, "name": uri}))
            .collect()
    }

    fn templates(&self) -> Vec<Value> {
        vec![json!({"uriTemplate": "test://template/{id}/data", "name": "template"})]
    }

    fn read(&self, uri: &str) -> Option<Value> {
        let content = match uri {
            "test://static-text" => {
                json!({"uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource."})
            }
            "test://static-binary" => json!({"uri": uri, "mimeType": "image/png", "blob": PNG}),
            "test://watched-resource" => json!({"uri": uri, "mimeType": "text/plain", "text": "Watched resource content"}),
            _ => {
                let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
                let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
                json!({"uri": uri, "mimeType": "application/json", "text": data.to_string()})
            }
        };
        Some(json!({"contents": [content]}))
    }

    fn is_watched(&self, uri: &str) -> bool {
        uri == "test://watched-resource"
    }

    fn prompts(&self) -> Vec<Value> {
        let argument = |name: &str| json!({"name": name, "description": "An argument.", "required": true});
        vec![
            json!({"name": "test_simple_prompt", "description": "A fixture."}),
            json!({"name": "test_prompt_with_arguments", "description": "A fixture.", "arguments": [argument("arg1"), argument("arg2")]}),
            json!({"name": "test_prompt_with_embedded_resource", "description": "A fixture.", "arguments": [argument("resourceUri")]}),
            json!({"name": "test_prompt_with_image", "description": "A fixture."}),
        ]
    }

    fn prompt(&self, name: &str, arguments: Option<&Map<String, Value>>) -> Option<Value> {
        let given = |name: &str| arguments.and_then(|given| given.get(name)).and_then(Value::as_str).unwrap_or_default();
        Some(match name {
            "test_simple_prompt" => said(&[text("This is a simple prompt for testing.")]),
            "test_prompt_with_arguments" => {
                said(&[text(&format!("Prompt with arguments: arg1='{}', arg2='{}'", given("arg1"), given("arg2")))])
            }
            "test_prompt_with_embedded_resource" => said(&[
                resource(given("resourceUri"), "text/plain", "Embedded resource content for testing."),
                text("Please process the embedded resource above."),
            ]),
            "test_prompt_with_image" => said(&[image(), text("Please analyze the image above.")]),
            _ => return None,
        })
    }
}

/// The suite's program and the Node that runs it, from the folder of their installation.
fn suite() -> tokio::process::Command {
    let built = std::env::current_exe().unwrap();
    let modules: Option<PathBuf> =
        built.ancestors().map(|folder| folder.join("node/node_modules")).find(|modules| modules.join(".bin/conformance").exists());
    let modules = modules.unwrap_or_else(|| {
        panic!("no folder above `{}` has `node/node_modules/.bin/conformance`: install it with tests/prepare", built.display())
    });
    let mut command = tokio::process::Command::new(modules.join("node/bin/node"));
    command.arg(modules.join(".bin/conformance")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_with_its_fixtures_but_for_what_the_server_does_not_offer() {
    let shop = Shop::open();
    let shutdown = CancellationToken::new();
    let options = ServeOptions { profile: Some(Arc::new(Fixtures)), ..ServeOptions::new(Exposure::Loopback, shutdown.clone()) };
    let routes = router(shop.app.clone(), options);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let ending = shutdown.clone();
    let running =
        tokio::spawn(async move { axum::serve(listener, routes).with_graceful_shutdown(async move { ending.cancelled().await }).await });
    let expected = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/conformance-with-fixtures.yaml");
    let home = tempfile::tempdir().unwrap();
    for version in ["2025-11-25", "2026-07-28"] {
        let mut command = suite();
        command.args(["server", "--url", &url, "--suite", "active", "--spec-version", version, "--expected-failures", expected]);
        let child = command.arg("--output-dir").arg(home.path().join(version)).spawn().unwrap();
        let output = tokio::time::timeout(RUN_TIMEOUT, child.wait_with_output()).await.expect("the suite took too long").unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{version}: {told}\n{}", String::from_utf8_lossy(&output.stderr));
        for scenario in ["tools-call-with-progress", "resources-templates-read", "prompts-get-with-image"] {
            assert!(told.contains(scenario), "{version}: {scenario} was not tried: {told}");
        }
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
}
