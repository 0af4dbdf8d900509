//! What the body of a refusal says, in the words of endpoints of many makes.

use serde::Serialize;
use serde_json::Value;

/// What the body of a refusal says.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Said {
    pub(crate) message: String,
    pub(crate) code: String,
}

/// Reads `{"error": {"message", "code", "type"}}` and its relatives; any other body is its own message.
pub(crate) fn said(body: &str) -> Said {
    let Ok(value) = serde_json::from_str::<Value>(body) else {
        return Said { message: body.to_owned(), code: String::new() };
    };
    said_in(&value)
}

/// The same for a value.
pub(crate) fn said_in(value: &Value) -> Said {
    let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
    let error = value.get("error").unwrap_or(value);
    let text = |keys: &[&str]| {
        keys.iter().find_map(|key| match error.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    };
    let message = error.as_str().map(str::to_owned).or_else(|| text(&["message", "detail"]));
    let code: Vec<String> = ["code", "type", "status"].iter().filter_map(|key| text(&[key])).collect();
    Said { message: message.unwrap_or_else(|| error.to_string()), code: code.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_many_makes_are_understood() {
        let cases = [
            (r#"{"error":{"message":"m","type":"t","code":"c"}}"#, "m", "c t"),
            (r#"{"error":{"message":"m","code":429,"status":"EXHAUSTED"}}"#, "m", "429 EXHAUSTED"),
            (r#"[{"error":{"message":"m","code":400}}]"#, "m", "400"),
            (r#"{"error":"m"}"#, "m", ""),
            (r#"{"message":"m","code":"c"}"#, "m", "c"),
            (r#"{"detail":"m"}"#, "m", ""),
            (r#"{"object":"error","message":"m","type":"BadRequestError"}"#, "m", "BadRequestError"),
            ("<html>", "<html>", ""),
            ("", "", ""),
            ("[]", "[]", ""),
        ];
        for (body, message, code) in cases {
            assert_eq!(said(body), Said { message: message.into(), code: code.into() }, "{body}");
        }
    }
}
