//! Made-up documents of many kinds and formats, and attacks placed into documents.

use std::ops::Range;

use crate::grammar::Grammar;
use crate::kinds::{KINDS, Kind};
use crate::random::Random;

/// Around an attack while a document is put together.
const BEGIN: char = '\u{E000}';
const END: char = '\u{E001}';

/// A document, and where the attack stands in it, if one does.
pub(crate) struct Document {
    pub(crate) text: String,
    pub(crate) attack: Option<Range<usize>>,
}

/// What documents are filled with: made-up sentences, and sentences of others, lest one style stand for harmless.
pub(crate) struct Filler<'a> {
    pub(crate) grammar: &'a Grammar,
    pub(crate) sentences: Vec<&'a str>,
}

impl Filler<'_> {
    /// A value that a machine or a form gives.
    fn value(&self, rule: &str, random: &mut Random) -> String {
        self.grammar.make(rule, random)
    }

    /// What a person wrote.
    fn words(&self, rule: &str, random: &mut Random) -> String {
        if self.sentences.is_empty() {
            return self.grammar.make(rule, random);
        }
        match random.below(12) {
            0..3 => {
                let list: Vec<&str> = (0..1 + random.below(3)).map(|_| *random.pick(&self.sentences)).collect();
                list.join(" ")
            }
            // A few words of a sentence: not everything that people fill in is one.
            3..5 => {
                let words: Vec<&str> = random.pick(&self.sentences).split(' ').collect();
                let from = random.below(words.len());
                let some: Vec<_> = words.iter().skip(from).take(1 + random.below(6)).copied().collect();
                some.join(" ")
            }
            5..7 => self.grammar.make("state.line", random),
            _ => self.grammar.make(rule, random),
        }
    }
}

/// A made-up document without an attack, or with one.
pub(crate) fn made(filler: &Filler<'_>, random: &mut Random, attack: Option<&str>) -> Document {
    let text = match random.below(10) {
        0 => prose(filler, random, attack),
        1 => mail(filler, random, attack),
        2 => code(filler, random, attack),
        3 => page(filler, random, attack),
        _ => records(filler, KINDS, random, attack),
    };
    finish(&text)
}

/// Made-up records of one of `kinds`, without an attack, or with one.
pub(crate) fn made_of(kinds: &[Kind], filler: &Filler<'_>, random: &mut Random, attack: Option<&str>) -> Document {
    finish(&records(filler, kinds, random, attack))
}

/// An attack placed into a text of somebody's.
pub(crate) fn placed(text: &str, attack: &str, random: &mut Random) -> Document {
    let marked = format!("{BEGIN}{attack}{END}");
    let quoted = text.matches("\": \"").count();
    if text.trim_start().starts_with(['{', '[']) && quoted > 1 {
        let marked = marked.replace('"', "\\\"").replace('\n', "\\n");
        let chosen = random.below(quoted);
        let at = text.match_indices("\": \"").nth(chosen).map_or(0, |(at, _)| at + 4);
        let length = text[at..].find('"').unwrap_or(0);
        return finish(&match random.below(3) {
            0 => format!("{}{marked}{}", &text[..at], &text[at + length..]),
            1 => format!("{}{marked} {}", &text[..at], &text[at..]),
            _ => format!("{} {marked}{}", &text[..at + length], &text[at + length..]),
        });
    }
    let mut borders: Vec<usize> =
        text.match_indices(['\n', '.', '!', '?']).map(|(at, found)| at + found.len()).collect();
    borders.extend([0, text.len()]);
    let at = match random.below(4) {
        0 => 0,
        1 => text.len(),
        _ => *random.pick(&borders),
    };
    let gap = *random.pick(&[" ", " ", "\n", "\n\n"]);
    let (before, after) = (if at == 0 { "" } else { gap }, if at == text.len() { "" } else { gap });
    finish(&format!("{}{before}{marked}{after}{}", &text[..at], text[at..].trim_start()))
}

fn finish(text: &str) -> Document {
    let begin = text.find(BEGIN);
    let text = text.replace(BEGIN, "");
    let end = text.find(END);
    let attack = begin.zip(end).map(|(begin, end)| begin..end);
    Document { text: text.replace(END, ""), attack }
}

