//! Copies of a trace with fresh uids, names and owners, so that a large journal holds many objects and not one object's many versions.
//!
//! Invariants: copy 0 is the trace itself; within a copy, what was equal stays equal, so owners still own and Events still speak of
//! their object; two copies share no uid and no name.

use std::collections::HashSet;
use std::sync::Arc;

use proreus_model::{Change, ObjectId};

/// Length of a uid as text.
const UID_LENGTH: usize = 36;

/// Makes copies of the changes of one trace.
pub(crate) struct Copies {
    names: HashSet<String>,
}

impl Copies {
    /// Learns the names of the trace's objects.
    pub(crate) fn of(changes: &[Change]) -> Self {
        Self { names: changes.iter().map(|change| change.object.name.to_string()).collect() }
    }

    /// The change in the copy of this number.
    pub(crate) fn change(&self, change: &Change, copy: u64) -> Change {
        if copy == 0 {
            return change.clone();
        }
        let fresh = |text: &str| self.fresh(text, copy);
        let object = &change.object;
        Change {
            object: ObjectId {
                cluster: object.cluster.clone(),
                group: object.group.clone(),
                kind: object.kind.clone(),
                namespace: fresh(object.namespace.as_str()).into(),
                name: fresh(object.name.as_str()).into(),
                uid: fresh(object.uid.as_str()).into(),
            },
            regarding: change.regarding.as_ref().map(|uid| fresh(uid.as_str()).into()),
            body: change.body.as_ref().map(|body| Arc::from(self.body(body, copy))),
            ..change.clone()
        }
    }

    /// The body with every string that is a name, and every uid in any string, made fresh; keys stay.
    fn body(&self, body: &[u8], copy: u64) -> Vec<u8> {
        let mut fresh = Vec::with_capacity(body.len() + body.len() / 16);
        let mut rest = body;
        while let Some(open) = rest.iter().position(|byte| *byte == b'"') {
            let (before, string) = rest.split_at(open + 1);
            fresh.extend_from_slice(before);
            let length = string_length(string);
            let (content, after) = string.split_at(length);
            let is_key = after.get(1) == Some(&b':');
            match std::str::from_utf8(content) {
                Ok(text) if !is_key => fresh.extend_from_slice(self.fresh(text, copy).as_bytes()),
                _ => fresh.extend_from_slice(content),
            }
            let (quote, tail) = after.split_at(after.len().min(1));
            fresh.extend_from_slice(quote);
            rest = tail;
        }
        fresh.extend_from_slice(rest);
        fresh
    }

    fn fresh(&self, text: &str, copy: u64) -> String {
        if self.names.contains(text) {
            return format!("{text}-{copy:x}");
        }
        let mut fresh = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(head) = rest.get(..UID_LENGTH) {
            let step = if is_uid(head) {
                fresh.push_str(&fresh_uid(head, copy));
                UID_LENGTH
            } else {
                let first = rest.chars().next().map_or(1, char::len_utf8);
                fresh.push_str(rest.get(..first).unwrap_or_default());
                first
            };
            rest = rest.get(step..).unwrap_or_default();
        }
        // What is shorter than a uid holds none, and neither does text whose 36th byte is inside a character: no uid begins there.
        if rest.len() < UID_LENGTH || !rest.is_ascii() {
            fresh.push_str(rest);
        }
        fresh
    }
}

/// Bytes of a JSON string up to its closing quote.
fn string_length(string: &[u8]) -> usize {
    let mut escaped = false;
    for (index, byte) in string.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index,
            _ => {}
        }
    }
    string.len()
}

fn is_uid(text: &str) -> bool {
    text.bytes().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// Another uid, as random as the one it comes from.
fn fresh_uid(uid: &str, copy: u64) -> String {
    let digits: String = uid.chars().filter(|digit| *digit != '-').collect();
    let number = u128::from_str_radix(&digits, 16).unwrap_or_default();
    // An odd multiplier is a bijection, so two uids of one copy stay two; the constants are those of a well-mixing generator.
    let mixed = (number ^ (u128::from(copy) << 64 | u128::from(copy))).wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645);
    let hex = format!("{:032x}", mixed ^ (mixed >> 67));
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

    fn copies() -> Copies {
        Copies { names: HashSet::from(["web".to_owned(), "shop".to_owned()]) }
    }

    #[test]
    fn makes_names_and_uids_fresh_and_leaves_the_rest() {
        let body = format!(r#"{{"metadata":{{"name":"web","uid":"{UID}"}},"web":"as \"web\" é","path":"/pods/{UID}/x","n":1}}"#);
        let fresh = String::from_utf8_lossy(&copies().body(body.as_bytes(), 10)).into_owned();
        let uid = fresh_uid(UID, 10);
        let wanted = format!(r#"{{"metadata":{{"name":"web-a","uid":"{uid}"}},"web":"as \"web\" é","path":"/pods/{uid}/x","n":1}}"#);
        assert_eq!(fresh, wanted);
        assert!(is_uid(&uid) && uid != UID);
    }

    #[test]
    fn loses_no_text_whatever_its_characters() {
        for text in ["", "é", &"é".repeat(17), &format!("{}é", "a".repeat(35)), &format!("aé{}é{}", "b".repeat(34), "c".repeat(40))] {
            assert_eq!(copies().fresh(text, 7), text);
        }
    }

    #[test]
    fn gives_every_copy_other_uids() {
        let uids: HashSet<String> = (1..1_000).map(|copy| fresh_uid(UID, copy)).collect();
        assert_eq!(uids.len(), 999);
    }
}
