//! Events for callers.

use std::time::SystemTime;

use serde_json::Value;

/// An event without a name.
pub(super) fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// An event whose name is the `type` of its data.
pub(super) fn named(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value.get("type").and_then(Value::as_str).unwrap_or("message"))
}

/// Seconds since 1970, which some dialects want in every reply.
pub(super) fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}
