//! Texts made from grammars: `{a|b}` is a choice, `{name}` a rule or a made-up value, `{^}` a capital letter next.

use std::collections::HashMap;

use crate::random::Random;

const FILES: [&str; 10] = [
    include_str!("grammar/attack.txt"),
    include_str!("grammar/orders.txt"),
    include_str!("grammar/benign.txt"),
    include_str!("grammar/records.txt"),
    include_str!("grammar/words.txt"),
    include_str!("grammar/user.txt"),
    include_str!("grammar/scenes.txt"),
    include_str!("grammar/languages.txt"),
    include_str!("grammar/values.txt"),
    include_str!("grammar/unseen.txt"),
];

/// What `{^}` and `{^low}` leave for the last step.
const UPPER: char = '\u{1}';
const LOWER: char = '\u{2}';

/// The rules of all files.
pub(crate) struct Grammar {
    rules: HashMap<&'static str, Vec<&'static str>>,
}

impl Grammar {
    pub(crate) fn new() -> Self {
        let mut rules: HashMap<_, Vec<_>> = HashMap::new();
        let mut name = "";
        for line in FILES.iter().flat_map(|file| file.lines()) {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            match line.strip_prefix("  ") {
                Some(way) => rules.entry(name).or_default().push(way),
                None => name = line.trim(),
            }
        }
        Self { rules }
    }

    /// A text of `rule`.
    pub(crate) fn make(&self, rule: &str, random: &mut Random) -> String {
        let mut raw = String::new();
        self.rule(rule, random, &mut raw);
        let mut text = String::with_capacity(raw.len());
        let mut next = None;
        // Not everybody writes capitals.
        let careless = random.one_in(12);
        for c in raw.chars() {
            match (c, next) {
                (UPPER | LOWER, _) => next = Some(c),
                (c, Some(UPPER)) if c.is_alphanumeric() => {
                    text.extend(c.to_uppercase().filter(|_| !careless));
                    text.extend(Some(c).filter(|_| careless));
                    next = None;
                }
                (c, Some(_)) if c.is_alphanumeric() => {
                    text.extend(c.to_lowercase());
                    next = None;
                }
                (c, _) => text.push(c),
            }
        }
        text
    }

    fn rule(&self, name: &str, random: &mut Random, out: &mut String) {
        match self.rules.get(name) {
            Some(ways) => self.expand(random.one_of(ways), random, out),
            None => value(name, self, random, out),
        }
    }

    fn expand(&self, way: &str, random: &mut Random, out: &mut String) {
        let mut rest = way;
        while let Some(at) = rest.find(['{', '\\']) {
            out.push_str(&rest[..at]);
            if rest[at..].starts_with('\\') {
                let escaped = rest[at + 1..].chars().next().unwrap_or('\\');
                out.push(if escaped == 'n' { '\n' } else { escaped });
                rest = &rest[at + 1 + escaped.len_utf8()..];
                continue;
            }
            let (choices, after) = choices(&rest[at + 1..]);
            match choices.as_slice() {
                ["^"] => out.push(UPPER),
                ["^low"] => out.push(LOWER),
                [name] if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.') => {
                    self.rule(name, random, out);
                }

                many => self.expand(random.one_of(many), random, out),
            }
            rest = after;
        }
        out.push_str(rest);
    }
}

/// The choices up to the brace that closes them, and what follows it.
fn choices(text: &str) -> (Vec<&str>, &str) {
    let (mut depth, mut start, mut found, mut escaped) = (0, 0, Vec::new(), false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => {
                found.push(&text[start..at]);
                return (found, &text[at + 1..]);
            }
            '|' if depth == 0 => {
                found.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    panic!("a brace is not closed: {text}");
}

/// Values with digits; the ones with words are rules of `values.txt`.
fn value(name: &str, grammar: &Grammar, random: &mut Random, out: &mut String) {
    let month = |random: &mut Random| {
        *random.pick(&["January", "March", "May", "June", "August", "October", "November", "December"])
    };
    let text = match name {
        "n" => random.below(40).to_string(),
        "n4" => (1000 + random.below(9000)).to_string(),
        "month" => month(random).to_owned(),
        "date" => match random.below(5) {
            0 => format!("2024-{:02}-{:02}", 1 + random.below(12), 1 + random.below(28)),
            1 => format!("{} {}", month(random), 1 + random.below(28)),
            2 => format!("{}/{}/2025", 1 + random.below(12), 1 + random.below(28)),
            3 => (*random.pick(&["Monday", "Tuesday", "Friday", "tomorrow", "next week", "Sunday"])).to_owned(),
            _ => format!("{}.{}.", 1 + random.below(28), 1 + random.below(12)),
        },
        "time" => format!("{}:{:02}", random.below(24), 5 * random.below(12)),
        "amount" => {
            let whole = match random.below(3) {
                0 => random.below(100),
                1 => random.below(10) * 100,
                _ => random.below(20_000),
            };
            match random.below(5) {
                0 => format!("${whole}"),
                1 => format!("{whole} EUR"),
                2 => format!("{whole}.{:02}", random.below(100)),
                3 => format!("{whole} dollars"),
                _ => format!("€{whole},00"),
            }
        }
        "iban" => match random.below(3) {
            0 => format!("DE{:020}", random.next() % 10_u64.pow(18)),
            1 => format!(
                "{}{:02}{:018}",
                random.pick(&["GB", "FR", "CH", "US", "UA"]),
                random.below(99),
                random.next() % 10_u64.pow(15)
            ),
            _ => (10_000_000 + random.below(90_000_000)).to_string(),
        },
        "phone" => format!("+{} {} {}", 1 + random.below(90), 100 + random.below(900), 10_000 + random.below(90_000)),
        "id" => {
            let letters: String =
                (0..1 + random.below(4)).map(|_| *random.pick(&['A', 'b', 'C', 'k', 'Q', 'x', 'Z'])).collect();
            format!("{letters}{}{}", random.pick(&["-", "", "_"]), random.below(1_000_000))
        }
        "email" => {
            let domain = grammar.make("word", random);
            let user = grammar.make("first", random).to_lowercase();
            format!(
                "{user}{}@{domain}.{}",
                random.pick(&["", ".info", "1", "_x", ".m"]),
                random.pick(&["com", "net", "org", "io", "example"])
            )
        }
        "url" => {
            let (host, path) = (grammar.make("word", random), grammar.make("word", random));
            let end = random.pick(&["", "/", "/login", "/index.html", ".sh", "?id=7"]);
            let scheme = random.pick(&["https://", "http://", "www.", "https://www."]);
            format!(
                "{scheme}{host}-{}.{}/{path}{end}",
                grammar.make("word", random),
                random.pick(&["com", "net", "io", "org"])
            )
        }
        _ => panic!("no rule is called {name}"),
    };
    out.push_str(&text);
}
