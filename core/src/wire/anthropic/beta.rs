//! Features that a request must ask for by name in the header `anthropic-beta`.

use crate::types::ChatRequest;

const HEADER: &str = "anthropic-beta";

/// Fields of the body and the feature each belongs to.
const FIELDS: &[(&str, &str)] = &[
    ("mcp_servers", "mcp-client-2025-04-04"),
    ("context_management", "context-management-2025-06-27"),
    ("speed", "fast-mode-2026-02-01"),
    ("fallbacks", "server-side-fallback-2026-06-01"),
];

/// Types of tools and the feature each belongs to.
const TOOLS: &[(&str, &str)] = &[
    ("computer_20241022", "computer-use-2024-10-22"),
    ("computer_20250124", "computer-use-2025-01-24"),
    ("computer_20251124", "computer-use-2025-11-24"),
];

/// Feature of uploaded files.
const FILES: &str = "files-api-2025-04-14";

/// The header, where the request needs one; a header of the caller's own takes its place.
pub(super) fn headers(request: &ChatRequest, uploaded: bool) -> Vec<(&'static str, String)> {
    let said = |name: &str| {
        let body = request.extra_body.as_ref().and_then(|b| b.get(name));
        body.or_else(|| request.extra.get(name)).is_some_and(|v| !v.is_null())
    };
    let offered = |kind: &str| request.tools.iter().flatten().any(|t| t.r#type == kind);
    let of_fields = FIELDS.iter().filter(|(name, _)| said(name)).map(|(_, feature)| *feature);
    let of_tools = TOOLS.iter().filter(|(kind, _)| offered(kind)).map(|(_, feature)| *feature);
    let needed: Vec<&str> = of_fields.chain(of_tools).chain(uploaded.then_some(FILES)).collect();
    if needed.is_empty() { Vec::new() } else { vec![(HEADER, needed.join(","))] }
}
