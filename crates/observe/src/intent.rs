//! Whether a field tells what somebody wanted, or only what became of it.
//!
//! Pure.

/// Metadata that changes by itself: controllers keep their own books there.
const KEPT_BY_CONTROLLERS: [&str; 5] = [
    "metadata.annotations[\"deployment.kubernetes.io/",
    "metadata.annotations[\"control-plane.alpha.kubernetes.io/leader",
    "metadata.ownerReferences",
    "metadata.finalizers",
    "metadata.deletion",
];

/// Whether a changed field is one that somebody wanted otherwise.
pub fn is_wanted_field(path: &str) -> bool {
    !path.starts_with("status") && !KEPT_BY_CONTROLLERS.iter().any(|kept| path.starts_with(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_the_books_of_controllers_are_not_wanted() {
        for path in ["status.phase", "metadata.finalizers[0]", "metadata.annotations[\"deployment.kubernetes.io/revision\"]"] {
            assert!(!is_wanted_field(path), "{path}");
        }
        for path in ["spec.replicas", "data.config", "metadata.labels.app", "metadata.annotations[\"team\"]"] {
            assert!(is_wanted_field(path), "{path}");
        }
    }
}
