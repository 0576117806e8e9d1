//! A function fits a screen and a file holds one idea. What was longer when it was noticed is on the ratchet list and may only shrink.
//!
//! Lines are counted as they are read: a function from its first word to its last brace, a file without its tests.

use std::collections::BTreeMap;

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::complaint::Complaint;
use super::ratchet::{Measured, PATH, Ratchet};
use super::source;
use super::tree::Tree;

/// Lines of a function: what fits a screen, so that it is understood without scrolling.
pub(crate) const FUNCTION_LINES: usize = 70;

/// Lines of a file, tests not counted: beyond this it is more than one idea, or one flat table that goes on the list with its reason.
pub(crate) const FILE_LINES: usize = 500;

/// Complains of what is too long and not listed, of what has outgrown its entry, and of entries that are no longer needed or too generous.
pub(crate) fn check(tree: &Tree, ratchet: &Ratchet) -> Vec<Complaint> {
    let (lengths, mut found) = measure(tree);
    for (measured, (length, line)) in &lengths {
        let limit = measured.limit();
        let listed = ratchet.allowed(measured);
        let (what, hint) = match listed {
            None if *length > limit => {
                (format!("{measured} has {length} lines, {limit} are allowed"), "split it: branches in the parent, leaves pure")
            }
            Some(listed) if *length > listed => {
                (format!("{measured} has grown from {listed} to {length} lines"), "the ratchet list may only shrink; split it")
            }
            Some(listed) if *length < listed => {
                (format!("{measured} has shrunk from {listed} to {length} lines"), "run `cargo xtask tidy --tighten`")
            }
            None | Some(_) => continue,
        };
        found.push(Complaint::of_line(measured.path(), *line, what, hint));
    }
    for measured in ratchet.entries().filter(|entry| !lengths.contains_key(entry)) {
        found.push(Complaint::of_file(
            PATH,
            format!("{measured} of {} is not there any more", measured.path()),
            "run `cargo xtask tidy --tighten`",
        ));
    }
    found
}

/// Length and first line of everything that is measured.
pub(crate) type Lengths = BTreeMap<Measured, (usize, usize)>;

/// Measures every source file; complains of those that do not parse.
pub(crate) fn measure(tree: &Tree) -> (Lengths, Vec<Complaint>) {
    let (mut lengths, mut unreadable) = (Lengths::new(), Vec::new());
    for (path, text) in tree.with_extension("rs") {
        match syn::parse_file(text) {
            Ok(file) => measure_file(path, text, &file, &mut lengths),
            Err(error) => {
                unreadable.push(Complaint::of_line(path, error.span().start().line, error.to_string(), "let `cargo check` say more"))
            }
        }
    }
    (lengths, unreadable)
}

fn measure_file(path: &str, text: &str, file: &syn::File, lengths: &mut Lengths) {
    let tests: usize = file.items.iter().filter(|item| is_test(item)).map(|item| lines(item.span())).sum();
    if !source::is_test(path) {
        lengths.insert(Measured::File { path: path.to_owned() }, (text.lines().count().saturating_sub(tests), 1));
    }
    Functions { path, owner: None, lengths }.visit_file(file);
}

fn is_test(item: &syn::Item) -> bool {
    let syn::Item::Mod(module) = item else { return false };
    module
        .attrs
        .iter()
        .any(|attr| matches!(&attr.meta, syn::Meta::List(list) if list.path.is_ident("cfg") && list.tokens.to_string() == "test"))
}

fn lines(span: Span) -> usize {
    span.end().line.saturating_sub(span.start().line) + 1
}

/// Collects the functions of one file.
struct Functions<'a> {
    path: &'a str,
    /// The type whose `impl` or the trait in which we are.
    owner: Option<String>,
    lengths: &'a mut Lengths,
}

impl Functions<'_> {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let name = match &self.owner {
            Some(owner) => format!("{owner}::{}", signature.ident),
            None => signature.ident.to_string(),
        };
        let (first, last) = (signature.span().start().line, block.span().end().line);
        let length = last.saturating_sub(first) + 1;
        // Two functions of one name in one file (two traits of one type, two modules) share an entry: the longer one counts.
        let entry = self.lengths.entry(Measured::Function { path: self.path.to_owned(), name }).or_insert((length, first));
        if length > entry.0 {
            *entry = (length, first);
        }
    }

    fn inside(&mut self, owner: String, visit: impl FnOnce(&mut Self)) {
        let outer = self.owner.replace(owner);
        visit(self);
        self.owner = outer;
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.add(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default(),
            _ => "impl".to_owned(),
        };
        self.inside(owner, |functions| visit::visit_item_impl(functions, item));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.inside(item.ident.to_string(), |functions| visit::visit_item_trait(functions, item));
    }
}

#[cfg(test)]
mod tests {
    use super::super::complaint::said;
    use super::*;

    fn check_text(path: &str, text: &str, list: &str) -> Vec<String> {
        said(&check(&Tree::of(&[(path, text)]), &Ratchet::parse(list).expect("the list is well formed")))
    }

    /// A function of exactly `lines` lines.
    fn function(name: &str, lines: usize) -> String {
        format!("/// Not counted.\npub fn {name}() {{\n{}}}\n", "    a();\n".repeat(lines - 2))
    }

    #[test]
    fn accepts_a_function_that_fits_a_screen() {
        assert_eq!(check_text("a.rs", &function("a", FUNCTION_LINES), ""), [""; 0]);
    }

    #[test]
    fn refuses_a_longer_one_wherever_it_stands() {
        let long = function("a", FUNCTION_LINES + 1);
        assert_eq!(check_text("a.rs", &long, ""), ["a.rs:2: function `a` has 71 lines, 70 are allowed"]);
        let inside = format!("impl<T> Codec<T> {{\n{long}}}");
        assert_eq!(check_text("a.rs", &inside, ""), ["a.rs:3: function `Codec::a` has 71 lines, 70 are allowed"]);
        let test = format!("#[cfg(test)]\nmod tests {{\n{long}}}");
        assert_eq!(check_text("a.rs", &test, "").len(), 1);
    }

    #[test]
    fn lets_a_listed_function_stay_but_not_grow() {
        let list = "function a.rs a 80";
        assert_eq!(check_text("a.rs", &function("a", 80), list), [""; 0]);
        assert_eq!(check_text("a.rs", &function("a", 81), list), ["a.rs:2: function `a` has grown from 80 to 81 lines"]);
    }

    #[test]
    fn asks_to_tighten_what_has_shrunk_or_gone() {
        let list = "function a.rs a 80";
        assert_eq!(check_text("a.rs", &function("a", 75), list), ["a.rs:2: function `a` has shrunk from 80 to 75 lines"]);
        assert_eq!(check_text("a.rs", "", list), [format!("{PATH}: function `a` of a.rs is not there any more")]);
    }

    #[test]
    fn counts_a_file_without_its_tests() {
        let body = "const A: u8 = 1;\n".repeat(FILE_LINES);
        let tested = format!("{body}#[cfg(test)]\nmod tests {{\n{}}}\n", "// more\n".repeat(300));
        assert_eq!(check_text("a.rs", &tested, ""), [""; 0]);
        assert_eq!(check_text("a.rs", &format!("{body}// one more\n"), ""), ["a.rs:1: the file has 501 lines, 500 are allowed"]);
        assert_eq!(check_text("tests/a.rs", &format!("{body}// one more\n"), ""), [""; 0]);
    }

    #[test]
    fn complains_of_what_it_cannot_read() {
        assert_eq!(check_text("a.rs", "fn {", "").len(), 1);
    }
}
