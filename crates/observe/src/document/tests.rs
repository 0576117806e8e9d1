//! A document says what the tree says, and breaks nothing when it is broken.

use serde_json::{Value, json};

use super::*;

fn sample() -> Value {
    serde_json::from_str(
        r#"{"a": null, "b": [true, false, -3, 1.50, 1e400, "é/~", [], {}], "long": "LONG", "m": {"x/y": {"~": 7}, "ключ": "v"}, "": 18446744073709551615}"#
            .replace("LONG", &"x".repeat(20_000))
            .as_str(),
    )
    .expect("json")
}

#[test]
fn gives_back_what_it_took() {
    for value in [
        sample(),
        json!(null),
        json!([]),
        json!({}),
        json!("text"),
        json!([[[[]]]]),
        json!({"k": "x".repeat(126), "l": "x".repeat(127), "m": "True", "True": ""}),
    ] {
        let document = Document::of(&value);
        assert_eq!(document.root().to_value(), value);
        assert_eq!(document.root().to_string(), value.to_string());
    }
}

#[test]
fn finds_by_pointer_what_a_tree_finds() {
    let (value, document) = (sample(), Document::of(&sample()));
    for path in ["", "/a", "/b/0", "/b/3", "/b/6", "/b/9", "/long", "/m/x~1y/~0", "/m/ключ", "/m/none", "/", "/a/b", "/zzz", "/b/x"] {
        assert_eq!(document.root().pointer(path).map(Node::to_value).as_ref(), value.pointer(path), "{path}");
    }
}

#[test]
fn reads_each_type_as_a_tree_does() {
    let (value, document) = (sample(), Document::of(&sample()));
    let mut pairs = vec![(&value, document.root())];
    while let Some((tree, node)) = pairs.pop() {
        assert_eq!((node.as_str(), node.as_bool(), node.as_i64()), (tree.as_str(), tree.as_bool(), tree.as_i64()));
        assert_eq!((node.is_null(), node.is_object()), (tree.is_null(), tree.is_object()));
        assert_eq!(node.as_array().map(List::len), tree.as_array().map(Vec::len));
        for (number, entry) in tree.as_array().into_iter().flatten().enumerate() {
            pairs.push((entry, node.as_array().and_then(|list| list.iter().nth(number)).expect("as long")));
        }
        for (key, entry) in tree.as_object().into_iter().flatten() {
            pairs.push((entry, node.get(key).expect("has the key")));
        }
        let keys = tree.as_object().map(|map| map.keys().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(node.as_object().map(|fields| fields.keys().collect::<Vec<_>>()), keys);
    }
}

#[test]
fn is_smaller_than_the_text() {
    let value = json!({"metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "ports": [{"containerPort": 80}]}]}});
    assert!(Document::of(&value).0.len() * 2 < value.to_string().len());
}

#[test]
fn reads_something_from_any_bytes() {
    let whole = Document::of(&sample()).0;
    for cut in 0..whole.len().min(300) {
        let mut broken = whole.to_vec();
        broken.truncate(cut);
        std::hint::black_box(Node(&broken).to_value());
        let mut broken = whole[..300].to_vec();
        broken[cut.min(299)] ^= 0xff;
        // A length that lies must not make work: what is not there is not walked through for ever.
        std::hint::black_box(Node(&broken).pointer("/m/none").is_some());
    }
}
