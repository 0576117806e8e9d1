//! JSON that is passed on as it is: objects of a cluster, whose numbers must not go through a float and whose trees would be large.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType};
use utoipa::openapi::{RefOr, Schema};

/// A JSON value as its text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// From the text; `null` for what is no JSON.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let raw = std::str::from_utf8(bytes).ok().and_then(|text| RawValue::from_string(text.to_owned()).ok());
        Self(raw.unwrap_or_else(null))
    }

    /// From a tree.
    pub fn from_value(value: &Value) -> Self {
        Self(serde_json::value::to_raw_value(value).unwrap_or_else(|_| null()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The tree.
    pub fn to_value(&self) -> Value {
        read_json(self.as_str().as_bytes()).unwrap_or(Value::Null)
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

/// Reads an answer. Objects of a cluster may be nested more deeply inside an answer than serde_json allows by default, and the depth is
/// bounded where they are recorded.
///
/// # Errors
/// When the bytes are not the JSON of a `T`.
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    reader.disable_recursion_limit();
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

impl utoipa::PartialSchema for Json {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::AnyValue)
            .description(Some("Any JSON; for an object of a cluster its redacted state"))
            .into()
    }
}

impl utoipa::ToSchema for Json {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_source_text() {
        let text = r#"{"a":1.10,"b":12345678901234567890123,"c":1E400}"#;
        let json = Json::from_bytes(text.as_bytes());
        assert_eq!(serde_json::to_string(&json).ok().as_deref(), Some(text));
        let back: Json = read_json(text.as_bytes()).expect("valid JSON");
        assert_eq!(back.to_value()["b"].to_string(), "12345678901234567890123");
        assert_eq!(back.to_value()["a"].to_string(), "1.10");
    }

    #[test]
    fn what_is_no_json_is_null() {
        assert_eq!(Json::from_bytes(b"{").as_str(), "null");
        assert_eq!(Json::from_bytes(&[0xff]).as_str(), "null");
    }
}
