//! Wire types; OpenAPI comes from them.
