//! The page of limits is written from the code: every constant of what ships that bounds something, with its value and its reason.
//!
//! Whether a constant bounds something is read from its name: the words of `LIMIT_WORDS` are kept for that.

use std::fmt::Write as _;

use syn::visit::{self, Visit};
use syn::{BinOp, Expr, Lit, Type};

use super::complaint::Complaint;
use super::source;
use super::tree::Tree;

/// The page that holds the table.
pub(crate) const PATH: &str = "docs/reference/limits.md";

const BEGIN: &str = "<!-- limits: written by `cargo xtask tidy --limits` -->\n";
const END: &str = "<!-- end of limits -->\n";

/// A constant whose name has one of these words bounds something.
const LIMIT_WORDS: &[&str] = &[
    "AFTER",
    "ATTEMPTS",
    "BATCH",
    "BUDGET",
    "BYTES",
    "CAPACITY",
    "CHUNK",
    "DEPTH",
    "EVERY",
    "GRACE",
    "HEARTBEAT",
    "INTERVAL",
    "LARGEST",
    "LIMIT",
    "LINGER",
    "LONGEST",
    "MAX",
    "MIN",
    "MOST",
    "PAGE",
    "PATIENCE",
    "PAUSE",
    "POLL",
    "PORTION",
    "QUEUE",
    "RECHECK",
    "RETRIES",
    "RETRY",
    "SECONDS",
    "SILENCE",
    "TIMEOUT",
    "TOLERANCE",
    "TRIES",
    "WITHIN",
];

/// Complains of a page that says something else than the code, and of a bound without a reason.
pub(crate) fn check(tree: &Tree) -> Vec<Complaint> {
    let limits = limits(tree);
    let mut found: Vec<Complaint> = limits
        .iter()
        .filter(|limit| limit.reason.is_empty())
        .map(|limit| {
            Complaint::of_line(
                &limit.path,
                limit.line,
                format!("`{}` has no reason", limit.name),
                "say above it what it bounds and why so much",
            )
        })
        .collect();
    if tree.text(PATH).is_some_and(|page| rewritten(page, &limits).as_deref() != Some(page)) {
        found.push(Complaint::of_file(PATH, "the table is not what the code says", "run `cargo xtask tidy --limits`"));
    }
    found
}

/// The page with its table as the code has it; `None` if the page lacks the two marks.
pub(crate) fn current(tree: &Tree) -> Option<String> {
    rewritten(tree.text(PATH)?, &limits(tree))
}

fn rewritten(page: &str, limits: &[Limit]) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let mut table = String::new();
    let mut folder = "";
    for limit in limits {
        if limit.folder() != folder {
            folder = limit.folder();
            let _ = write!(table, "\n### `{folder}`\n\n| limit | value | why |\n|---|---|---|\n");
        }
        let _ = writeln!(table, "| `{}` | {} | {} |", limit.name, limit.value, limit.reason.replace('|', "\\|"));
    }
    Some(format!("{before}{BEGIN}{table}\n{END}{after}"))
}

/// A constant that bounds something.
#[derive(Debug, PartialEq, Eq)]
struct Limit {
    path: String,
    line: usize,
    name: String,
    value: String,
    reason: String,
}

impl Limit {
    fn folder(&self) -> &str {
        self.path.split("/src/").next().unwrap_or_default()
    }
}

fn limits(tree: &Tree) -> Vec<Limit> {
    let mut found = Vec::new();
    let ships = |path: &str| path.starts_with("crates/") && path.contains("/src/") && !source::is_test(path);
    for (path, text) in tree.with_extension("rs").filter(|(path, _)| ships(path)) {
        // What does not parse is complained of by the rule of lengths.
        if let Ok(file) = syn::parse_file(text) {
            Finder { path, found: &mut found }.visit_file(&file);
        }
    }
    found.sort_by(|one, other| (one.folder(), &one.path, one.line).cmp(&(other.folder(), &other.path, other.line)));
    found
}

struct Finder<'a> {
    path: &'a str,
    found: &'a mut Vec<Limit>,
}

impl Finder<'_> {
    fn consider(&mut self, ident: &syn::Ident, ty: &Type, expr: &Expr, attrs: &[syn::Attribute]) {
        let name = ident.to_string();
        if !name.split('_').any(|word| LIMIT_WORDS.contains(&word)) || !is_amount(ty) {
            return;
        }
        let value = value(expr, &name);
        self.found.push(Limit { path: self.path.to_owned(), line: ident.span().start().line, name, value, reason: reason(attrs) });
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = module.attrs.iter().any(|attr| matches!(&attr.meta, syn::Meta::List(list) if list.tokens.to_string() == "test"));
        if !is_test {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.consider(&item.ident, &item.ty, &item.expr, &item.attrs);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.consider(&item.ident, &item.ty, &item.expr, &item.attrs);
    }
}

