//! One file a verb: ask, show, count. What a verb decides is how an answer is shown, never what it is.

pub(crate) mod about;
mod carrying;
pub(crate) mod changes;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod incidents;
pub(crate) mod manifests;
pub(crate) mod mcp;
pub(crate) mod monitor;
pub(crate) mod playground;
pub(crate) mod scenario;
pub(crate) mod serve;
pub(crate) mod store;

/// `1,234`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 change`, `1,234 changes`.
pub(crate) fn counted(number: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// `1.9 MB`.
pub(crate) fn size(bytes: u64) -> String {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let unit = units.iter().find(|(_, of)| bytes as f64 >= *of);
    unit.map_or_else(|| format!("{bytes} B"), |(name, of)| format!("{:.1} {name}", bytes as f64 / of))
}
