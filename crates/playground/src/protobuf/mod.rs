//! Reading request bodies in Kubernetes' protobuf notation, which `kubectl create` and other typed clients send.
//!
//! Reading only: answers are JSON, which every such client takes. `fields.txt` holds the field numbers of the messages: a line a message,
//! `number:name:type`, where `*` is a list, `%` a map, `!` a message whose fields stand in its parent; `s` text, `y` bytes, `d` a double,
//! `i` and `b` numbers and booleans, in capitals where zero means unset. What is not in it is refused, never dropped.

use std::collections::HashMap;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::resource::ResourceDef;
use crate::time;

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\x00";
/// Messages within messages, as for JSON.
const DEPTH_LIMIT: usize = 64;

type Fields = HashMap<u64, (&'static str, &'static str)>;

fn messages() -> &'static HashMap<&'static str, Fields> {
    static MESSAGES: OnceLock<HashMap<&'static str, Fields>> = OnceLock::new();
    MESSAGES.get_or_init(|| {
        let field = |text: &'static str| {
            let (number, rest) = text.split_once(':')?;
            let (name, kind) = rest.split_once(':')?;
            Some((number.parse().ok()?, (name, kind)))
        };
        include_str!("fields.txt")
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(message, fields)| (message, fields.split(' ').filter_map(field).collect()))
            .collect()
    })
}

/// Name of the message of a type in one of its versions.
fn message_of(def: &ResourceDef, api_version: &str, kind: &str) -> String {
    let (group, version) = api_version.split_once('/').unwrap_or((&def.group, api_version));
    let package = match group.split('.').next().unwrap_or_default() {
        "" => "core",
        first => first,
    };
    if kind == "DeleteOptions" { "apis.meta.v1.DeleteOptions".to_owned() } else { format!("{package}.{version}.{kind}") }
}

/// A request body as JSON. `def` is the type of the endpoint.
pub(crate) fn decode(body: &[u8], def: &ResourceDef) -> Result<Value, String> {
    let rest = body.strip_prefix(MAGIC).ok_or("it does not begin with the protobuf prefix")?;
    let (mut type_meta, mut raw): (&[u8], &[u8]) = (&[], &[]);
    let mut reader = Reader { rest };
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => type_meta = bytes,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let (mut api_version, mut kind) = (String::new(), String::new());
    let mut reader = Reader { rest: type_meta };
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => api_version = text(bytes)?,
            (2, Wire::Bytes(bytes)) => kind = text(bytes)?,
            _ => {}
        }
    }
    let mut out = Map::new();
    message(&message_of(def, &api_version, &kind), raw, &mut out, 0)?;
    out.insert("apiVersion".to_owned(), api_version.into());
    out.insert("kind".to_owned(), kind.into());
    Ok(Value::Object(out))
}

/// The value of one field as it stands on the wire.
#[derive(Clone, Copy, Debug)]
enum Wire<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.rest.split_first().ok_or("it ends within a number")?;
            self.rest = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number is too long".to_owned())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("it ends within a field")?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next field; `None` at the end.
    fn field(&mut self) -> Result<Option<(u64, Wire<'a>)>, String> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let wire = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| "a number is cut")?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| "a length is too large")?;
                Wire::Bytes(self.take(length)?)
            }
            other => return Err(format!("wire type {other} is not used by Kubernetes")),
        };
        Ok(Some((key >> 3, wire)))
    }
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "a text is not valid UTF-8".to_owned())
}

fn message(name: &str, bytes: &[u8], out: &mut Map<String, Value>, depth: usize) -> Result<(), String> {
    if depth > DEPTH_LIMIT {
        return Err(format!("messages are nested deeper than {DEPTH_LIMIT}"));
    }
    let fields = messages().get(name).ok_or_else(|| format!("the message {name} is not known here; hint: send JSON"))?;
    let mut reader = Reader { rest: bytes };
    while let Some((number, wire)) = reader.field()? {
        let (field, kind) = fields.get(&number).ok_or_else(|| format!("field {number} of {name} is not known here; hint: send JSON"))?;
        if let (Some(_), Wire::Bytes(bytes)) = (field.strip_prefix('!'), wire) {
            message(kind, bytes, out, depth + 1)?;
        } else if let Some(item) = kind.strip_prefix('*') {
            let value = value(item, wire, depth)?.unwrap_or_else(|| json!(""));
            crate::tree::list_mut(out.entry(*field).or_insert(Value::Null), &[]).push(value);
        } else if let (Some(item), Wire::Bytes(bytes)) = (kind.strip_prefix('%'), wire) {
            let (key, value) = entry(item, bytes, depth)?;
            crate::tree::object(out.entry(*field).or_insert(Value::Null)).insert(key, value);
        } else if let Some(value) = value(kind, wire, depth)? {
            out.insert((*field).to_owned(), value);
        }
    }
    Ok(())
}

