//! How many tokens a request may take, before it is sent.
//!
//! Nobody but the provider knows its tokenizer. The rule here leans to the high side: a third of a token for every
//! ASCII byte, a whole one for every other byte (a byte-level tokenizer never needs more), and something for what the
//! provider's template puts around messages and tools. Prose and code come to about four bytes a token, so the rule
//! overstates them by a third; only long runs of random digits or symbols can need more. The bill that
//! counts is the provider's, after the call.

use autoshare_core::chat::{Message, Request};

/// Tokens for the frame of a conversation.
const PER_REQUEST: u64 = 32;
/// Tokens for the frame of a message or call.
const PER_MESSAGE: u64 = 8;
/// Tokens for the frame of a tool.
const PER_TOOL: u64 = 16;

/// Tokens of a text at most, by the rule.
pub(crate) fn tokens(text: &str) -> u64 {
    let other = text.bytes().filter(|b| !b.is_ascii()).count();
    ((text.len() - other).div_ceil(3) + other) as u64
}

/// Tokens of a request at most, by the rule; the reply is not in it.
pub(crate) fn request_tokens(request: &Request) -> u64 {
    let messages = request.messages.iter().map(|message| {
        PER_MESSAGE
            + match message {
                Message::System { text } | Message::User { text } => tokens(text),
                Message::Assistant { text, calls } => {
                    let calls =
                        calls.iter().map(|c| PER_MESSAGE + tokens(&c.id) + tokens(&c.name) + tokens(&c.arguments));
                    tokens(text) + calls.sum::<u64>()
                }
                Message::Tool { call_id, text } => tokens(call_id) + tokens(text),
            }
    });
    let tools = request.tools.iter().map(|tool| {
        PER_TOOL + tokens(&tool.name) + tokens(&tool.description) + tokens(&tool.json_schema().to_string())
    });
    PER_REQUEST + messages.sum::<u64>() + tools.sum::<u64>()
}

/// Characters of base64 in a row from which on a text is taken for a picture or a file.
const LONG: usize = 4_096;
/// Tokens that a picture or a page is taken for, for every 64 KiB of its base64.
const PER_PICTURE: u64 = 4_096;

/// Tokens of a request at most, from its body as JSON: by the rule, all of it, but for what is long and base64.
pub(crate) fn body_tokens(body: &[u8]) -> u64 {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
    let mut total = PER_REQUEST;
    let (mut ascii, mut other) = (0u64, 0u64);
    for piece in body.chunk_by(|one, next| is_base64(one) == is_base64(next)) {
        if piece.len() >= LONG && piece.first().is_some_and(is_base64) {
            total = total.saturating_add(PER_PICTURE.saturating_mul((piece.len() as u64).div_ceil(64 * 1024)));
            continue;
        }
        let above = piece.iter().filter(|byte| !byte.is_ascii()).count() as u64;
        other += above;
        ascii += piece.len() as u64 - above;
    }
    total.saturating_add(ascii.div_ceil(3)).saturating_add(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule() {
        for (text, expected) in
            [("", 0), ("a", 1), ("abc", 1), ("abcd", 2), ("\u{e9}", 2), ("\u{1f600}", 4), ("ab\u{e9}", 3)]
        {
            assert_eq!(tokens(text), expected, "{text:?}");
        }
    }

    #[test]
    fn bodies() {
        let picture = "A".repeat(200_000);
        for (body, expected) in [
            ("", 32),
            ("{}", 33),
            ("{\"a\":\"\u{e9}\u{e9}\"}", 32 + 3 + 4),
            (&"x".repeat(3_000), 32 + 1_000),
            (&format!("\"{picture}\""), 32 + 4 * 4_096 + 1),
        ] {
            assert_eq!(body_tokens(body.as_bytes()), expected, "{body:.40}");
        }
    }

    #[test]
    fn every_part_of_a_request_counts() {
        let mut request = Request { messages: vec![], tools: vec![], max_output: 1 };
        let mut last = request_tokens(&request);
        let call = autoshare_core::chat::RawCall { id: "i".into(), name: "n".into(), arguments: "{}".into() };
        let messages = [
            Message::System { text: "x".into() },
            Message::User { text: "x".into() },
            Message::Assistant { text: String::new(), calls: vec![call] },
            Message::Tool { call_id: "i".into(), text: "x".into() },
        ];
        for message in messages {
            request.messages.push(message);
            let now = request_tokens(&request);
            assert!(now > last + PER_MESSAGE - 1, "{now} after {last}");
            last = now;
        }
    }
}
