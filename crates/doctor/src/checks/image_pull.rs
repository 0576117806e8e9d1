//! Images that cannot be pulled, with the class of the cause.
//!
//! Pure. `ErrImagePull` and `ImagePullBackOff` alternate, and the message of the second says nothing, so both are one finding, and the
//! message comes from the last failure that was seen.

use jiff::Timestamp;
use proreus_model::Seq;
use proreus_observe::KindRef;
use proreus_observe::field;

use super::reading::{self, Container};
use crate::check::{Check, Severity, Subject, Verdict};
use crate::finding::Finding;

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "image-pull",
    title: "A container's image cannot be pulled",
    severity: Severity::Warning,
    grace_seconds: 30,
    remediation: "read the message of the registry, then correct the image reference, the pull secret or the way to the registry",
    kinds: &[KindRef::POD],
    reasons: &[
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    ],
    examine,
    ..Check::BASE
};

/// A class of causes: its name, what messages of it contain (lower case), and what to do.
struct Class {
    name: &'static str,
    words: &'static [&'static str],
    remedy: &'static str,
}

/// Narrow words before broad ones: "not found" stands in half of all messages and comes last.
const CLASSES: &[Class] = &[
    Class {
        name: "HttpMismatch",
        words: &["server gave http response to https client", "first record does not look like a tls handshake"],
        remedy: "the registry speaks plain HTTP: serve it over TLS, or configure exactly this host as an insecure mirror on every node",
    },
    Class {
        name: "Tls",
        words: &[
            "x509:",
            "unknown authority",
            "doesn't contain any ip sans",
            "cannot validate certificate",
            "failed to verify certificate",
            "tls: handshake failure",
            "remote error: tls:",
        ],
        remedy: "the nodes do not trust the registry's certificate, or do not agree with it on TLS: install its authority on every node, or give it a certificate for this host name",
    },
    Class {
        name: "Signature",
        words: &["signature validation failed", "no valid signature", "signaturevalidationfailed"],
        remedy: "the node's policy refuses the image for its signature: sign it, or correct the policy",
    },
    Class {
        name: "RateLimit",
        words: &["toomanyrequests", "too many requests", "429", "rate limit"],
        remedy: "the registry limits how much is pulled: authenticate with a pull secret, or pull through a mirror",
    },
    Class {
        name: "Auth",
        words: &[
            "no basic auth credentials",
            "pull access denied",
            "authorization failed",
            "authentication required",
            "unauthorized",
            "insufficient_scope",
            "401",
            "403",
            "forbidden",
            "access denied",
            "requested access to the resource is denied",
        ],
        remedy: "the registry refuses these credentials: check that the pod's imagePullSecrets name a secret of type kubernetes.io/dockerconfigjson with an entry for this registry host, and that the image's name is right",
    },
    Class {
        name: "Dns",
        // Whatever failed, it failed at the look-up.
        words: &["no such host", "server misbehaving", "temporary failure in name resolution", "dial tcp: lookup "],
        remedy: "the registry's host name does not resolve on the node: correct the host in the image reference, or the node's DNS",
    },
    Class {
        name: "Platform",
        words: &[
            "no matching manifest for",
            "no match for platform",
            "no image found in image index for architecture",
            "no image found in manifest list for architecture",
        ],
        remedy: "the image does not exist for the node's platform: build it for this platform, or select other nodes",
    },
    Class {
        name: "Disk",
        words: &["no space left on device"],
        remedy: "the node's disk is full: free space for images, or enlarge the disk",
    },
    Class {
        name: "Corrupt",
        words: &["invalid tar header", "unexpected eof", "failed to register layer", "checksum mismatch"],
        remedy: "the image arrives damaged: push it anew, and look at the proxies and mirrors on the way",
    },
    Class {
        name: "Network",
        words: &[
            "i/o timeout",
            "connection refused",
            "tls handshake timeout",
            "connection reset",
            "no route to host",
            "network is unreachable",
            "context deadline exceeded",
            "service unavailable",
            "bad gateway",
            "gateway timeout",
            "internal server error",
            ": eof",
            "use of closed network connection",
            "context canceled",
        ],
        remedy: "the node does not reach the registry: check that the registry is up, and firewalls and proxies between the node and it",
    },
    Class {
        name: "NotFound",
        words: &["manifest unknown", "name unknown", "repository does not exist", "not found"],
        remedy: "the registry has no such image: correct its name or tag, or push it",
    },
];