/// `text` with the attack at its begin, in its middle, at its end, or in its stead.
fn with(text: &str, attack: &str, random: &mut Random) -> String {
    let marked = format!("{BEGIN}{attack}{END}");
    let gap = *random.pick(&[" ", " ", "\n", "\n\n", " - "]);
    match (random.below(8), text.find(". ")) {
        (0..3, _) => marked,
        (3, _) => format!("{marked}{gap}{text}"),
        (4, Some(at)) => format!("{}{gap}{marked}{gap}{}", &text[..=at], &text[at + 2..]),
        _ => format!("{text}{gap}{marked}"),
    }
}

/// Rules of free fields that are never longer than a name.
const SHORT: &[&str] = &["name", "company", "product", "address", "word", "first", "last", "city", "file"];

fn records(filler: &Filler<'_>, kinds: &[Kind], random: &mut Random, attack: Option<&str>) -> String {
    let (name, fields) = random.pick(kinds);
    let mut fields: Vec<(String, &str, bool)> =
        fields.iter().map(|(key, rule, free)| ((*key).to_owned(), *rule, *free)).collect();
    // Nobody has seen all kinds of records: other fields, and fields of other names, must say nothing.
    if !filler.sentences.is_empty() && random.one_in(2) {
        for _ in 0..random.below(4) {
            let field = (String::new(), *random.pick(&["any.value", "any.value", "state.line"]), random.one_in(3));
            fields.insert(random.below(fields.len() + 1), field);
        }
        for (key, ..) in &mut fields {
            if key.is_empty() || !random.one_in(3) {
                *key = filler.value("key", random);
            }
        }
    }
    let most = *random.pick(&[1, 1, 3, 3, 3, 8, 8, 20]);
    let count = 1 + random.below(most);
    let target = random.below(count);
    let free: Vec<usize> = (0..fields.len()).filter(|at| fields[*at].2).collect();
    let chosen = *random.pick(&free);
    // Now and then an attack is spread over two fields; then where it stands is not told.
    let other = free.iter().copied().find(|at| *at > chosen).filter(|_| random.one_in(8));
    let halves = attack.zip(other).and_then(|(attack, other)| Some((halves(attack)?, other)));
    let foreign = random.one_in(12);
    let mut list: Vec<Vec<(&str, String)>> = (0..count)
        .map(|_| {
            let mut row = Vec::new();
            for (key, rule, free) in &fields {
                let rule = if foreign && *free { "foreign.plain" } else { rule };
                let long = *free && !SHORT.contains(&rule);
                let value = if long { filler.words(rule, random) } else { filler.value(rule, random) };
                row.push((key.as_str(), value));
            }
            row
        })
        .collect();
    match (attack, halves) {
        (_, Some(((first, second), other))) => {
            list[target][chosen].1 = first.to_owned();
            list[target][other].1 = second.to_owned();
        }
        (Some(attack), None) => {
            let value = with(&list[target][chosen].1, attack, random);
            list[target][chosen].1 = value;
        }
        (None, None) => {}
    }
    format(name, &list, random)
}

/// An attack cut in two between words.
fn halves(attack: &str) -> Option<(&str, &str)> {
    let middle = attack.floor_char_boundary(attack.len() / 2);
    let at = middle + attack[middle..].find(' ')?;
    Some((&attack[..at], &attack[at + 1..]))
}

