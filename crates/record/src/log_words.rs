//! What a line of a log must not tell: values behind words that name secrets, bearer tokens, JSON web tokens, passwords in addresses, keys.
//!
//! Pure. Logs are free text, so this hides what looks like a secret and promises nothing about the rest; what is recorded is redacted by its
//! fields, see `redact`. Invariants: a line is told once, never split; the work is proportional to its length.

use std::sync::Arc;

use crate::redact::SECRET_NAMES;

/// Stands in place of what is hidden.
const HIDDEN: &str = "[redacted]";
/// A name of a secret besides those of `SECRET_NAMES`: it stands in logs of requests.
const HEADER: &str = "authorization";
/// Those of them whose values may have several words.
const OF_SEVERAL_WORDS: [&str; 3] = ["password", "passphrase", "authorization"];
/// What comes before a value that is hidden whatever its name is.
const SCHEMES: [&str; 2] = ["bearer", "basic"];
/// Longest name that is looked at before a sign.
const NAME_BYTES: usize = 64;
/// Shortest value behind a scheme: `basic auth failed` is no credential.
const CREDENTIAL_BYTES: usize = 8;
/// Shortest JSON web token that is taken for one.
const TOKEN_BYTES: usize = 40;
/// Longest user and password in an address.
const USER_BYTES: usize = 512;
/// Shortest line of nothing but base64 that is taken for a piece of a key.
const PIECE_BYTES: usize = 40;

/// Hides, line after line of one log: a private key spans several.
#[derive(Debug, Default)]
pub(crate) struct LogWords {
    names: SecretNames,
    in_key: bool,
}

/// The words of names of secrets: the built-in ones, which logs are always searched for, and those that are configured besides.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecretNames(Arc<[String]>);

impl SecretNames {
    /// With these besides.
    pub(crate) fn with(configured: &[String]) -> Self {
        let is_new = |word: &&String| !word.is_empty() && !SECRET_NAMES.contains(&word.to_ascii_lowercase().as_str());
        Self(configured.iter().filter(is_new).map(|word| word.to_ascii_lowercase()).collect())
    }

    /// Whether a name in small letters has one of them.
    fn are_in(&self, name: &str) -> bool {
        let configured = self.0.iter().map(String::as_str);
        SECRET_NAMES.into_iter().chain([HEADER]).chain(configured).any(|word| name.contains(word))
    }
}

impl LogWords {
    /// For a log from its beginning.
    pub(crate) fn of(names: &SecretNames) -> Self {
        Self { names: names.clone(), in_key: false }
    }

    /// The line without what it must not tell.
    pub(crate) fn hide(&mut self, line: &str) -> String {
        let marker = |word: &str| line.match_indices(word).filter(|(at, _)| is_of_key(line, at + word.len())).map(|(at, _)| at).last();
        let (begins, ends) = (marker("-----BEGIN "), marker("-----END "));
        if begins.is_some() || ends.is_some() {
            self.in_key = begins > ends;
            return HIDDEN.to_owned();
        }
        let piece = line.trim();
        // A log may begin within a key, so a piece of one is known by itself; what is no piece ends a key that was only spoken of.
        let is_header = piece.is_empty() || piece.starts_with("Proc-Type:") || piece.starts_with("DEK-Info:");
        self.in_key &= is_base64(piece) || is_header;
        let is_hash = piece.bytes().all(|byte| byte.is_ascii_hexdigit());
        if self.in_key || (piece.len() >= PIECE_BYTES && is_base64(piece) && !is_hash) {
            return HIDDEN.to_owned();
        }
        told(line, &self.names)
    }
}

/// Whether what stands at a place is the name of a private key.
fn is_of_key(line: &str, at: usize) -> bool {
    let name = line.get(at..).unwrap_or_default();
    name.split("-----").next().is_some_and(|name| name.len() <= NAME_BYTES && name.ends_with("PRIVATE KEY"))
}