fn entry(kind: &str, bytes: &[u8], depth: usize) -> Result<(String, Value), String> {
    let (mut key, mut found) = (String::new(), json!(""));
    let mut reader = Reader { rest: bytes };
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?,
            (2, wire) => found = value(kind, wire, depth)?.unwrap_or_else(|| json!("")),
            _ => {}
        }
    }
    Ok((key, found))
}

/// One value; `None` where it means unset.
fn value(kind: &str, wire: Wire<'_>, depth: usize) -> Result<Option<Value>, String> {
    let signed = |number: u64| i64::from_ne_bytes(number.to_ne_bytes());
    Ok(match (kind, wire) {
        ("s", Wire::Bytes(bytes)) => Some(text(bytes)?).filter(|text| !text.is_empty()).map(Value::from),
        ("y", Wire::Bytes(bytes)) => Some(STANDARD.encode(bytes).into()),
        ("i", Wire::Varint(number)) => Some(signed(number).into()),
        ("I", Wire::Varint(number)) => Some(signed(number)).filter(|number| *number != 0).map(Value::from),
        ("b", Wire::Varint(number)) => Some((number != 0).into()),
        ("B", Wire::Varint(number)) => (number != 0).then_some(Value::Bool(true)),
        ("d", Wire::Fixed(bits)) => Some(json!(f64::from_bits(bits))),
        ("apis.meta.v1.Time" | "apis.meta.v1.MicroTime", Wire::Bytes(bytes)) => moment(bytes, kind.ends_with("MicroTime"))?,
        ("api.resource.Quantity", Wire::Bytes(bytes)) => only_text(bytes)?.map(Value::from),
        ("util.intstr.IntOrString", Wire::Bytes(bytes)) => Some(int_or_string(bytes)?),
        ("runtime.RawExtension" | "apis.meta.v1.FieldsV1", Wire::Bytes(bytes)) => {
            only_text(bytes)?.map(|text| serde_json::from_str(&text).map_err(|error| error.to_string())).transpose()?
        }
        (name, Wire::Bytes(bytes)) if name.contains('.') => {
            let mut out = Map::new();
            message(name, bytes, &mut out, depth + 1)?;
            Some(Value::Object(out))
        }
        (kind, _) => return Err(format!("a field of kind {kind} has another wire type")),
    })
}

/// The text in field 1 of a message that has nothing else.
fn only_text(bytes: &[u8]) -> Result<Option<String>, String> {
    let mut reader = Reader { rest: bytes };
    let mut out = None;
    while let Some((number, wire)) = reader.field()? {
        if let (1, Wire::Bytes(bytes)) = (number, wire) {
            out = Some(text(bytes)?);
        }
    }
    Ok(out.filter(|text| !text.is_empty()))
}

fn moment(bytes: &[u8], micro: bool) -> Result<Option<Value>, String> {
    let (mut seconds, mut nanos) = (0_u64, 0_u64);
    let mut reader = Reader { rest: bytes };
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Varint(value)) => seconds = value,
            (2, Wire::Varint(value)) => nanos = value,
            _ => {}
        }
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    let seconds = i64::from_ne_bytes(seconds.to_ne_bytes());
    let at = jiff::Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0)).map_err(|error| error.to_string())?;
    Ok(Some(if micro { time::micros(at) } else { time::seconds(at) }.into()))
}

fn int_or_string(bytes: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number, mut words) = (false, 0_u64, String::new());
    let mut reader = Reader { rest: bytes };
    while let Some((field, wire)) = reader.field()? {
        match (field, wire) {
            (1, Wire::Varint(kind)) => is_text = kind == 1,
            (2, Wire::Varint(value)) => number = value,
            (3, Wire::Bytes(bytes)) => words = text(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text { words.into() } else { i64::from_ne_bytes(number.to_ne_bytes()).into() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::resource::Registry;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn config_map(raw: &[u8]) -> Result<Value, String> {
        let type_meta = [field(1, b"v1"), field(2, b"ConfigMap")].concat();
        let body = [MAGIC, &field(1, &type_meta), &field(2, raw)].concat();
        decode(&body, Registry::built_in().get("", "configmaps").unwrap())
    }

    #[test]
    fn reads_what_a_typed_client_sends() {
        let metadata = [field(1, b"c"), field(2, b""), field(3, b"shop")].concat();
        let data = [field(1, b"key"), field(2, b"value")].concat();
        let expected = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}, "data": {"key": "value"},
        });
        assert_eq!(config_map(&[field(1, &metadata), field(2, &data)].concat()), Ok(expected));
    }

    #[test]
    fn refuses_what_it_does_not_know_and_what_is_cut() {
        assert!(config_map(&field(15, b"x")).unwrap_err().contains("field 15"));
        assert!(config_map(&[0x0a, 0x7f, 0x00]).is_err());
        let nothing = Registry::built_in();
        assert!(decode(b"{}", nothing.get("", "configmaps").unwrap()).is_err());
    }
}