/// Whether a type counts or lasts.
fn is_amount(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let last = path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
    matches!(last.as_str(), "Duration" | "SignedDuration" | "usize" | "u64" | "u32" | "u16" | "u8" | "i64" | "i32")
}

/// The first paragraph of the docstring, on one line.
fn reason(attrs: &[syn::Attribute]) -> String {
    let lines = attrs.iter().filter_map(|attr| match &attr.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn value(expr: &Expr, name: &str) -> String {
    let is_bytes = name.split('_').any(|word| word == "BYTES");
    match (amount(expr), duration(expr)) {
        (Some(bytes), _) if is_bytes => size(bytes),
        (Some(count), _) => grouped(count),
        (None, Some(lasting)) => lasting,
        (None, None) => format!("`{}`", text_of(expr)),
    }
}

fn amount(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => number.base10_parse().ok(),
            _ => None,
        },
        Expr::Paren(inner) => amount(&inner.expr),
        Expr::Binary(binary) => {
            let (left, right) = (amount(&binary.left)?, amount(&binary.right)?);
            match binary.op {
                BinOp::Mul(_) => left.checked_mul(right),
                BinOp::Add(_) => left.checked_add(right),
                BinOp::Sub(_) => left.checked_sub(right),
                BinOp::Shl(_) => left.checked_shl(u32::try_from(right).ok()?),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `Duration::from_secs(90)` as "90 s".
fn duration(expr: &Expr) -> Option<String> {
    let Expr::Call(call) = expr else { return None };
    let Expr::Path(function) = &*call.func else { return None };
    let count = grouped(amount(call.args.first()?)?);
    let unit = match function.path.segments.last()?.ident.to_string().as_str() {
        "from_nanos" => "ns",
        "from_micros" => "µs",
        "from_millis" => "ms",
        "from_secs" => "s",
        "from_mins" => "min",
        "from_hours" => "h",
        _ => return None,
    };
    Some(format!("{count} {unit}"))
}

fn size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{} {name}", grouped(bytes / unit));
        }
    }
    format!("{} B", grouped(bytes))
}

fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The source, as the tokens have it.
fn text_of(expr: &Expr) -> String {
    use syn::spanned::Spanned as _;
    expr.span().source_text().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::complaint::said;
    use super::*;

    const CODE: &str = "//! A file.
        /// How long a question waits.
        ///
        /// More about it.
        const ASK_TIMEOUT: Duration = Duration::from_secs(1_500);
        /// What | one body holds.
        pub(crate) const MAX_BODY_BYTES: usize = 3 * (1 << 20);
        const INDENT: usize = 2;
        const MAX_NAME: &str = \"x\";
        #[cfg(test)]
        mod tests {
            const MAX_WAIT: u64 = 1;
        }";

    fn page(table: &str) -> String {
        format!("# Limits\n{BEGIN}{table}{END}after\n")
    }

    #[test]
    fn writes_every_bound_with_its_value_and_its_reason() {
        let tree = Tree::of(&[("crates/a/src/lib.rs", CODE), ("xtask/src/main.rs", CODE), (PATH, &page("old"))]);
        let written = current(&tree).unwrap_or_default();
        let table = "\n### `crates/a`\n\n| limit | value | why |\n|---|---|---|\n| `ASK_TIMEOUT` | 1,500 s | How long a question waits. |\n\
                     | `MAX_BODY_BYTES` | 3 MiB | What \\| one body holds. |\n\n";
        assert_eq!(written, page(table));
        let tree = Tree::of(&[("crates/a/src/lib.rs", CODE), (PATH, &written)]);
        assert_eq!(said(&check(&tree)), [""; 0]);
    }

    #[test]
    fn refuses_a_page_that_is_behind_and_a_bound_without_a_reason() {
        let tree = Tree::of(&[("crates/a/src/lib.rs", "//! A file.\nconst MAX: u64 = 1;"), (PATH, &page(""))]);
        let found = ["crates/a/src/lib.rs:2: `MAX` has no reason".to_owned(), format!("{PATH}: the table is not what the code says")];
        assert_eq!(said(&check(&tree)), found);
    }

    #[test]
    fn gives_the_source_where_a_value_is_no_plain_amount() {
        let code = "//! A file.\n/// Twice the other.\nconst MAX_BOTH: usize = 2 * super::MAX;";
        let tree = Tree::of(&[("crates/a/src/lib.rs", code), (PATH, &page(""))]);
        assert!(current(&tree).unwrap_or_default().contains("| `MAX_BOTH` | `2 * super::MAX` | Twice the other. |"));
    }
}
