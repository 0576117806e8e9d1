//! The reference page, held to the definitions that clients are shown.

use std::path::Path;

#[test]
fn the_reference_page_is_as_the_definitions_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/mcp.md");
    let page = proreus_serve::mcp::reference();
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(&path, &page).unwrap();
    }
    assert!(std::fs::read_to_string(&path).is_ok_and(|kept| kept == page), "UPDATE=1 writes {}", path.display());
}
