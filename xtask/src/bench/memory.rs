//! What a recorder has to watch: how many objects, and how long they are as the API server writes them.

use anyhow::{Context, Result};
use kube::Client;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::load::trace::served_types;

/// Everything that is recorded by default, as it is now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watched {
    pub(super) objects: u64,
    /// Their JSON, managedFields included.
    pub(super) bytes: u64,
}

#[derive(Deserialize)]
struct List<'l> {
    #[serde(borrow)]
    items: Vec<&'l RawValue>,
}

/// Lists every type that is recorded by default.
pub(super) async fn watched(client: &Client) -> Result<Watched> {
    let mut watched = Watched::default();
    for (path, _) in served_types(client).await? {
        let text = client.request_text(http::Request::get(&path).body(Vec::new())?).await;
        let text = text.with_context(|| format!("failed to list {path}"))?;
        let list: List<'_> = serde_json::from_str(&text).with_context(|| format!("{path} answers no list"))?;
        watched.objects += list.items.len() as u64;
        watched.bytes += list.items.iter().map(|item| item.get().len() as u64).sum::<u64>();
    }
    Ok(watched)
}
