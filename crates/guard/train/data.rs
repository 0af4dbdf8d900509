//! What is learnt from: the collected sets (MANIFEST of the data), READMEs, and what is made up anew for every epoch.

use std::ops::Range;
use std::path::Path;

use crate::documents::{Filler, made, made_of, placed};
use crate::grammar::Grammar;
use crate::kinds::UNSEEN;
use crate::random::Random;
use crate::verify::Channel;

/// A text with its judgement.
#[derive(Clone)]
pub(crate) struct Example {
    pub(crate) text: String,
    pub(crate) channel: Channel,
    pub(crate) attack: bool,
    /// Where the attack stands, if that is known. It is somewhere, if not.
    pub(crate) place: Option<Range<usize>>,
    pub(crate) source: String,
}

/// A record of a collected set.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) text: String,
    pub(crate) attack: bool,
    pub(crate) source: String,
}

/// The records of a file with one JSON object a line.
pub(crate) fn read(path: &Path) -> Vec<Record> {
    let file = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let record = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).expect("one JSON object a line");
        Record {
            text: value["text"].as_str().expect("text").to_owned(),
            attack: value["label"].as_u64() == Some(1),
            source: value["source"].as_str().expect("source").to_owned(),
        }
    };
    file.lines().map(record).collect()
}

/// READMEs and change logs of the folders below `path`: those for training, and those for measuring, by name of folder.
pub(crate) fn read_documents(path: &Path) -> (Vec<String>, Vec<(String, String)>) {
    let (mut train, mut dev) = (Vec::new(), Vec::new());
    let mut folders: Vec<_> = std::fs::read_dir(path).expect("the folder of documents").flatten().collect();
    folders.sort_by_key(std::fs::DirEntry::file_name);
    for folder in folders {
        let name = folder.file_name().to_string_lossy().into_owned();
        // Versions and siblings of a crate are one source.
        let family = name.split('-').next().unwrap_or_default().to_owned();
        let held = family.bytes().fold(7_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)) >> 7
            & 3
            == 0;
        for file in ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"] {
            let Ok(text) = std::fs::read_to_string(folder.path().join(file)) else { continue };
            if held { dev.push((name.clone(), text)) } else { train.extend(chunks(&text, 1500)) }
        }
    }
    (train, dev)
}

/// A text in pieces of about `bytes`, cut at line ends.
pub(crate) fn chunks(text: &str, bytes: usize) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        match list.last_mut() {
            Some(last) if last.len() + line.len() <= bytes => last.push_str(line),
            _ => list.push(crop(line, bytes).to_owned()),
        }
    }
    list
}