const UNKNOWN_CLASS: &str = "Other";

/// Looks at one pod.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let pod = subject.known()?;
    if matches!(reading::phase(subject)?, "Succeeded" | "Failed") || reading::leaves(subject)? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let all = reading::containers(pod)?;
    for container in &all {
        let Some((waiting, message)) = container.waiting()? else { continue };
        let reason = match waiting {
            "ErrImagePull" | "ImagePullBackOff" => "ImagePullBackOff",
            "ErrImageNeverPull" => "ErrImageNeverPull",
            "InvalidImageName" => "InvalidImageName",
            "ImageInspectError" => "ImageInspectError",
            "RegistryUnavailable" => "RegistryUnavailable",
            "SignatureValidationFailed" => "SignatureValidationFailed",
            _ => continue,
        };
        let since = subject.since(reading::waiting_since(subject, container, &all)?);
        found.push(tell(subject, container, reason, message, since)?);
    }
    Ok(found)
}

fn tell(
    subject: &Subject<'_>,
    container: &Container<'_>,
    reason: &'static str,
    message: &str,
    since: Timestamp,
) -> Result<Finding, crate::Undecided> {
    let pod = subject.object;
    let image = image_of(subject, container)?;
    let (failure, shown_by) = last_failure(subject, container.name, message);
    let class = classify(reason, &failure, &image);
    let name = class.map_or(UNKNOWN_CLASS, |class| class.name);
    let severity = if reading::is_owner_down(subject) { Severity::Critical } else { Severity::Warning };
    let said = if failure.is_empty() { String::new() } else { format!(": {failure}") };
    let text = format!("container `{}` cannot pull `{image}` ({name}){said}", container.name);
    let mut finding = subject.finding(reason, text, since).severity(container.at_most(severity)).part(container.name).class(name);
    if let Some(class) = class {
        finding = finding.remedy(class.remedy);
    }
    finding.registry = Some(registry_of(&image).to_owned());
    Ok(finding.on_node(reading::node_of(pod)?).shown_by(shown_by))
}

/// The image as the specification names it; the status may name it as the runtime does.
fn image_of<'a>(subject: &Subject<'a>, container: &Container<'a>) -> Result<String, crate::Undecided> {
    if let Some(entry) = container.specification(subject.object)?
        && let Some(image) = field::text(entry, "/image")?
    {
        return Ok(image.to_owned());
    }
    Ok(field::text(container.status, "/image")?.unwrap_or("an image that is not named").to_owned())
}

/// Whether a message tells of a back-off, whichever words the kubelet has for it.
fn is_back_off(message: &str) -> bool {
    let start = message.trim_start().get(..8).unwrap_or_default();
    ["back-off", "back off"].iter().any(|word| start.eq_ignore_ascii_case(word))
}

/// What the registry or the runtime said last, and the change that showed it.
fn last_failure(subject: &Subject<'_>, container: &str, message: &str) -> (String, Option<Seq>) {
    if !message.is_empty() && !is_back_off(message) {
        return (message.to_owned(), None);
    }
    let uid = &subject.object.id.uid;
    if let Some((message, seq)) = subject.view.trail(uid).and_then(|trail| trail.pull_error(container)) {
        return (message.to_owned(), Some(seq));
    }
    let events = subject.view.events_of(uid);
    let telling = events.iter().rev().find(|event| {
        let of_container = event.container().is_none_or(|name| name == container);
        of_container && event.is_warning() && event.message.starts_with("Failed to pull image")
    });
    match telling {
        Some(event) => (event.message.to_owned(), Some(event.seq)),
        // Newer kubelets repeat the failure behind the back-off.
        None => (message.split_once(": ").map(|(_, rest)| rest.to_owned()).unwrap_or_default(), None),
    }
}

/// The class of what a registry or a runtime said.
pub(crate) fn class_name(failure: &str, image: &str) -> &'static str {
    classify("", failure, image).map_or(UNKNOWN_CLASS, |class| class.name)
}

