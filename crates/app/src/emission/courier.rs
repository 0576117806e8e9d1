//! Takes a parcel to its receiver, in the receiver's words, and brings back what came of it.

use jiff::{SignedDuration, Timestamp};
use proreus_doctor::emission::{Notice, Outcome, Setting, alertmanager, kubernetes_event, sentinel, webhook};
use proreus_emit::{Answer, Post, Sender};
use proreus_record::{EventRefusal, EventWriter};
use serde_json::Value;

/// Longest wait for one Event: the API server's own limit is a minute, and nobody waits for us.
const EVENT_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

/// What came of a parcel, and why where it was not delivered.
pub(super) struct Reply {
    pub(super) outcome: Outcome,
    pub(super) reason: Option<String>,
}

/// The way to one receiver.
pub(super) enum Courier {
    Webhook(Sender),
    Alertmanager { sender: Sender, repeat: SignedDuration },
    Sentinel(Sender),
    Events { writer: EventWriter, instance: String },
}

impl Courier {
    pub(super) async fn take(&self, notices: &[Notice], setting: &Setting, now: Timestamp) -> Reply {
        let Some(first) = notices.first() else { return Reply { outcome: Outcome::Delivered, reason: None } };
        let post =
            |body: Value| Post { key: first.key.clone(), event: first.occasion.as_str(), body: body.to_string().into_bytes(), at: now };
        match self {
            Self::Webhook(sender) => reply(sender.send(post(webhook(first, setting))).await),
            Self::Sentinel(sender) => reply(sender.send(post(sentinel(first, setting))).await),
            Self::Alertmanager { sender, repeat } => reply(sender.send(post(alertmanager(notices, setting, *repeat, now))).await),
            Self::Events { writer, instance } => write(writer, first, instance).await,
        }
    }
}

fn reply(answer: Answer) -> Reply {
    let reason = answer.reason().map(str::to_owned);
    let outcome = match answer {
        Answer::Taken => Outcome::Delivered,
        Answer::Busy { retry_after, .. } => Outcome::Busy(signed(retry_after)),
        Answer::Failed { .. } => Outcome::Failed,
        Answer::Refused { .. } => Outcome::Refused,
        Answer::Rejected { .. } => Outcome::Rejected,
    };
    Reply { outcome, reason }
}

fn signed(wait: Option<std::time::Duration>) -> SignedDuration {
    wait.and_then(|wait| SignedDuration::try_from(wait).ok()).unwrap_or(SignedDuration::ZERO)
}

async fn write(writer: &EventWriter, notice: &Notice, instance: &str) -> Reply {
    // A registry or a whole cluster is no object that an Event could be about; REST and the other endpoints tell of it.
    let Some(event) = kubernetes_event(notice, instance) else { return Reply { outcome: Outcome::Delivered, reason: None } };
    let written = writer.apply(&event.namespace, &event.name, event.body.to_string().into_bytes());
    match tokio::time::timeout(EVENT_WITHIN, written).await {
        Ok(Ok(())) => Reply { outcome: Outcome::Delivered, reason: None },
        Ok(Err(refusal)) => Reply { outcome: outcome(&refusal), reason: Some(refusal.to_string()) },
        Err(_elapsed) => Reply { outcome: Outcome::Failed, reason: Some(format!("no answer within {} s", EVENT_WITHIN.as_secs())) },
    }
}

fn outcome(refusal: &EventRefusal) -> Outcome {
    match refusal.code {
        _ if refusal.namespace_ends => Outcome::Rejected,
        Some(401 | 403) => Outcome::Refused,
        Some(429 | 503) => Outcome::Busy(signed(refusal.retry_after)),
        Some(400 | 404 | 405 | 409 | 413 | 415 | 422) => Outcome::Rejected,
        Some(_) | None => Outcome::Failed,
    }
}
