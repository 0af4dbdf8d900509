//! `[mcp]`: how much a server of tools may send, and how long it may take.

use std::time::Duration;

use autoshare_host::mcp::Limits;
use serde::Deserialize;

use super::{SettingsError, bounded_in};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct McpSection {
    limits: LimitsSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsSection {
    servers: Option<u64>,
    message_bytes: Option<u64>,
    listed: Option<u64>,
    structured_bytes: Option<u64>,
    unasked_messages: Option<u64>,
    start_s: Option<u64>,
    call_s: Option<u64>,
    whole_call_s: Option<u64>,
}

/// What servers may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct McpSettings {
    /// Servers of one brain that run at once.
    pub(crate) servers: usize,
    /// What each may send.
    pub(crate) limits: Limits,
}

impl McpSection {
    pub(super) fn read(&self) -> Result<McpSettings, SettingsError> {
        let (usual, set) = (Limits::default(), &self.limits);
        let number = |name: &str, set: Option<u64>, usual: usize, accepted: std::ops::RangeInclusive<u64>| {
            let number = bounded_in("mcp.limits", name, set, usual as u64, accepted)?;
            Ok::<usize, SettingsError>(usize::try_from(number).unwrap_or(usize::MAX))
        };
        let seconds = |name: &str, set: Option<u64>, usual: Duration, most: u64| {
            bounded_in("mcp.limits", name, set, usual.as_secs(), 1..=most).map(Duration::from_secs)
        };
        Ok(McpSettings {
            servers: number("servers", set.servers, 32, 1..=1_000)?,
            limits: Limits {
                frame: number("message_bytes", set.message_bytes, usual.frame, 64 << 10..=256 << 20)?,
                listed: number("listed", set.listed, usual.listed, 1..=10_000)?,
                structured: number("structured_bytes", set.structured_bytes, usual.structured, 1 << 10..=64 << 20)?,
                unasked: number("unasked_messages", set.unasked_messages, usual.unasked, 10..=1_000_000)?,
                start: seconds("start_s", set.start_s, usual.start, 600)?,
                call: seconds("call_s", set.call_s, usual.call, 86_400)?,
                whole_call: seconds("whole_call_s", set.whole_call_s, usual.whole_call, 86_400)?,
            },
        })
    }
}
