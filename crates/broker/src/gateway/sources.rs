//! What a conversation points to instead of holding it. A provider fetches a picture or file by its address: that is a way
//! out which neither the gate nor a cell's proxy sees, and from a server of one's own a way into the network it stands in.
//! And what was stored under the operator's key by one caller is another's to read. Both need the operator's leave.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::refusal::Refusal;
use super::request::Asked;
use crate::provider::Operation;

/// The leave to have the provider fetch pictures and files, in `[gateway] server_tools`.
pub(super) const FETCH: &str = "remote_url";
/// The leave to point to what is stored at the provider.
pub(super) const STORED: &str = "stored_file";

/// Fields of a request that hold conversation.
const CONVERSATION: [&str; 4] = ["input", "instructions", "messages", "system"];
/// Fields that hold an address, as a text or as `url` below.
const ADDRESSES: [&str; 6] = ["audio_url", "file_url", "image_url", "source", "video_url", "document_url"];

/// Whether a request holds all that it speaks of, or the operator allows that it does not.
pub(super) fn check(operation: Operation, asked: &Asked<'_>, allowed: &[String]) -> Result<(), Refusal> {
    if !matches!(operation, Operation::Chat | Operation::Responses | Operation::Messages) {
        return Ok(());
    }
    for field in CONVERSATION {
        let Some(text) = asked.raw(field) else { continue };
        let mut found = Vec::new();
        let look = Look { operation, key: "", above: "", found: &mut found };
        let mut parser = serde_json::Deserializer::from_str(text);
        look.deserialize(&mut parser).map_err(|error| Refusal::field(field, error.to_string()))?;
        for leave in found {
            if !allowed.iter().any(|one| one == leave) {
                return Err(Refusal::field(field, words(leave)));
            }
        }
    }
    Ok(())
}

fn words(leave: &str) -> String {
    let what = if leave == FETCH {
        "it names an address that the provider would fetch from; send pictures and files as data: URLs or base64"
    } else {
        "it points to what is stored at the provider, which all callers share; send the content itself"
    };
    format!("{what}, or have the operator allow it ([gateway] server_tools = [\"{leave}\"])")
}

/// Looks at every value, those of a field that stands there twice too.
struct Look<'f, 'k> {
    operation: Operation,
    /// The field that the value is of, and the one above that.
    key: &'k str,
    above: &'k str,
    found: &'f mut Vec<&'static str>,
}

impl Look<'_, '_> {
    fn text(self, text: &str) {
        let is_address = ADDRESSES.contains(&self.key) || (self.key == "url" && ADDRESSES.contains(&self.above));
        let is_data = text.get(..5).is_some_and(|begin| begin.eq_ignore_ascii_case("data:"));
        if is_address && !is_data {
            self.found.push(FETCH);
        }
        if self.key == "file_id" || (self.key == "type" && text == "item_reference") {
            self.found.push(STORED);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        let Self { operation, key, above, found } = self;
        while all.next_element_seed(Look { operation, key, above, found: &mut *found })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { operation, key: above, found, .. } = self;
        while let Some(Name(key)) = map.next_key::<Name<'de>>()? {
            // The arguments of a call are the model's and the caller's affair, whatever they are named.
            if operation == Operation::Messages && key == "input" {
                map.next_value::<serde::de::IgnoredAny>()?;
            } else {
                map.next_value_seed(Look { operation, key: &key, above, found: &mut *found })?;
            }
        }
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c7_no_provider_fetches_for_a_caller_without_leave() {
        let check_with = |operation, field: &str, content: &str, allowed: &[&str]| {
            let body = format!("{{\"model\":\"m\",\"{field}\":{content}}}");
            let asked = Asked::read(operation, body.as_bytes(), &[]).unwrap();
            let allowed: Vec<String> = allowed.iter().map(|one| (*one).to_owned()).collect();
            check(operation, &asked, &allowed).map_err(|refusal| refusal.words)
        };
        use Operation::{Chat, Messages, Responses};
        for (operation, field, content) in [
            (Chat, "messages", r#"[{"role":"user","content":"https://a.example"}]"#),
            (
                Chat,
                "messages",
                r#"[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}]"#,
            ),
            (Chat, "messages", r#"[{"tool_calls":[{"function":{"arguments":"{\"image_url\":\"https://x\"}"}}]}]"#),
            (Responses, "input", r#""https://a.example""#),
            (
                Responses,
                "input",
                r#"[{"content":[{"type":"input_image","image_url":"DATA:image/png;base64,AA","file_id":null}]}]"#,
            ),
            (Responses, "input", r#"[{"content":[{"annotations":[{"type":"url_citation","url":"https://x"}]}]}]"#),
            (Messages, "messages", r#"[{"content":[{"type":"image","source":{"type":"base64","data":"AA"}}]}]"#),
            (
                Messages,
                "messages",
                r#"[{"content":[{"type":"tool_use","input":{"source":{"url":"https://x"},"image_url":"y"}}]}]"#,
            ),
        ] {
            assert_eq!(check_with(operation, field, content, &[]), Ok(()), "{content}");
        }
        for (operation, field, content, leave) in [
            (
                Chat,
                "messages",
                r#"[{"content":[{"type":"image_url","image_url":{"url":"https://evil/?secret"}}]}]"#,
                FETCH,
            ),
            (Chat, "messages", r#"[{"content":[{"image_url":{"url":"https://evil","url":"data:,"}}]}]"#, FETCH),
            (Chat, "messages", r#"[{"content":[{"image_url":{"url":"data:,","\u0075rl":"https://evil"}}]}]"#, FETCH),
            (
                Chat,
                "messages",
                r#"[{"content":[{"type":"video_url","video_url":{"url":"http://169.254.169.254/"}}]}]"#,
                FETCH,
            ),
            (Chat, "messages", r#"[{"content":[{"type":"image_url","image_url":"file:///etc/passwd"}]}]"#, FETCH),
            (Responses, "input", r#"[{"content":[{"type":"input_image","image_url":"https://evil"}]}]"#, FETCH),
            (Responses, "input", r#"[{"content":[{"type":"input_file","file_url":"https://evil"}]}]"#, FETCH),
            (Responses, "input", r#"[{"output":{"type":"computer_screenshot","image_url":"https://evil"}}]"#, FETCH),
            (Responses, "input", r#"[{"type":"item_reference","id":"msg_1"}]"#, STORED),
            (Responses, "input", r#"[{"content":[{"type":"input_file","file_id":"file-1"}]}]"#, STORED),
            (
                Messages,
                "messages",
                r#"[{"content":[{"type":"image","source":{"type":"url","url":"https://evil"}}]}]"#,
                FETCH,
            ),
            (
                Messages,
                "messages",
                r#"[{"content":[{"type":"tool_result","content":[{"source":{"url":"https://evil"}}]}]}]"#,
                FETCH,
            ),
            (Messages, "messages", r#"[{"content":[{"source":{"type":"file","file_id":"file_1"}}]}]"#, STORED),
        ] {
            let said = check_with(operation, field, content, &[]).unwrap_err();
            assert!(said.contains(leave), "{content}: {said}");
            assert_eq!(check_with(operation, field, content, &[leave]), Ok(()), "{content}");
        }
    }
}