fn is_base64(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

fn told(line: &str, names: &SecretNames) -> String {
    let mut told = String::with_capacity(line.len());
    let mut done = 0;
    let mut at = 0;
    let bytes = line.as_bytes();
    while at < bytes.len() {
        match secret_at(line, at, names) {
            // Spans begin and end at ASCII signs, so both are borders of characters.
            Some((from, to)) if from >= done && to > from => {
                told.push_str(line.get(done..from).unwrap_or_default());
                told.push_str(HIDDEN);
                (done, at) = (to, to);
            }
            _ => at += 1,
        }
    }
    told.push_str(line.get(done..).unwrap_or_default());
    told
}

/// Where a secret begins and ends, if the sign at a place says that there is one.
fn secret_at(line: &str, at: usize, names: &SecretNames) -> Option<(usize, usize)> {
    let bytes = line.as_bytes();
    let starts_word = at == 0 || bytes.get(at - 1).is_some_and(|byte| !is_of_name(*byte));
    match bytes.get(at)? {
        b':' if line.get(at..)?.starts_with("://") => user_in(line, at + 3),
        b'=' | b':' => value_behind(line, at, names),
        b'b' | b'B' if starts_word => credential(line, at),
        b'e' if starts_word && line.get(at..)?.starts_with("eyJ") => {
            let end = end_of(bytes, at, |byte| !is_of_name(byte));
            let word = line.get(at..end)?;
            (word.len() >= TOKEN_BYTES && word.matches('.').count() == 2).then_some((at, end))
        }
        _ => None,
    }
}

fn end_of(bytes: &[u8], from: usize, ends: impl Fn(u8) -> bool) -> usize {
    bytes.iter().skip(from).position(|byte| ends(*byte)).map_or(bytes.len(), |length| from + length)
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

/// The password of `scheme://user:password@host`.
fn user_in(line: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = line.as_bytes();
    let end = end_of(bytes, from, |byte| byte == b'/' || byte.is_ascii_whitespace() || is_quote(byte)).min(from + USER_BYTES);
    let place = bytes.get(from..end)?;
    let host = from + place.iter().rposition(|byte| *byte == b'@')?;
    let password = from + place.iter().position(|byte| *byte == b':')? + 1;
    (password < host).then_some((password, host))
}

/// The token of `Bearer token`.
fn credential(line: &str, at: usize) -> Option<(usize, usize)> {
    let bytes = line.as_bytes();
    let behind = SCHEMES.iter().find_map(|scheme| {
        let word = bytes.get(at..at + scheme.len())?;
        word.eq_ignore_ascii_case(scheme.as_bytes()).then_some(at + scheme.len())
    })?;
    let from = end_of(bytes, behind, |byte| !byte.is_ascii_whitespace());
    let end = end_of(bytes, from, |byte| byte.is_ascii_whitespace() || is_quote(byte) || matches!(byte, b',' | b';' | b'\\'));
    (from > behind && end - from >= CREDENTIAL_BYTES).then_some((from, end))
}

/// The value behind the `=` or `:` at a place, when the name before it is one of a secret.
fn value_behind(line: &str, at: usize, names: &SecretNames) -> Option<(usize, usize)> {
    let bytes = line.as_bytes();
    let is_between = |byte: &u8| byte.is_ascii_whitespace() || is_quote(*byte) || *byte == b'\\';
    let before = bytes.get(..at)?;
    let end = before.len() - before.iter().rev().take(NAME_BYTES).take_while(|byte| is_between(byte)).count();
    let name = before.get(..end)?;
    let length = name.iter().rev().take(NAME_BYTES).take_while(|byte| is_of_name(**byte)).count();
    let name = line.get(end - length..end)?.to_ascii_lowercase();
    if !names.are_in(&name) {
        return None;
    }
    let from = end_of(bytes, at + 1, |byte| !byte.is_ascii_whitespace() && !matches!(byte, b'=' | b':'));
    let slashes = end_of(bytes, from, |byte| byte != b'\\') - from;
    let opening = from + slashes;
    match bytes.get(opening) {
        None => None,
        Some(quote) if is_quote(*quote) => {
            let end = closing(bytes, opening + 1, *quote, slashes);
            (end > opening + 1).then_some((opening + 1, end))
        }
        Some(_) => {
            let is_long = OF_SEVERAL_WORDS.iter().any(|word| name.contains(word)) && from > at + 1;
            let ends = |byte: u8| match byte {
                b',' | b';' | b'&' | b'}' | b']' | b')' | b'"' | b'\'' => true,
                byte => byte.is_ascii_whitespace() && !is_long,
            };
            let end = end_of(bytes, from, ends);
            (end > from).then_some((from, end))
        }
    }
}

/// Where a quoted value ends: at its quote, behind as many backslashes as stood before the first; else with the line.
fn closing(bytes: &[u8], from: usize, quote: u8, slashes: usize) -> usize {
    let mut run = 0;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        match *byte {
            b'\\' => run += 1,
            byte if byte == quote && run <= slashes => return at - run,
            _ => run = 0,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hide(line: &str) -> String {
        LogWords::default().hide(line)
    }

    #[test]
    fn hides_what_stands_behind_a_word_for_a_secret() {
        for (line, expected) in [
            ("user=ann password=hunter2 done", "user=ann password=[redacted] done"),
            (r#"{"level":"info","dbPassword":"hunter2","n":1}"#, r#"{"level":"info","dbPassword":"[redacted]","n":1}"#),
            (r#"{"token": "abc", "msg": "ok"}"#, r#"{"token": "[redacted]", "msg": "ok"}"#),
            (r#"{"msg":"{\"password\":\"x\"}"}"#, r#"{"msg":"{\"password\":\"[redacted]\"}"}"#),
            (r#"{"password":"s3;cr&e\"t","n":1}"#, r#"{"password":"[redacted]","n":1}"#),
            ("DB_PASSWD = hunter2", "DB_PASSWD = [redacted]"),
            ("password=\"two words\" x=1", "password=\"[redacted]\" x=1"),
            ("passphrase: correct horse battery, next", "passphrase: [redacted], next"),
            ("INFO:root:password=hunter2", "INFO:root:password=[redacted]"),
            ("GET https://h/x?a=1&token=abc&b=2", "GET https://h/x?a=1&token=[redacted]&b=2"),
            ("Authorization: Token abc", "Authorization: [redacted]"),
            ("Authorization: Bearer abc.def", "Authorization: [redacted]"),
            ("sent bearer  abcdefgh, refused", "sent bearer  [redacted], refused"),
            ("--client-secret=abc --name=x", "--client-secret=[redacted] --name=x"),
            ("api_key: 12345", "api_key: [redacted]"),
            ("STRIPE_KEY=sk_1 MYSQL_DSN=ann@db", "STRIPE_KEY=[redacted] MYSQL_DSN=[redacted]"),
            ("password=//x", "password=[redacted]"),
            ("to postgres://ann:pw@db/x as ann", "to postgres://ann:[redacted]@db/x as ann"),
            ("größe=1 password=ß ende", "größe=1 password=[redacted] ende"),
        ] {
            assert_eq!(hide(line), expected);
        }
        let token = format!("eyJ{}.{}.c", "a".repeat(30), "b".repeat(30));
        assert_eq!(hide(&format!("got {token} back")), "got [redacted] back");
    }

    #[test]
    fn hides_behind_configured_words_besides_the_built_in_ones() {
        let names = SecretNames::with(&["Geheimnis".to_owned(), "".to_owned(), "TOKEN".to_owned()]);
        let mut words = LogWords::of(&names);
        assert_eq!(words.hide("DB_GEHEIMNIS=a token=b name=c"), "DB_GEHEIMNIS=[redacted] token=[redacted] name=c");
        assert_eq!(hide("DB_GEHEIMNIS=a"), "DB_GEHEIMNIS=a");
    }

    #[test]
    fn leaves_the_rest_as_it_is() {
        for line in [
            "",
            "GET /healthz 200 in 3 ms",
            "failed to pull image \"registry.example/web:2\": not found",
            "token expired, asking for another",
            "basic auth failed",
            "the secret \"db\" does not exist",
            "see https://tokens.example/x?a=b",
            "größe=12 μs ✓",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ] {
            assert_eq!(hide(line), line);
        }
    }

    #[test]
    fn hides_every_line_of_a_private_key_wherever_the_log_begins_and_nothing_behind_it() {
        let piece = "MIIEowIBAAKCAQEAuVbqL0gkq7m9Jx4vL0mYt0v3yq8m0ZkQx1Yb5c7TqQ2N8sRf";
        let lines = ["before", "-----BEGIN RSA PRIVATE KEY-----", piece, "AbC=", "-----END RSA PRIVATE KEY-----", "after"];
        let all = |lines: &[&str]| -> Vec<String> {
            let mut words = LogWords::default();
            lines.iter().map(|line| words.hide(line)).collect()
        };
        assert_eq!(all(&lines), ["before", HIDDEN, HIDDEN, HIDDEN, HIDDEN, "after"]);
        assert_eq!(all(&lines[2..]), [HIDDEN, "AbC=", HIDDEN, "after"], "a piece that is too short to be known alone");
        assert_eq!(all(&["want \"-----BEGIN PRIVATE KEY-----\"", "got nothing"]), [HIDDEN, "got nothing"]);
        let two = "-----END CERTIFICATE-----\\n-----BEGIN PRIVATE KEY-----";
        assert_eq!(all(&[two, "AbC=", "-----END PRIVATE KEY-----"]), [HIDDEN, HIDDEN, HIDDEN]);
    }

    #[test]
    fn takes_time_in_proportion_to_the_line() {
        // Sixteen times as long would be 256 times the work if it were done for each word.
        for line in ["a ".repeat(8_192), "password=x ".repeat(1_500), "://a:".repeat(3_000), "\\\"token\\\":".repeat(1_500)] {
            assert!(hide(&line).len() <= line.len() * 2);
        }
    }
}