fn format(name: &str, list: &[Vec<(&str, String)>], random: &mut Random) -> String {
    let text = |value: &str| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
    // Numbers and truth values stand bare in most structures.
    let bare = !random.one_in(4);
    let quoted = |value: &str| {
        let is_bare = bare && (matches!(value, "true" | "false") || value.bytes().all(|byte| byte.is_ascii_digit()));
        if is_bare && !value.is_empty() { value.to_owned() } else { text(value) }
    };
    let each = |begin: &str, between: &str, end: &str, gap: &str, one: &dyn Fn(&str, &str) -> String| {
        let rows = list.iter().map(|fields| {
            let fields: Vec<_> = fields.iter().map(|(key, value)| one(key, value)).collect();
            format!("{begin}{}{end}", fields.join(between))
        });
        rows.collect::<Vec<_>>().join(gap)
    };
    match random.below(15) {
        12 => format!(
            "{{\"{}\": {}, \"{name}\": [{}]}}",
            random.pick(&["status", "success", "code", "message"]),
            random.pick(&["\"ok\"", "true", "200", "\"success\""]),
            each("{", ", ", "}", ", ", &|key, value| format!("\"{key}\": {}", quoted(value)))
        ),
        13 => format!(
            "{{'{name}': [{}]}}",
            each("{", ", ", "}", ", ", &|key, value| if quoted(value).starts_with('"') {
                format!("'{key}': '{}'", value.replace('\'', "\\'").replace('\n', "\\n"))
            } else {
                format!("'{key}': {value}")
            })
        ),
        14 => each("{", ",", "}", ",", &|key, value| format!("\n    \"{key}\": {}", quoted(value))).replace('}', "\n}"),
        0 | 1 => format!("[{}]", each("{", ", ", "}", ", ", &|key, value| format!("\"{key}\": {}", quoted(value)))),
        2 => format!(
            "{{\n  \"{name}\": [\n{}\n  ]\n}}",
            each("    {\n", ",\n", "\n    }", ",\n", &|key, value| format!("      \"{key}\": {}", quoted(value)))
        ),
        3 | 4 => each("- ", "\n  ", "", "\n", &|key, value| {
            let value = if value.contains('\n') || value.contains(": ") { quoted(value) } else { value.to_owned() };
            format!("{key}: {value}")
        }),
        5 => format!(
            "[{}]",
            each("{", ", ", "}", ", ", &|key, value| format!(
                "'{key}': '{}'",
                value.replace('\'', "\\'").replace('\n', "\\n")
            ))
        ),
        6 => each("", "\n", "", "\n\n", &|key, value| format!("{key}: {value}")),
        7 => format!("# {name}\n\n{}", each("", "\n", "\n", "\n", &|key, value| format!("**{key}**: {value}"))),
        8 => format!(
            "<{name}>\n{}\n</{name}>",
            each("  <item>", "", "</item>", "\n", &|key, value| format!("<{key}>{value}</{key}>"))
        ),
        9 => each("", ",", "", "\n", &|_, value| {
            if value.contains([',', '\n']) { quoted(value) } else { value.to_owned() }
        }),
        10 => each("| ", " | ", " |", "\n", &|_, value| value.replace('\n', " ")),
        _ => each("", "\n", "", "\n\n", &|_, value| value.to_owned()),
    }
}

fn prose(filler: &Filler<'_>, random: &mut Random, attack: Option<&str>) -> String {
    let rule = *random.pick(&["about", "security", "manual", "review", "mail.body", "foreign.plain", "faq"]);
    let mut parts: Vec<String> = (0..1 + random.below(6)).map(|_| filler.words(rule, random)).collect();
    if let Some(attack) = attack {
        parts.insert(random.below(parts.len() + 1), format!("{BEGIN}{attack}{END}"));
    }
    parts.join(*random.pick(&[" ", "\n", "\n\n"]))
}

fn mail(filler: &Filler<'_>, random: &mut Random, attack: Option<&str>) -> String {
    let body = filler.words(if random.one_in(8) { "foreign.plain" } else { "mail.body" }, random);
    let body = attack.map_or(body.clone(), |attack| with(&body, attack, random));
    let (from, to, subject) =
        (filler.value("email", random), filler.value("email", random), filler.value("mail.subject", random));
    match random.below(3) {
        0 => format!("From: {from}\nTo: {to}\nSubject: {subject}\n\n{body}"),
        1 => format!("{subject}\n\n{body}\n\n> {}", filler.value("mail.line", random)),
        _ => body,
    }
}

fn code(filler: &Filler<'_>, random: &mut Random, attack: Option<&str>) -> String {
    let mut lines: Vec<String> = (0..2 + random.below(8)).map(|_| filler.value("code", random)).collect();
    if let Some(attack) = attack {
        let sign = random.pick(&["// ", "# ", "-- ", "/* ", ""]);
        lines.insert(random.below(lines.len() + 1), format!("{sign}{BEGIN}{attack}{END}"));
    }
    lines.join("\n")
}

fn page(filler: &Filler<'_>, random: &mut Random, attack: Option<&str>) -> String {
    let rule = *random.pick(&["about", "review", "manual", "security", "fact"]);
    let mut parts: Vec<String> = (0..2 + random.below(6)).map(|_| filler.words(rule, random)).collect();
    if let Some(attack) = attack {
        parts.insert(random.below(parts.len() + 1), format!("{BEGIN}{attack}{END}"));
    }
    let title = filler.value("topic", random);
    let body: String = parts.iter().map(|part| format!("<p>{part}</p>\n")).collect();
    match random.below(3) {
        0 => format!("<html><head><title>{title}</title></head><body><h1>{title}</h1>\n{body}</body></html>"),
        1 => format!("<h2>{title}</h2>{}", body.replace("</p>\n", "</p>")),
        _ => format!("# {title}\n\n{}", parts.join("\n\n")),
    }
}
