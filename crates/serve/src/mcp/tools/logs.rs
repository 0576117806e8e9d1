//! Logs of containers, as a tool, a resource and what a subscription tells.

use proreus_app::pod_logs::{DEFAULT_LOG_LINES, LogPlace, LogQuestion, MAX_LOG_LINES, WantedLog};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::mcp::answers::{Answer, clipped, cost};
use crate::mcp::asker::Asker;
use crate::mcp::refusal::{Refusal, read};
use crate::mcp::rpc::JsonObject;

/// What lines may cost in one answer, as answers reckon it: what is left of one beside its summary.
const LOG_COST: usize = 20_000;
/// Longest line in one answer, in letters: of the costliest ones, so many still fit.
const LINE_CHARS: usize = 1_500;

/// Which log.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LogArguments {
    /// Namespace.
    namespace: String,
    /// Pod.
    pod: String,
    /// Container, where the pod has several.
    container: Option<String>,
    /// Id or configured name of the cluster, where several have a pod of that name.
    cluster: Option<String>,
    /// Last lines at most, 1 to 5000; 200 unless said otherwise.
    tail_lines: Option<u64>,
    /// Not older than this many seconds.
    since_seconds: Option<u64>,
    /// Of the container before the last restart.
    previous: Option<bool>,
    /// Whether to say which resource to subscribe to for what follows.
    follow: Option<bool>,
}

/// The tool.
pub(super) async fn tool(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let given: LogArguments = read(arguments)?;
    let lines = given.tail_lines.unwrap_or(DEFAULT_LOG_LINES);
    if !(1..=MAX_LOG_LINES).contains(&lines) {
        return Err(Refusal::argument(format!("`tailLines` is {lines}"), format!("give 1 to {MAX_LOG_LINES}")));
    }
    let log = LogQuestion {
        namespace: given.namespace,
        pod: given.pod,
        container: given.container,
        tail_lines: lines,
        since_seconds: given.since_seconds,
        previous: given.previous.unwrap_or(false),
    };
    let wanted = WantedLog { cluster: given.cluster, log };
    let answer = tail(&asker, &wanted).await?;
    Ok(match (given.follow.unwrap_or(false), &wanted.log.container) {
        (true, Some(container)) => {
            let uri = format!("k0rdent://podlogs/{}/{}/{container}", wanted.log.namespace, wanted.log.pod);
            let of = form_urlencoded::Serializer::new(String::new()).extend_pairs(wanted.cluster.iter().map(|of| ("cluster", of))).finish();
            answer.with("subscribe", json!(if of.is_empty() { uri } else { format!("{uri}?{of}") }))
        }
        (true, None) => answer.with("subscribe", json!("name the container, then subscribe to k0rdent://podlogs/NAMESPACE/POD/CONTAINER")),
        (false, _) => answer,
    })
}

/// The end of a log as an answer: of what does not fit, the newest lines.
pub(crate) async fn tail(asker: &Asker, wanted: &WantedLog) -> Result<Answer, Refusal> {
    let place = log_place(asker, wanted).await?;
    let found = asker.shared.app.log_tail(&place, &wanted.log).await?;
    let total = found.lines.len();
    let lines = newest(found.lines);
    let is_cut = found.is_cut || lines.len() < total;
    let LogQuestion { namespace, pod, container, .. } = &wanted.log;
    let of = container.as_ref().map(|container| format!(", container {container}")).unwrap_or_default();
    let older = if is_cut { ", the newest; ask for fewer with tailLines or sinceSeconds to see that nothing is missing" } else { "" };
    let summary = format!("{} lines of the log of pod {namespace}/{pod}{of}{older}.", lines.len());
    let result = json!({"namespace": namespace, "pod": pod, "container": container, "lines": lines, "isCut": is_cut});
    Ok(Answer::one(summary, result))
}

/// Where a log is read, if the caller may read it.
pub(crate) async fn log_place(asker: &Asker, wanted: &WantedLog) -> Result<LogPlace, Refusal> {
    if asker.shared.app.logs.is_none() {
        return Err(Refusal::no_logs(asker.reach));
    }
    let of = wanted.clone();
    let place = asker.ask(move |app, access| app.log_place(&of, access)).await?;
    asker.shared.app.admit_to_log(&place, &asker.caller()).await?;
    Ok(place)
}

/// Of the lines the newest that fit into one answer.
fn newest(lines: Vec<String>) -> Vec<String> {
    let mut room = LOG_COST;
    let fitting = lines.into_iter().rev().map(|line| clipped(&line, LINE_CHARS)).take_while(|line| {
        let cost = cost_of(line);
        let fits = cost <= room;
        room = room.saturating_sub(cost);
        fits
    });
    let mut newest: Vec<String> = fitting.collect();
    newest.reverse();
    newest
}

/// The lines in portions that each fit into one message, in their order.
pub(crate) fn portions(lines: Vec<String>) -> Vec<Vec<String>> {
    let (mut all, mut room) = (Vec::<Vec<String>>::new(), 0);
    for line in lines {
        let line = clipped(&line, LINE_CHARS);
        let cost = cost_of(&line);
        match all.last_mut() {
            Some(last) if cost <= room => last.push(line),
            _ => {
                all.push(vec![line]);
                room = LOG_COST;
            }
        }
        room = room.saturating_sub(cost);
    }
    all
}

fn cost_of(line: &str) -> usize {
    // With the comma behind it, in both of its forms.
    cost(&json!(line)) + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_of_any_kind_are_in_the_answer() {
        let kinds: [fn(usize) -> String; 4] = [
            |number| format!("line {number}"),
            |number| format!("строка {number} {}", "ж".repeat(40)),
            |number| format!(r#"{{"a":"b\n","n":"{number}"}}"#),
            |number| format!("{number} {}", "\u{1}".repeat(5_000)),
        ];
        for line in kinds {
            let lines: Vec<String> = (0..2_000).map(line).collect();
            let kept = newest(lines.clone());
            assert!(!kept.is_empty() && kept.len() < 2_000);
            let result = Answer::one("A log.", json!({"lines": kept, "isCut": true})).into_result();
            let told = &result["structuredContent"];
            assert_eq!(told.get("shortened"), None, "{told}");
            let last = told["result"]["lines"].as_array().and_then(|lines| lines.last()).and_then(serde_json::Value::as_str);
            assert_eq!(last.map(|line| line.split_whitespace().next()), lines.last().map(|line| line.split_whitespace().next()));
        }
        assert_eq!(newest(Vec::new()), Vec::<String>::new());
    }

    #[test]
    fn portions_hold_every_line_in_order_and_each_fits() {
        let lines: Vec<String> = (0..2_000).map(|number| format!("line {number}")).collect();
        let portions = portions(lines.clone());
        assert!(portions.iter().all(|portion| portion.iter().map(|line| cost_of(line)).sum::<usize>() <= LOG_COST));
        assert_eq!(portions.concat(), lines);
    }
}
