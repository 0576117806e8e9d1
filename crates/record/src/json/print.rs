//! From a `Node` to its canonical bytes: no white space, the fewest escapes.

use super::Node;

impl Node<'_> {
    /// Appends the canonical form.
    pub(crate) fn print(&self, out: &mut Vec<u8>) {
        match self {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Bool(true) => out.extend_from_slice(b"true"),
            Node::Bool(false) => out.extend_from_slice(b"false"),
            Node::Number(text) => out.extend_from_slice(text.as_bytes()),
            Node::Text(text) => print_text(text, out),
            Node::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.print(out);
                }
                out.push(b']');
            }
            Node::Map(members) => {
                out.push(b'{');
                for (index, (key, node)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    print_text(key, out);
                    out.push(b':');
                    node.print(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Appends a quoted string with the fewest escapes.
fn print_text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            0..=0x1f => b"\\u00",
            _ => continue,
        };
        out.extend_from_slice(bytes.get(start..index).unwrap_or_default());
        out.extend_from_slice(escape);
        if escape.len() == 4 {
            out.extend(HEX.get(usize::from(byte >> 4)));
            out.extend(HEX.get(usize::from(byte & 15)));
        }
        start = index + 1;
    }
    out.extend_from_slice(bytes.get(start..).unwrap_or_default());
    out.push(b'"');
}
