//! The OpenAPI document and the router say the same.

use std::collections::BTreeSet;

use crate::shop::Shop;

/// Paths that the router knows, from the source of the handlers: each is one `path = "…"`.
fn paths_of_handlers() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rest");
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for rest in text.split("utoipa::path(get, path = \"").skip(1) {
            found.insert(rest.split('"').next().unwrap().to_owned());
        }
    }
    found
}

#[tokio::test]
async fn every_path_of_the_document_is_served() {
    let shop = Shop::open();
    let document = shop.json("/openapi.json").await;
    for path in document["paths"].as_object().unwrap().keys() {
        let uri = path.replace("{group}", "apps").replace("{kind}", "deploy").replace("{namespace}", "shop").replace("{name}", "web");
        let uri = uri.replace("{resourceType}", "deployments").replace("{id}", "inc-0");
        let request = http::Request::post(uri.as_str()).body(axum::body::Body::empty()).unwrap();
        assert_eq!(shop.send(request).await.status, 405, "{path} is known, and not by POST");
    }
}

#[tokio::test]
async fn every_handler_is_in_the_document_and_the_reverse() {
    let document = Shop::open().json("/openapi.json").await;
    let documented: BTreeSet<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(documented, paths_of_handlers());
}

#[tokio::test]
async fn guarded_endpoints_say_so_and_open_ones_do_not() {
    let document = Shop::open().json("/openapi.json").await;
    for (path, item) in document["paths"].as_object().unwrap() {
        let open = ["/health", "/livez", "/readyz", "/openapi.json"].contains(&path.as_str()) || path.starts_with("/.well-known/");
        assert_eq!(item["get"].get("security").is_none(), open, "{path}");
        assert_eq!(item["get"]["responses"].get("401").is_none(), open, "{path}");
    }
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() {
    let text = Shop::open().get("/openapi.json").await.text;
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    for rest in text.split("\"#/").skip(1) {
        let pointer = format!("/{}", rest.split('"').next().unwrap());
        assert!(document.pointer(&pointer).is_some(), "{pointer}");
    }
}
