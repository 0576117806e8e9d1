//! The reference page, written from the very definitions that clients are shown, so that the two cannot drift apart.

use std::fmt::Write as _;

use serde_json::Value;

use super::rpc::JsonObject;
use super::{prompts, resources, tools};

/// What holds for every tool and resource.
const PREFACE: &str = "# Model Context Protocol

Proreus is an MCP server: at `/mcp` of `proreus serve` by Streamable HTTP, and as `proreus mcp` on standard input and output. This page's lists are written from
the program's own definitions (`UPDATE=1 cargo test --package proreus-serve --test mcp reference`). How to hook it to an agent is in
[the guide](../guides/agents.md).

## What holds everywhere

* **Eras.** Protocol revisions 2024-11-05 to 2025-11-25 open a session with `initialize` and subscribe with `resources/subscribe`; 2026-07-28 has neither: each request
  stands alone, and `subscriptions/listen` is a long request. The same tools, resources and prompts answer in both.
* **Reading only.** Every tool has `readOnlyHint: true`. Nothing here changes a cluster.
* **Access.** `/mcp` is behind the same door as REST: the same bearer token, the same predicate pushed into the question, the same log. While the server listens on loopback,
  foreign `Host` and `Origin` headers get 403. A session belongs to the caller who opened it. On standard input whoever started the program asks.
* **Size.** No tool result and no resource is longer than 25,000 characters, structure and text together. Each begins with `summary`; what did not fit follows behind
  `nextCursor`, passed back as `cursor` with the same arguments. Single values that are too long are cut, and `shortened: true` says so.
* **Errors.** What the model can put right (an argument, a name, a time) is a result with `isError: true`, a sentence and a `hint:`. What the client did wrong, and what
  this server cannot have (a live cluster behind a directory's files), is an error of the protocol with such a sentence. A tool that does not exist is -32602; a resource
  that is not there is -32002, and -32602 for 2026-07-28.
* **Waiting.** `watch_changes` and `monitor_wait` wait up to `timeoutSeconds` (25 unless said otherwise, 600 at most) with progress notifications every 5 s, and may be
  cancelled. Clients that ignore subscriptions lose nothing: every push has a pull beside it, by cursor.
* **Times** are RFC 3339, a UTC date, or how long ago (`90s`, `15m`, `2h`, `7d`); with `--data-dir`, *now* is the journal's last record.
* **Secrets** are not recorded, so no answer holds one.

## Subscriptions

A subscription to `k0rdent://cluster-monitor/{namespace}/{name}` is told each update as `notifications/resources/updated`, the update itself in `_meta.delta`. Its first notification
is the newest update there is. Behind the question mark it takes:

| parameter | meaning |
|---|---|
| `timeout` | Seconds, 1 to 86,400; 3,600 unless said otherwise. Five minutes before the end (of a short one, a fifth of it) a warning is told, at the end a last word. |
| `await` | `true` waits for a cluster that does not exist yet. |
| `cluster` | Id or configured name of the cluster that holds it, where several have one of that name. |
| `cursor` | The `cursor` of an update: begin behind it. Positions survive restarts, so each update comes once. |

The terminal update ends the subscription: the last notification of the older era, the end of the `listen` request of the newer. What comes after it (a revocation, a
degradation, a deletion) is in the log, and for new subscriptions. `k0rdent://events/{namespace}` tells `{action: ADDED|MODIFIED|DELETED, event, cursor}`.

A client has 10 subscriptions at a time and all clients together 2,000; both can be configured ([configuration](configuration.md)). Clients are told apart by the token's
subject, else the session, else the connection. Listeners to Events, and `watch_changes` while it waits, take one of the 64 places that REST's streams have too. A listener has no queue: it reads the log at its own pace, hears how much fell out of it, and one that takes no
notification for 30 s is let go and its place freed.

`resources/read` of a monitor gives `{summary, monitor, updates, done, missed, nextCursor}`: where it stands now, and its log after `cursor`.

## What is absent

The k0rdent server's tools that write are answered with an error that says so: `serviceTemplates.install_from_catalog`, `serviceTemplates.delete`,
`clusterDeployments.delete`, `clusterDeployments.services.apply`, `clusterDeployments.services.remove`, `provider.{aws,azure,gcp}.clusterDeployments.deploy`. Its catalogue
(`k0rdent.catalog.serviceTemplates.list`) asks the internet and is absent too. Container logs (`podLogs.get`, `k0rdent://podlogs/…`) are not recorded: they are read from the cluster when asked for, so a data directory alone has none.
The protocol's tasks, sampling, elicitation, roots and logging are not offered.

";

/// The page as `docs/reference/mcp.md` holds it.
pub fn reference() -> String {
    let mut out = PREFACE.to_owned();
    // Writing into a String cannot fail.
    let _ = writeln!(out, "## Tools\n");
    for entry in tools::entries() {
        let _ = writeln!(out, "### `{}`\n\n{}\n", entry.name, joined(entry.description));
        arguments(&(entry.input)(), &mut out);
        let _ = writeln!(out, "Answers with {}.\n", answer_of(&(entry.output)()));
    }
    let _ = writeln!(out, "## Resource templates\n\n| address | what it gives |\n|---|---|");
    for (uri, _, description) in resources::TEMPLATES {
        let _ = writeln!(out, "| `{uri}` | {} |", joined(description));
    }
    let _ = writeln!(out, "\n## Prompts\n");
    for entry in &prompts::PROMPTS {
        let _ = writeln!(out, "### `{}`\n\n{}\n\n| argument | meaning |\n|---|---|", entry.name, entry.description);
        for (name, meaning, required) in entry.arguments {
            let _ = writeln!(out, "| `{name}`{} | {meaning} |", if *required { " (required)" } else { "" });
        }
        out.push('\n');
    }
    format!("{}\n", out.trim_end())
}

fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn arguments(schema: &JsonObject, out: &mut String) {
    let properties = schema.get("properties").and_then(Value::as_object).filter(|properties| !properties.is_empty());
    let Some(properties) = properties else {
        let _ = writeln!(out, "Takes nothing.\n");
        return;
    };
    let required: Vec<&str> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let _ = writeln!(out, "| argument | meaning |\n|---|---|");
    for (name, property) in properties {
        let meaning = joined(property["description"].as_str().unwrap_or_default());
        let _ = writeln!(out, "| `{name}`{} | {meaning} |", if required.contains(&name.as_str()) { " (required)" } else { "" });
    }
    out.push('\n');
}

/// `a list of Change as items`, `one Diff`.
fn answer_of(schema: &JsonObject) -> String {
    let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let typed = |of: &Value| of["$ref"].as_str().and_then(|target| target.rsplit('/').next()).map(|name| format!("`{name}`"));
    for (name, property) in &properties {
        if property["type"] == "array" {
            return format!("`{name}`, a list of {}", typed(&property["items"]).unwrap_or_else(|| "objects".to_owned()));
        }
    }
    let one = properties.iter().find(|(name, _)| !matches!(name.as_str(), "summary" | "shortened"));
    one.map_or_else(|| "a summary".to_owned(), |(name, _)| format!("`{name}`"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_absent_tools_are_named() {
        let page = super::reference();
        for name in super::super::tools::absent_names() {
            let short = name.trim_start_matches("k0rdent.mgmt.");
            let is_named = page.contains(short) || page.contains(name) || name.ends_with(".clusterDeployments.deploy");
            assert!(is_named, "{name}");
        }
    }
}