fn crop(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

const USER_HARMLESS: &[&str] = &[
    "gpteacher-code",
    "gpteacher-role",
    "gpteacher-tool",
    "t0",
    "selfinstruct-user",
    "alpaca-seed",
    "oasst",
    "piarena-inst",
    "bfcl",
    "toolalpaca",
    "deepset",
    "mined-trigger-sentences",
];
const CONTENT_HARMLESS: &[&str] = &[
    "piarena-doc",
    "tau-bench",
    "toolalpaca-api",
    "bfcl-fn",
    "repo-docs",
    "gpteacher-code-resp",
    "gpteacher-role-resp",
    "gpteacher-tool-resp",
    "mined-trigger-sentences",
];

/// The material of which epochs are made.
pub(crate) struct Material {
    grammar: Grammar,
    records: Vec<Record>,
    documents: Vec<String>,
}

impl Material {
    /// Records of `held` sources are left out.
    pub(crate) fn new(records: &[Record], documents: Vec<String>, held: &[&str]) -> Self {
        let records = records.iter().filter(|record| !held.contains(&record.source.as_str())).cloned().collect();
        Self { grammar: Grammar::new(), records, documents }
    }

    /// All texts that were collected, and all documents.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.records
            .iter()
            .map(|record| record.text.as_str())
            .chain(self.documents.iter().map(String::as_str))
            .collect()
    }

    /// The examples of an epoch, in random order.
    pub(crate) fn epoch(&self, seed: u64) -> Vec<Example> {
        let random = &mut Random::new(seed);
        let mut list = Vec::new();
        self.collected(random, &mut list);
        self.made_user(random, &mut list);
        self.made_content(random, &mut list);
        // Twice, for they are what false alarms come from.
        for document in self.documents.iter().chain(&self.documents) {
            push(&mut list, document, Channel::Content, false, "readme");
        }
        for example in &mut list {
            // Mail and text files are wrapped; a line is a part of a sentence there.
            if random.one_in(8) {
                wrap(&mut example.text, 40 + random.below(50));
            }
        }
        random.shuffle(&mut list);
        list
    }

    /// Records, orders and prompts of the rules that are kept for measuring: name of the set, and its examples.
    pub(crate) fn unseen(&self, seed: u64) -> Vec<(&'static str, Vec<Example>)> {
        let random = &mut Random::new(seed);
        let grammar = &self.grammar;
        let filler = &Filler { grammar, sentences: Vec::new() };
        let content = |name, rule: &str, random: &mut Random| {
            let mut list = Vec::new();
            for _ in 0..600 {
                let harmless = made_of(UNSEEN, filler, random, None);
                push(&mut list, &harmless.text, Channel::Content, false, name);
                let order = grammar.make(rule, random);
                let attack = made_of(UNSEEN, filler, random, Some(&order));
                list.push(Example {
                    text: attack.text,
                    channel: Channel::Content,
                    attack: true,
                    place: attack.attack,
                    source: name.into(),
                });
            }
            (name, list)
        };
        let orders = content("unseen orders", "unseen.order", random);
        let frames = content("unseen frames", "unseen.frame", random);
        let mut prompts = Vec::new();
        for _ in 0..300 {
            push(&mut prompts, &grammar.make("unseen.ask", random), Channel::User, false, "unseen prompts");
            push(&mut prompts, &grammar.make("unseen.break", random), Channel::User, true, "unseen prompts");
        }
        vec![orders, frames, ("unseen prompts", prompts)]
    }

    /// What was collected, as it is.
    fn collected(&self, random: &mut Random, list: &mut Vec<Example>) {
        for record in &self.records {
            let text = crop(&record.text, 2500);
            let source = record.source.as_str();
            if record.attack {
                match source {
                    "inthewild" if !breaks_rules(text) => {}
                    "inthewild" | "giskard" | "deepset" => {
                        push(list, text, Channel::User, true, source);
                        if random.one_in(3) {
                            push(list, text, Channel::Content, true, source);
                        }
                    }
                    _ => push(list, text, Channel::Content, true, source),
                }
                continue;
            }
            if USER_HARMLESS.contains(&source) {
                push(list, text, Channel::User, false, source);
            }
            if CONTENT_HARMLESS.contains(&source) {
                push(list, text, Channel::Content, false, source);
            }
            if source == "repo-docs" && random.one_in(3) {
                push(list, text, Channel::User, false, source);
            }
        }
    }

    /// The texts of some sources.
    fn texts_of(&self, sources: &[&str]) -> Vec<&str> {
        let fits = self.records.iter().filter(|record| sources.contains(&record.source.as_str()));
        fits.map(|record| record.text.as_str()).collect()
    }

    fn made_user(&self, random: &mut Random, list: &mut Vec<Example>) {
        let grammar = &self.grammar;
        for _ in 0..8000 {
            push(list, &grammar.make("ask", random), Channel::User, false, "made-ask");
        }
        for _ in 0..900 {
            push(list, &grammar.make("foreign.ask", random), Channel::User, false, "made-foreign");
            let rule = *random.pick(&["mail.body", "about", "code", "security", "manual", "foreign.plain"]);
            push(
                list,
                &format!("{}\n\n{}", grammar.make("ask.write", random), grammar.make(rule, random)),
                Channel::User,
                false,
                "made-ask",
            );
        }
        // People bring texts along, of all kinds, and tell stories.
        let brought = self.texts_of(&["piarena-doc", "gpteacher-role-resp", "gpteacher-tool-resp", "repo-docs"]);
        for _ in 0..2000 {
            let text = if brought.is_empty() { "" } else { crop(random.one_of(&brought), 100 + random.below(900)) };
            let rule = *random.pick(&["ask.write", "scene", "edge", "work.order", "ask.role"]);
            let gap = *random.pick(&[" ", "\n", "\n\n", ": "]);
            let ask = grammar.make(rule, random);
            let text = if random.one_in(3) { format!("{text}{gap}{ask}") } else { format!("{ask}{gap}{text}") };
            push(list, &text, Channel::User, false, "made-ask");
        }
        for _ in 0..3500 {
            let attack = grammar.make("jailbreak", random);
            let text = match random.below(5) {
                0 => format!("{} {attack}", grammar.make("ask", random)),
                1 => format!("{attack} {}", grammar.make("ask", random)),
                _ => attack.clone(),
            };
            push_placed(list, &text, &attack, Channel::User, "made-jailbreak");
        }
        for _ in 0..800 {
            let attack = grammar.make("foreign.void", random);
            let text = match random.below(3) {
                0 => format!("{} {attack}", grammar.make("foreign.ask", random)),
                1 => format!("{attack} {}", grammar.make("foreign.ask", random)),
                _ => attack.clone(),
            };
            push_placed(list, &text, &attack, Channel::User, "made-foreign");
        }
    }

    fn made_content(&self, random: &mut Random, list: &mut Vec<Example>) {
        let grammar = &self.grammar;
        let of = |sources: &[&str]| self.texts_of(sources);
        // Documents of others, to hold attacks; orders of others, to be attacks.
        let hosts = of(&[
            "piarena-doc",
            "tau-bench",
            "toolalpaca-api",
            "repo-docs",
            "gpteacher-role-resp",
            "gpteacher-code-resp",
        ]);
        let tasks = of(&["tasktracker", "gpteacher-role", "gpteacher-code", "alpaca-seed", "selfinstruct-user"]);
        let mut requests = of(&["bfcl", "toolalpaca", "oasst", "gpteacher-tool"]);
        requests.retain(|request| is_request(request));
        let sentences = of(&["piarena-doc", "gpteacher-role-resp", "repo-docs", "gpteacher-tool-resp"]);
        let sentences = sentences
            .iter()
            .flat_map(|text| text.split_inclusive(". ").map(str::trim))
            .filter(|text| (25..220).contains(&text.len()))
            .collect();
        let filler = &Filler { grammar, sentences };
        let order = |random: &mut Random| match random.below(20) {
            0..=2 => grammar.make("foreign.attack", random),
            3 => grammar.make("jailbreak", random),
            4 if !tasks.is_empty() => crop(random.one_of(&tasks), 300).to_owned(),
            // What people ask of assistants with tools is an attack when it stands in what a tool gave back.
            5..=9 if !requests.is_empty() => {
                let request = crop(last_line(random.one_of(&requests)), 300);
                let frame = grammar.make("frame", random);
                frame.replace("TASK", request)
            }
            _ => grammar.make("inject", random),
        };
        let attack = |random: &mut Random| {
            let order = order(random);
            if random.one_in(25) { order.to_uppercase() } else { order }
        };
        for _ in 0..7000 {
            let document = made(filler, random, None);
            push(list, &document.text, Channel::Content, false, "made-document");
            let attack = attack(random);
            let document = made(filler, random, Some(&attack));
            list.push(Example {
                text: document.text,
                channel: Channel::Content,
                attack: true,
                place: document.attack,
                source: "made-document".into(),
            });
        }
        for _ in 0..4000 {
            let host = match random.below(3) {
                0 if !self.documents.is_empty() => random.pick(&self.documents).clone(),
                _ if !hosts.is_empty() => crop(random.one_of(&hosts), 1500).to_owned(),
                _ => made(filler, random, None).text,
            };
            let document = placed(&host, &attack(random), random);
            list.push(Example {
                text: document.text,
                channel: Channel::Content,
                attack: true,
                place: document.attack,
                source: "placed".into(),
            });
        }
        for _ in 0..1500 {
            let attack = attack(random);
            push_placed(list, &attack.clone(), &attack, Channel::Content, "bare");
        }
    }
}