fn classify(reason: &str, failure: &str, image: &str) -> Option<&'static Class> {
    // What the image is called says nothing: one may be named `forbidden-web:1.401`.
    let repository = image.split('@').next().unwrap_or(image);
    let repository = repository.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(repository, |(path, _)| path);
    let text = [image, repository].iter().fold(failure.to_ascii_lowercase(), |text, name| match name.is_empty() {
        true => text,
        false => text.replace(&name.to_ascii_lowercase(), "image"),
    });
    let fallback = match reason {
        "RegistryUnavailable" => Some("Network"),
        "SignatureValidationFailed" => Some("Signature"),
        _ => None,
    };
    let by_words = CLASSES.iter().find(|class| class.words.iter().any(|word| says(&text, word)));
    by_words.or_else(|| CLASSES.iter().find(|class| Some(class.name) == fallback))
}

/// Whether a text says something; a status code must stand by itself, for digests and tags hold any digits.
fn says(text: &str, word: &str) -> bool {
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.contains(word);
    }
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | ':' | '-' | '_' | '/' | '@');
    let ends = |rest: &str| !rest.trim_start_matches([':', '.', ',']).starts_with(is_part);
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + word.len()..).unwrap_or_default());
        !before.ends_with(is_part) && ends(after)
    })
}

/// The registry host of an image reference: what stands before the first slash, if it looks like a host.
fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(failure: &str, expected: &str) {
        let image = "r.example/forbidden/web:1.401";
        assert_eq!(classify("ImagePullBackOff", failure, image).map_or(UNKNOWN_CLASS, |class| class.name), expected, "{failure}");
    }

    #[test]
    fn classes_go_by_the_narrowest_words() {
        check("http: server gave HTTP response to HTTPS client", "HttpMismatch");
        check("tls: failed to verify certificate: x509: certificate signed by unknown authority", "Tls");
        check("pull access denied, repository does not exist or may require authorization: server message: insufficient_scope", "Auth");
        check("toomanyrequests: You have reached your pull rate limit", "RateLimit");
        check("dial tcp: lookup registry.exmaple.com: no such host", "Dns");
        check("dial tcp 10.0.0.1:5000: connect: connection refused", "Network");
        check("docker.io/library/web:9: not found", "NotFound");
        check("no matching manifest for linux/arm64 in the manifest list entries", "Platform");
        check("write /var/lib/containerd: no space left on device", "Disk");
        check("something new", "Other");
        check("failed to resolve reference \"r.example/forbidden/web:1.401\": r.example/forbidden/web:1.401: not found", "NotFound");
        check("unexpected status code [manifests 1.429]: 403 Forbidden", "Auth");
        check("unexpected status from GET request: 429", "RateLimit");
        check("failed to copy: httpReadSeeker: sha256:aa401bb: not found", "NotFound");
        check("Head \"https://r.example:5000/v2/\": tls: first record does not look like a TLS handshake", "HttpMismatch");
        check("Head \"https://r.example/v2/\": remote error: tls: handshake failure", "Tls");
        check("net/http: TLS handshake timeout", "Network");
        check("dial tcp: lookup r.example on 10.0.0.10:53: read udp 10.1.0.5:4021->10.0.0.10:53: i/o timeout", "Dns");
        check("dial tcp 10.0.0.1:443: i/o timeout", "Network");
        check("choosing an image from manifest list: no image found in image index for architecture \"arm64\"", "Platform");
        check("unexpected status from HEAD request to https://r.example/v2/: 504 Gateway Timeout", "Network");
        check("unexpected status from HEAD request to https://r.example/v2/: 500 Internal Server Error", "Network");
        check("failed to do request: Head \"https://r.example/v2/\": EOF", "Network");
        check("httpReadSeeker: failed open: unexpected EOF", "Corrupt");
        check("failed to copy: read tcp 10.0.0.1:443: use of closed network connection", "Network");
        check("context canceled", "Network");
    }

    #[test]
    fn the_registry_is_a_host_or_the_default() {
        for (image, expected) in [
            ("web", "docker.io"),
            ("shop/web:1", "docker.io"),
            ("localhost/web", "localhost"),
            ("r.example:5000/a/b@sha256:0", "r.example:5000"),
        ] {
            assert_eq!(registry_of(image), expected, "{image}");
        }
    }
}
