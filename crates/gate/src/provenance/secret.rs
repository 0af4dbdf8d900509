//! Secrets: found by their form, known by their value, looked for in what leaves.

use std::collections::{BTreeSet, HashMap};

/// Bytes of a secret at least: shorter ones stand anywhere by chance.
const MIN_SECRET: usize = 8;
/// What stands in the place of a secret.
const STRUCK: &str = "[a secret was held back here]";
/// Forms of secrets found by their look that are kept at most, so that nobody fills the memory with them. Those beyond are
/// not looked for; that something secret was read is known all the same.
const MAX_FORMS: usize = 100_000;

/// Secrets that were seen, in every form in which they are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Secrets {
    /// Those that somebody trusted called secret.
    known: Forms,
    /// Those that look like one.
    found: Forms,
    /// Where the first was read.
    read_in: Option<String>,
}

/// Forms of secrets by their first bytes, so that a text is looked through once however many there are.
#[derive(Clone, PartialEq, Eq, Default)]
struct Forms {
    by_start: HashMap<[u8; MIN_SECRET], BTreeSet<String>>,
    count: usize,
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

    /// Adds the value of something that is secret. Too short a value is none.
    pub(crate) fn add_known(&mut self, value: &str) {
        forms(value).for_each(|form| self.known.add(form));
    }

    /// Adds a value that looks like a secret.
    pub(crate) fn add_found(&mut self, value: &str) {
        if self.found.count < MAX_FORMS {
            forms(value).for_each(|form| self.found.add(form));
        }
    }

    /// Whether a text holds a secret, plainly, backwards, in hexadecimal, base64 or percent form, or with blanks between.
    pub(crate) fn stands_in(&self, text: &str) -> bool {
        self.known_stands_in(text) || first(text).is_some() || self.found.stand_in(text)
    }

    /// The text without those that somebody trusted called secret; `None` if it holds none.
    pub(crate) fn struck(&self, text: &str) -> Option<String> {
        if !self.known_stands_in(text) {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let bytes = match self.known.longest_at_start(rest) {
                Some(bytes) => {
                    out.push_str(STRUCK);
                    bytes
                }
                None => {
                    out.push(c);
                    c.len_utf8()
                }
            };
            rest = rest.get(bytes..).unwrap_or_default();
        }
        // In a form that is only found with its blanks and capitals gone, nobody can say where it begins.
        Some(if self.known_stands_in(&out) { STRUCK.to_owned() } else { out })
    }

    /// Whether a text holds one of those that somebody trusted called secret.
    pub(crate) fn known_stands_in(&self, text: &str) -> bool {
        self.known.stand_in(text)
    }
}

impl std::fmt::Debug for Forms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "*** ({} forms)", self.count)
    }
}

impl Forms {
    fn add(&mut self, form: String) {
        let Some(start) = form.as_bytes().first_chunk() else { return };
        self.count += usize::from(self.by_start.entry(*start).or_default().insert(form));
    }

    fn stand_in(&self, text: &str) -> bool {
        if self.by_start.is_empty() {
            return false;
        }
        let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        self.stand_plainly_in(&dense) || self.stand_plainly_in(&dense.to_lowercase()) || self.stand_plainly_in(text)
    }

    fn longest_at_start(&self, text: &str) -> Option<usize> {
        let forms = text.as_bytes().first_chunk().and_then(|start| self.by_start.get(start))?;
        forms.iter().filter(|form| text.starts_with(form.as_str())).map(String::len).max()
    }

    fn stand_plainly_in(&self, text: &str) -> bool {
        text.as_bytes().windows(MIN_SECRET).enumerate().any(|(at, window)| {
            let start = window.first_chunk().and_then(|start| self.by_start.get(start));
            let rest = text.as_bytes().get(at..).unwrap_or_default();
            start.is_some_and(|forms| forms.iter().any(|form| rest.starts_with(form.as_bytes())))
        })
    }
}

/// What a secret looks like on its way out; nothing for what is too short to be one.
fn forms(value: &str) -> impl Iterator<Item = String> {
    let value = value.trim();
    let mut forms = Vec::new();
    if value.len() >= MIN_SECRET {
        forms.extend([value.to_owned(), value.chars().rev().collect(), hex(value), percent(value)]);
        // The bytes of base64 that do not depend on what stands before or after.
        for skip in 0..3 {
            let aligned = value.as_bytes().get(skip..).unwrap_or_default();
            let whole = aligned.len() - aligned.len() % 3;
            let encoded = base64(aligned.get(..whole).unwrap_or_default());
            forms.extend([encoded.replace('+', "-").replace('/', "_"), encoded]);
        }
    }
    forms.into_iter()
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

/// Whether a field or variable of this name holds a credential: one of the names, alone or at the end after `_`.
pub(crate) fn is_name(name: &str) -> bool {
    NAMES.iter().any(|known| {
        let Some(at) = name.len().checked_sub(known.len()) else { return false };
        let ends = name.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(known));
        ends && name.get(..at).is_some_and(|head| head.is_empty() || head.ends_with('_'))
    })
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
