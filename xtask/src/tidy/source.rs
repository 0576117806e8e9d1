//! Rust text as tokens with their lines: comments and strings are no tokens, so a rule about code never trips over prose.
//!
//! Not a parser: what needs whole items (`lengths`) uses one.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One word or sign of the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its text.
    pub(crate) text: String,
    /// Its line, from 1.
    pub(crate) line: usize,
}

/// The words and signs of a file in order, groups opened up, items under `#[cfg(test)]` left out. `None` if the text is not Rust.
pub(crate) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut flat = Vec::new();
    flatten(text.parse().ok()?, &mut flat);
    Some(flat)
}

fn flatten(stream: TokenStream, flat: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Punct(sign) if sign.as_char() == '#' && trees.peek().is_some_and(is_cfg_test) => {
                // The item ends with its first braces or its first semicolon, whatever stands before.
                let ends = |tree: &TokenTree| match tree {
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                    TokenTree::Punct(sign) => sign.as_char() == ';',
                    TokenTree::Ident(_) | TokenTree::Literal(_) => false,
                };
                trees.find(ends);
            }
            TokenTree::Group(group) => flatten(group.stream(), flat),
            TokenTree::Ident(word) => flat.push(Token { text: word.to_string(), line }),
            TokenTree::Punct(sign) => flat.push(Token { text: sign.as_char().to_string(), line }),
            TokenTree::Literal(_) => {}
        }
    }
}

fn is_cfg_test(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket && group.stream().to_string().replace(' ', "") == "cfg(test)")
}

/// Whether a file holds nothing but tests, by its path.
pub(crate) fn is_test(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let stem = parts.next().and_then(|file| file.strip_suffix(".rs")).unwrap_or_default();
    stem == "tests" || stem.ends_with("_tests") || parts.any(|folder| folder == "tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).expect("it is Rust").into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn leaves_out_comments_strings_and_tests() {
        let text = "// a\nfn b() { c(\"d\") }\n#[cfg(test)]\nmod tests { fn e() {} }\n#[cfg(test)]\nmod f;\nstruct G;";
        assert_eq!(words(text), ["fn", "b", "c", "struct", "G", ";"]);
    }

    #[test]
    fn knows_tests_by_their_path() {
        for path in ["tests/src/lib.rs", "crates/store/tests/a.rs", "crates/store/src/tests.rs", "crates/store/src/codec_tests.rs"] {
            assert!(is_test(path), "{path}");
        }
        for path in ["testkit/src/lib.rs", "crates/store/src/latests.rs.rs", "crates/store/src/codec.rs"] {
            assert!(!is_test(path), "{path}");
        }
    }
}
