//! Information-flow labels (`_meta.ifc`), as GitHub's server sends them:
//! `{"integrity": "trusted" | "untrusted", "confidentiality": ["public"] | [READER, ...]}`.
//!
//! A server that is hijacked labels as it likes, so a label is believed only where it lowers: what says it is untrusted is, and
//! what is not said to be public is private. Whatever cannot be read lowers both.

use autoshare_core::tool::Label;
use serde_json::Value;

/// What the label in this `_meta` takes; nothing where there is none.
pub(crate) fn label(meta: Option<&Value>) -> Label {
    let Some(ifc) = meta.and_then(|meta| meta.get("ifc")).filter(|ifc| !ifc.is_null()) else {
        return Label::default();
    };
    let integrity = ifc.get("integrity").and_then(Value::as_str);
    Label {
        untrusted: !matches!(integrity, Some("trusted" | "high")),
        private: !ifc.get("confidentiality").is_some_and(is_public),
    }
}

/// Whether everybody may read it: one word, or a list of readers with that word alone.
fn is_public(confidentiality: &Value) -> bool {
    match confidentiality {
        Value::String(word) => word == "public",
        Value::Array(readers) => matches!(readers.as_slice(), [only] if only == "public"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_label_lowers_and_what_cannot_be_read_lowers_most() {
        // (ifc, untrusted, private)
        let table = [
            (json!(null), false, false),
            (json!({"integrity": "trusted", "confidentiality": ["public"]}), false, false),
            (json!({"integrity": "high", "confidentiality": "public"}), false, false),
            (json!({"integrity": "untrusted", "confidentiality": ["public"]}), true, false),
            (json!({"integrity": "low", "confidentiality": ["public"]}), true, false),
            (json!({"integrity": "trusted", "confidentiality": ["octocat", "hubot"]}), false, true),
            (json!({"integrity": "trusted", "confidentiality": ["public", "octocat"]}), false, true),
            (json!({"integrity": "trusted", "confidentiality": []}), false, true),
            (json!({"integrity": "trusted", "confidentiality": "private"}), false, true),
            (json!({"integrity": "endorsed", "confidentiality": ["Public"]}), true, true),
            (json!({"integrity": ["trusted"], "confidentiality": {"public": true}}), true, true),
            (json!({}), true, true),
            (json!("trusted"), true, true),
        ];
        for (ifc, untrusted, private) in table {
            assert_eq!(label(Some(&json!({"ifc": ifc}))), Label { untrusted, private }, "{ifc}");
        }
        assert_eq!(label(Some(&json!({"other": 1}))), Label::default());
        assert_eq!(label(None), Label::default());
    }
}
