//! What a status other than success means, and whether to try again.

use std::time::Duration;

use super::said::Said;
use crate::error::{ModelError, quoted};

/// A call that failed, and what may be done about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ModelError,
    pub(crate) again: Again,
}

/// Whether the same call may be made once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// It would fail again, or has cost something.
    No,
    /// After a wait; the provider may have asked for one.
    Later(Option<Duration>),
    /// At once, with the other name for the reply's limit.
    OtherLimitName,
    /// At once, without `stream_options`.
    NoStreamOptions,
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self { error, again: Again::No }
    }
}

/// Who was asked for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) who: &'a str,
    pub(crate) model: &'a str,
    pub(crate) key_from: &'a str,
    pub(crate) key_sent: KeySent,
    pub(crate) tries: u32,
}

/// Whether a key went with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySent {
    Yes,
    No,
}

/// Codes and phrases with which endpoints of several makes say that the conversation is too long for the model.
const WINDOW_CODES: [&str; 3] = ["context_length_exceeded", "exceed_context_size_error", "string_above_max_length"];
const WINDOW_PHRASES: [&str; 12] = [
    "maximum context length",
    "context length",
    "context window",
    "context size",
    "context_length",
    "maximum prompt length",
    "maximum allowed number of input tokens",
    "input token count",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "reduce the length of the messages",
];
const CREDIT_CODES: [&str; 4] = ["insufficient_quota", "insufficient_balance", "billing_hard_limit_reached", "credit"];

/// What the refusal with this status means.
pub(crate) fn refusal(asked: Asked<'_>, status: u16, said: &Said, wait: Option<Duration>) -> Failure {
    let who = asked.who.to_owned();
    let code = said.code.to_ascii_lowercase();
    let message = said.message.to_ascii_lowercase();
    let busy = |said: &Said| ModelError::Busy {
        who: asked.who.to_owned(),
        status,
        tries: asked.tries,
        asked: wait,
        said: quoted(&said.message),
    };
    let too_long = matches!(status, 400 | 413 | 422 | 500)
        && (status == 413
            || WINDOW_CODES.iter().any(|known| code.contains(known))
            || WINDOW_PHRASES.iter().any(|known| message.contains(known)));
    let error = match status {
        _ if too_long => ModelError::WindowExceeded { model: asked.model.to_owned(), said: quoted(&said.message) },
        400 if message.contains("credit balance is too low") => ModelError::OutOfCredit { who },
        400 if message.contains("api key not valid") => {
            ModelError::KeyRefused { who, from: asked.key_from.to_owned(), status }
        }
        300..=399 => ModelError::Redirected { who, status },
        401 | 403 => {
            let from = asked.key_from.to_owned();
            match asked.key_sent {
                KeySent::Yes => ModelError::KeyRefused { who, from, status },
                KeySent::No => ModelError::KeyMissing { who, from, status },
            }
        }
        402 => ModelError::OutOfCredit { who },
        429 if CREDIT_CODES.iter().any(|known| code.contains(known)) => ModelError::OutOfCredit { who },
        404 => ModelError::UnknownModel { who, model: asked.model.to_owned() },
        408 | 409 | 425 | 429 | 500..=599 => return Failure { error: busy(said), again: Again::Later(wait) },
        _ => ModelError::Refused { who, status, said: quoted(&said.message) },
    };
    let again = match status {
        400 | 422 if message.contains("max_completion_tokens") => Again::OtherLimitName,
        400 | 422 if message.contains("stream_options") => Again::NoStreamOptions,
        _ => Again::No,
    };
    Failure { error, again }
}

/// What an error in the middle of a stream means: by its code if that is a status, else by its words.
pub(crate) fn in_stream(asked: Asked<'_>, said: &Said) -> Failure {
    let status = said.code.split(' ').find_map(|word| word.parse().ok()).filter(|code| (400..600).contains(code));
    match status {
        Some(status) => refusal(asked, status, said, None),
        None if said.code.contains("rate_limit") => refusal(asked, 429, said, None),
        None if said.code.contains("overloaded") || said.code.contains("server_error") => {
            refusal(asked, 503, said, None)
        }
        None => refusal(asked, 400, said, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked<'static> {
        Asked { who: "https://h", model: "m", key_from: "K", key_sent: KeySent::Yes, tries: 2 }
    }

    fn kind(status: u16, code: &str, message: &str) -> (String, Again) {
        let said = Said { message: message.into(), code: code.into() };
        let failure = refusal(asked(), status, &said, None);
        let name = format!("{:?}", failure.error);
        (name.split(' ').next().unwrap_or_default().to_owned(), failure.again)
    }

    #[test]
    fn g4_what_a_status_means_and_whether_to_try_again() {
        let later = Again::Later(None);
        let cases = [
            (400, "context_length_exceeded", "", "WindowExceeded", Again::No),
            (400, "", "This model's maximum context length is 8192 tokens.", "WindowExceeded", Again::No),
            (400, "exceed_context_size_error", "", "WindowExceeded", Again::No),
            (400, "", "the request exceeds the available context size", "WindowExceeded", Again::No),
            (400, "", "prompt is too long: 210000 tokens > 200000 maximum", "WindowExceeded", Again::No),
            (413, "", "", "WindowExceeded", Again::No),
            (400, "", "Your credit balance is too low to access the API.", "OutOfCredit", Again::No),
            (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", "KeyRefused", Again::No),
            (422, "", "bad", "Refused", Again::No),
            (400, "", "Unsupported parameter: use 'max_completion_tokens'", "Refused", Again::OtherLimitName),
            (422, "", "stream_options: extra fields not permitted", "Refused", Again::NoStreamOptions),
            (401, "", "", "KeyRefused", Again::No),
            (403, "", "", "KeyRefused", Again::No),
            (402, "", "", "OutOfCredit", Again::No),
            (404, "", "", "UnknownModel", Again::No),
            (429, "insufficient_quota", "", "OutOfCredit", Again::No),
            (429, "rate_limit_exceeded", "tokens per min", "Busy", later),
            (408, "", "", "Busy", later),
            (500, "", "", "Busy", later),
            (503, "", "loading model", "Busy", later),
            (529, "", "", "Busy", later),
            (301, "", "", "Redirected", Again::No),
            (307, "", "", "Redirected", Again::No),
            (418, "", "", "Refused", Again::No),
        ];
        for (status, code, message, expected, again) in cases {
            assert_eq!(kind(status, code, message), (expected.to_owned(), again), "{status} {code} {message}");
        }
    }

    #[test]
    fn an_error_in_a_stream_is_told_by_its_code() {
        let cases = [
            ("429", "Busy"),
            ("502 upstream", "Busy"),
            ("rate_limit_error", "Busy"),
            ("overloaded_error", "Busy"),
            ("x", "Refused"),
            ("", "Refused"),
            ("99999", "Refused"),
        ];
        for (code, expected) in cases {
            let failure = in_stream(asked(), &Said { message: "m".into(), code: code.into() });
            assert!(format!("{:?}", failure.error).starts_with(expected), "{code}");
        }
    }
}
