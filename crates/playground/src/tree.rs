//! Places in a JSON tree: read, write and take values by path without building the way by hand each time.
//!
//! Not a query language. A missing place reads as nothing; writing makes the objects on the way, and replaces what is in the way.

use serde_json::{Map, Value};

/// The text at a JSON pointer, `""` where there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// The number at a JSON pointer.
pub(crate) fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// The boolean at a JSON pointer, `false` where there is none.
pub(crate) fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// The items of the list at a JSON pointer, none where there is no list.
pub(crate) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The entries of the object at a JSON pointer whose values are texts.
pub(crate) fn texts<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    value
        .pointer(pointer)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| value.as_str().map(|value| (key.as_str(), value)))
}

/// The object behind a value; anything else becomes an empty object first.
pub(crate) fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("was made an object just above")
}

/// Writes a value at a path of object keys.
pub(crate) fn put(value: &mut Value, path: &[&str], new: impl Into<Value>) {
    let Some((last, way)) = path.split_last() else {
        *value = new.into();
        return;
    };
    let mut place = value;
    for key in way {
        place = object(place).entry(*key).or_insert(Value::Null);
    }
    object(place).insert((*last).to_owned(), new.into());
}

/// Writes a value at a path unless something other than null is there.
pub(crate) fn put_default(value: &mut Value, path: &[&str], new: impl Into<Value>) {
    if at(value, path).is_none_or(Value::is_null) {
        put(value, path, new);
    }
}

/// The value at a path of object keys.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |place, key| place.get(key))
}

/// The value at a path of object keys, to be changed in place.
pub(crate) fn at_mut<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |place, key| place.get_mut(key))
}

/// The list at a path, to be changed in place; made empty where there is none.
pub(crate) fn list_mut<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Vec<Value> {
    let mut place = value;
    for key in path {
        place = object(place).entry(*key).or_insert(Value::Null);
    }
    if !place.is_array() {
        *place = Value::Array(Vec::new());
    }
    place.as_array_mut().expect("was made a list just above")
}

/// Takes the value at a path out of the tree.
pub(crate) fn take(value: &mut Value, path: &[&str]) -> Option<Value> {
    let (last, way) = path.split_last()?;
    at_mut(value, way)?.as_object_mut()?.remove(*last)
}

/// Removes members that are null, at every depth of objects, as decoding into a typed object does.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Lays the members of `over` onto `base`, going into objects on both sides and replacing everything else.
pub(crate) fn lay_over(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}
