//! Kubernetes Events of a scenario: in the short form, counted up when they repeat, and whole ones that leave something out.
//!
//! Pure.

use serde_json::{Value, json};

use super::{Place, Player, Writing};
use crate::complete;
use crate::file::{ScenarioError, check_keys, kind_of, wrong};
use crate::kinds::word;
use crate::patch;
use crate::time;

impl Player {
    pub(super) fn event(&mut self, value: &Value, writing: Writing<'_>, place: &str) -> Result<(), ScenarioError> {
        let map = value.as_object().ok_or_else(|| wrong(place, format!("a mapping is needed, found {}", kind_of(value))))?;
        let allowed = [
            "for",
            "involvedObject",
            "regarding",
            "type",
            "reason",
            "message",
            "note",
            "component",
            "host",
            "fieldPath",
            "api",
            "action",
            "count",
            "name",
        ];
        check_keys(map, &allowed, place)?;
        let about = map.get("for").or_else(|| map.get("involvedObject")).or_else(|| map.get("regarding"));
        let about = about.ok_or_else(|| wrong(place, "it has no `for`, the object that it speaks of"))?;
        let at = match about {
            Value::String(text) => self.find_word(text, place)?,
            about => self.find(about, &format!("{place}, for"))?,
        };
        let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default();
        let known = self.live.get(&at);
        let uid = known.map_or_else(|| word(about, "/uid").to_owned(), |live| live.id.uid.to_string());
        let named = Some(word(about, "/apiVersion")).filter(|named| !named.is_empty()).unwrap_or("v1");
        let api_version = known.map_or(named, |live| word(&live.body, "/apiVersion")).to_owned();
        let message = if text("message").is_empty() { text("note") } else { text("message") };
        let level = match text("type") {
            "" => "Warning",
            level => level,
        };
        let said = complete::uid(self.seed, &[&uid, text("reason"), message, text("fieldPath"), text("component")]);
        let name = match text("name") {
            "" => format!("{}.{}", at.3, said.get(..16).unwrap_or_default().replace('-', "")),
            name => name.to_owned(),
        };
        let namespace = if at.2.is_empty() { "default" } else { &at.2 };
        let own: Place = (String::new(), "Event".to_owned(), namespace.to_owned(), name.clone());
        let before = self.live.get(&own).map(|live| live.body.clone());
        let count = map.get("count").and_then(Value::as_i64);
        let count = count.unwrap_or_else(|| before.as_ref().and_then(|before| before.get("count")?.as_i64()).unwrap_or(0) + 1);
        let now = time::text(writing.at);
        let first = before.as_ref().map_or(now.as_str(), |before| word(before, "/firstTimestamp")).to_owned();
        let mut involved = json!({"apiVersion": api_version, "kind": at.1, "name": at.3, "namespace": at.2, "uid": uid});
        if !text("fieldPath").is_empty() {
            involved["fieldPath"] = text("fieldPath").into();
        }
        let body = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
            "involvedObject": involved, "type": level, "reason": text("reason"), "message": message, "count": count,
            "firstTimestamp": first, "lastTimestamp": now, "source": {"component": text("component"), "host": text("host")},
        });
        let body = match before {
            Some(mut before) => {
                patch::merge(&mut before, &body);
                before
            }
            None => body,
        };
        self.write(own, body, None, writing);
        Ok(())
    }

    /// The uid of what a whole Event speaks of, and its times.
    pub(super) fn complete_event(&self, config: &mut Value, writing: Writing<'_>) {
        let key = if config.get("regarding").is_some() { "regarding" } else { "involvedObject" };
        let Some(about) = config.get(key).cloned() else { return };
        if word(&about, "/uid").is_empty()
            && let Ok(at) = self.find(&about, "event")
            && let Some(live) = self.live.get(&at)
        {
            config[key]["uid"] = live.id.uid.as_str().into();
        }
        if word(config, "/lastTimestamp").is_empty() && word(config, "/eventTime").is_empty() && config.get("series").is_none() {
            config["lastTimestamp"] = time::text(writing.at).into();
        }
    }
}