/// Whether a prompt that somebody called a jailbreak speaks of rules and of doing without them. Many only give a role,
/// and people who give roles are no attackers: these are not learnt from.
fn breaks_rules(text: &str) -> bool {
    const MARKS: &[&str] = &[
        "ignor",
        "disregard",
        "forget",
        "no longer",
        "restrict",
        "rules",
        "guideline",
        "polic",
        "dan ",
        "jailbr",
        "filter",
        "refus",
        "illegal",
        "ethic",
        "do anything",
        "censor",
        "openai",
        "bypass",
        "moral",
        "harmful",
        "break character",
        "developer mode",
        "system prompt",
        "previous",
        "offensive",
        "nsfw",
        "swear",
        "without any",
        "limitation",
    ];
    let text = text.to_lowercase();
    MARKS.iter().any(|mark| text.contains(mark))
}

/// Whether a text asks for a deed and not for a fact.
fn is_request(text: &str) -> bool {
    let first = last_line(text).split(' ').next().unwrap_or_default().to_lowercase();
    let asks =
        ["what", "what's", "who", "how", "why", "when", "where", "which", "is", "are", "does", "did", "hi", "hello"];
    !asks.contains(&first.as_str())
}

/// Some sets put a description of the tool before the request.
fn last_line(text: &str) -> &str {
    text.lines().rev().find(|line| line.len() > 20).unwrap_or(text)
}

/// Breaks lines that are longer than `width`, in the place of spaces, so that every byte stays where it is.
fn wrap(text: &mut String, width: usize) {
    let (mut length, mut wrapped) = (0, String::with_capacity(text.len()));
    for c in text.chars() {
        let c = if c == ' ' && length >= width { '\n' } else { c };
        length = if c == '\n' { 0 } else { length + 1 };
        wrapped.push(c);
    }
    *text = wrapped;
}

fn push(list: &mut Vec<Example>, text: &str, channel: Channel, attack: bool, source: &str) {
    list.push(Example { text: text.to_owned(), channel, attack, place: None, source: source.to_owned() });
}

fn push_placed(list: &mut Vec<Example>, text: &str, attack: &str, channel: Channel, source: &str) {
    let place = text.find(attack).map(|at| at..at + attack.len());
    list.push(Example { text: text.to_owned(), channel, attack: true, place, source: source.to_owned() });
}
