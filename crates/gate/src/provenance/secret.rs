//! Secrets: found by their form, known by their value, looked for in what leaves.

use std::collections::BTreeSet;

/// Bytes of a secret at least: shorter ones stand anywhere by chance.
const MIN_SECRET: usize = 8;
/// Secrets that are kept at most; beyond that everything counts as secret.
const MAX_SECRETS: usize = 10_000;

/// Secrets that were seen, in every form in which they are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Secrets {
    forms: BTreeSet<String>,
    /// Where the first was read.
    read_in: Option<String>,
}

impl Secrets {
    /// Notes that something secret was readable, and where.
    pub(crate) fn read(&mut self, source: &str) {
        self.read_in.get_or_insert_with(|| source.to_owned());
    }

    /// Where something secret was readable, if it was.
    pub(crate) fn read_in(&self) -> Option<&str> {
        self.read_in.as_deref()
    }

    /// Adds a secret's value. Too short a value is no secret.
    pub(crate) fn add(&mut self, value: &str) {
        let value = value.trim();
        if value.len() < MIN_SECRET || self.forms.len() >= MAX_SECRETS {
            return;
        }
        self.forms.insert(value.to_owned());
        self.forms.insert(value.chars().rev().collect());
        self.forms.insert(hex(value));
        self.forms.insert(percent(value));
        // The bytes of base64 that do not depend on what stands before or after.
        for skip in 0..3 {
            let aligned = value.as_bytes().get(skip..).unwrap_or_default();
            let whole = aligned.len() - aligned.len() % 3;
            let encoded = base64(aligned.get(..whole).unwrap_or_default());
            if encoded.len() >= MIN_SECRET {
                self.forms.insert(encoded.replace('+', "-").replace('/', "_"));
                self.forms.insert(encoded);
            }
        }
    }

    /// Whether a text holds a secret, plainly, backwards, in hexadecimal, base64 or percent form, or with blanks between.
    pub(crate) fn stands_in(&self, text: &str) -> bool {
        if self.forms.is_empty() && first(text).is_none() {
            return false;
        }
        let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let lower = text.to_lowercase();
        first(text).is_some()
            || self.forms.iter().any(|form| text.contains(form) || dense.contains(form) || lower.contains(form))
    }
}

/// Beginnings of well-known credentials, and characters that follow at least.
const PREFIXES: &[(&str, usize)] = &[
    ("sk-", 20),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghs_", 30),
    ("github_pat_", 30),
    ("glpat-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("hf_", 24),
    ("npm_", 30),
    ("pypi-", 40),
    ("as_", 40),
    ("ya29.", 20),
    ("shpat_", 24),
    ("sk_live_", 16),
    ("rk_live_", 16),
    ("SG.", 30),
];
/// Names after which a credential stands.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secret_key",
    "api_key",
    "apikey",
    "api-key",
    "access_key",
    "access_token",
    "auth_token",
    "token",
    "private_key",
    "client_secret",
];

/// The first credential in a text that is one by its form.
pub(crate) fn first(text: &str) -> Option<&str> {
    all(text).next()
}

/// The credentials in a text that are ones by their form: a private key, a well-known prefix, a signed token, or an
/// assignment to such a name.
pub(crate) fn all(text: &str) -> impl Iterator<Item = &str> {
    let key = text.find("-----BEGIN ").filter(|at| {
        text.get(*at..).is_some_and(|rest| {
            rest.get(..80.min(rest.len()))
                .or_else(|| rest.get(..rest.floor_char_boundary(80)))
                .is_some_and(|head| head.contains("PRIVATE KEY"))
        })
    });
    let key = key.and_then(|at| text.get(at..));
    let mut named = false;
    let words =
        text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | ';' | '<' | '>' | '(' | ')'));
    let found = words.filter(|word| !word.is_empty()).filter_map(move |word| {
        let was_named = named;
        let (name, value) = word.split_once(['=', ':']).unwrap_or((word, ""));
        let is_mark = name.is_empty() && value.is_empty();
        named = if is_mark { was_named } else { is_name(name) && value.is_empty() };
        let assigned = if was_named && !is_mark { word } else { value };
        if (was_named || is_name(name)) && is_random(assigned) {
            return Some(assigned);
        }
        [word, value].into_iter().find(|word| has_prefix(word) || is_signed_token(word))
    });
    key.into_iter().chain(found)
}

/// Whether a field or variable of this name holds a credential.
pub(crate) fn is_name(name: &str) -> bool {
    let name = name.to_lowercase();
    NAMES.iter().any(|known| name == *known || name.ends_with(&format!("_{known}")))
}

/// A password is not a word: it has letters and other things.
fn is_random(value: &str) -> bool {
    let value = value.trim_end_matches(['.', ',']);
    value.len() >= MIN_SECRET
        && value.bytes().any(|b| b.is_ascii_alphabetic())
        && value.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_punctuation())
        && !value.contains("://")
}

fn has_prefix(word: &str) -> bool {
    PREFIXES.iter().any(|(prefix, more)| {
        word.strip_prefix(prefix).is_some_and(|rest| {
            let run = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')).count();
            run >= *more
        })
    })
}

/// JSON Web Token (RFC 7519): three parts, of which the first is a JSON object in base64.
fn is_signed_token(word: &str) -> bool {
    word.starts_with("eyJ") && word.len() > 60 && word.split('.').count() == 3
}

fn hex(value: &str) -> String {
    value.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn percent(value: &str) -> String {
    value
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 (RFC 4648) of a number of bytes that three divides.
fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for three in bytes.chunks_exact(3) {
        let number = three.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
        for shift in [18, 12, 6, 0] {
            out.extend(ALPHABET.get(number >> shift & 63).map(|byte| char::from(*byte)));
        }
    }
    out
}
