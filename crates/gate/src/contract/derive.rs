//! A contract for a tool that has none.

use autoshare_core::Digest;
use autoshare_core::tool::{
    Effect, Fields, Kind, Method, Param, Redo, ResultSpec, Role, Served, ToolSpec, Words, WrittenBy,
};
use serde_json::Value;

use super::{ContractError, schema};
use crate::provenance::issued::words_of;
use crate::warrant::lexicon::{DELETES, is_ambiguous, looks, verb};

/// What a server says of how its tool behaves: `ToolAnnotations` of the Model Context Protocol. They may make a contract
/// stricter; milder only where the tool's name says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hints {
    /// It changes nothing.
    pub read_only: Option<bool>,
    /// It may take away.
    pub destructive: Option<bool>,
    /// A second call with the same arguments does nothing more.
    pub idempotent: Option<bool>,
    /// It reaches things that the server does not hold itself.
    pub open_world: Option<bool>,
}

/// What is known of a tool of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The server's name here.
    pub server: String,
    /// The tool's name there.
    pub tool: String,
    /// The name that a model knows it by.
    pub name: String,
    /// Its words for the model. No rule reads them.
    pub description: String,
    /// The schema of its arguments.
    pub input_schema: Value,
    /// How it behaves, as the server says.
    pub hints: Hints,
    /// The digest of all that, as it was approved.
    pub digest: Digest,
}

/// The contract of a tool by fixed rules.
///
/// # Errors
/// [`ContractError::Schema`] if its arguments are no object.
pub fn derive(of: &Description) -> Result<ToolSpec, ContractError> {
    let params = schema::params(&of.input_schema)
        .map_err(|why| ContractError::Schema { tool: format!("{}/{}", of.server, of.tool), why })?;
    let by_name = by_name(&of.tool);
    let effect = effect(by_name, of.hints, &params).0;
    let redo = match effect {
        Effect::Read | Effect::Fetch => Redo::Read,
        _ if of.hints.idempotent == Some(true) => Redo::Idempotent,
        _ => Redo::Write,
    };
    // What is fetched from anywhere is anybody's, in every field.
    let issued = if effect == Effect::Fetch { Fields::None } else { Fields::ByName };
    let tool = Tool::of(&of.tool, effect, &params);
    let params = params.into_iter().map(|param| with_role(param, tool, None)).collect();
    Ok(ToolSpec {
        name: of.name.clone(),
        description: of.description.clone(),
        effect,
        redo,
        params,
        reversible: false,
        result: ResultSpec { words: Words::Anybody, issued, secret: Vec::new() },
        served: Some(Served {
            server: of.server.clone(),
            tool: of.tool.clone(),
            method: Method::CallTool,
            digest: of.digest,
            contract: WrittenBy::Derived,
        }),
    })
}

/// The rules that gave a contract, in words: one line for the effect, one for each parameter.
#[must_use]
pub fn why(spec: &ToolSpec, hints: Hints) -> Vec<String> {
    let Some(served) = &spec.served else {
        return vec!["AutoSHARE brings it; its contract is part of the program".to_owned()];
    };
    if served.contract == WrittenBy::Operator {
        return vec!["the operator's file of contracts says so".to_owned()];
    }
    if served.method != Method::CallTool {
        return vec![
            "read: the protocol says that resources are only read".to_owned(),
            "uri: target: it says what is read".to_owned(),
        ];
    }
    let mut lines = vec![effect(by_name(&served.tool), hints, &spec.params).1.to_owned()];
    let tool = Tool::of(&served.tool, spec.effect, &spec.params);
    lines.extend(spec.params.iter().map(|param| format!("{}: {}", param.name, role(param, tool).1)));
    lines
}

/// What a tool's name says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    Looks,
    Acts,
    TakesAway,
    Nothing,
}

/// The first verb of the name; a later one makes a tool that looks one that acts, if it can be nothing but a verb or stands
/// where one does ("read and forward").
fn by_name(name: &str) -> Says {
    let words = words_of(name);
    let Some(at) = words.iter().position(|word| looks(word) || verb(word) != 0) else { return Says::Nothing };
    let first = words.get(at).map_or("", String::as_str);
    let rest = words.iter().zip(words.iter().skip(1)).skip(at);
    let later: Vec<&str> = rest
        .filter(|(before, word)| !is_ambiguous(word) || matches!(before.as_str(), "and" | "then" | "or"))
        .map(|(_, word)| word.as_str())
        .collect();
    if verb(first) & DELETES != 0 || later.iter().any(|word| verb(word) & DELETES != 0) {
        Says::TakesAway
    } else if !looks(first) || later.iter().any(|word| verb(word) != 0 && !looks(word)) {
        Says::Acts
    } else {
        Says::Looks
    }
}

fn effect(name: Says, hints: Hints, params: &[Param]) -> (Effect, &'static str) {
    let goes_out = params.iter().any(|param| is_address(&param.name));
    match (name, hints.read_only) {
        (Says::TakesAway, _) => (Effect::Destructive, "destructive: its name says that it takes away"),
        (_, Some(false)) | (Says::Acts, _) if hints.destructive == Some(true) => {
            (Effect::Destructive, "destructive: the server says so")
        }
        (Says::Acts, _) => (Effect::External, "external: its name says that it acts"),
        (Says::Looks, Some(false)) => (Effect::External, "external: the server says that it does not only read"),
        (Says::Looks, _) | (Says::Nothing, Some(true)) if goes_out => {
            (Effect::Fetch, "fetch: it reads, from an address that the call names")
        }
        (Says::Looks, _) | (Says::Nothing, Some(true)) if hints.open_world == Some(true) && !params.is_empty() => {
            (Effect::Fetch, "fetch: it reads, and the server says that it asks others")
        }
        (Says::Looks, _) => (Effect::Read, "read: its name says that it only looks"),
        (Says::Nothing, Some(true)) => (Effect::Read, "read: the server says so, and its name says nothing else"),
        (Says::Nothing, _) => (Effect::External, "external: neither its name nor the server says that it only reads"),
    }
}

/// Last words of a parameter's name, by the role that they give.
const TARGETS: &[&str] = &[
    "recipient",
    "recipients",
    "to",
    "cc",
    "bcc",
    "user",
    "users",
    "username",
    "email",
    "emails",
    "channel",
    "channels",
    "id",
    "ids",
    "path",
    "paths",
    "file",
    "files",
    "filename",
    "folder",
    "directory",
    "url",
    "urls",
    "uri",
    "link",
    "host",
    "domain",
    "iban",
    "account",
    "phone",
    "participant",
    "participants",
    "attendee",
    "attendees",
    "member",
    "members",
    "group",
    "team",
    "room",
    "repo",
    "repository",
    "owner",
    "branch",
    "organization",
    "org",
    "project",
    "database",
    "destination",
    "target",
    "assignee",
    "contact",
    "person",
    "receiver",
    "webhook",
    "endpoint",
    "address",
    "command",
    "code",
    "sql",
    "script",
];
const AMOUNTS: &[&str] = &[
    "amount", "price", "quantity", "qty", "count", "n", "limit", "max", "min", "total", "size", "percent", "rate",
    "fee", "top", "k", "depth", "number",
];
const SECRETS: &[&str] = &[
    "password",
    "passphrase",
    "secret",
    "token",
    "key",
    "apikey",
    "pin",
    "credential",
    "credentials",
    "otp",
    "passcode",
];
const CONTENTS: &[&str] = &[
    "subject",
    "body",
    "content",
    "contents",
    "text",
    "message",
    "description",
    "title",
    "note",
    "notes",
    "comment",
    "summary",
    "caption",
    "html",
    "markdown",
    "reason",
    "review",
    "feedback",
    "details",
    "name",
    "location",
    "bio",
    "data",
    "payload",
];
const QUERIES: &[&str] =
    &["query", "q", "search", "filter", "keyword", "keywords", "pattern", "term", "terms", "question"];
const OPTIONS: &[&str] = &[
    "mode",
    "format",
    "recurring",
    "language",
    "lang",
    "sort",
    "order",
    "page",
    "cursor",
    "offset",
    "color",
    "priority",
    "status",
    "type",
    "kind",
    "date",
    "time",
    "start",
    "end",
    "day",
    "deadline",
    "due",
    "timezone",
    "tz",
    "duration",
    "month",
    "year",
    "at",
    "when",
    "visibility",
    "verbose",
    "encoding",
    "currency",
    "unit",
    "units",
    "level",
    "rating",
];

/// Words by which what is taken away is called.
const NAMES: &[&str] = &["name", "title", "subject", "summary"];
/// Verbs of tools that make what is named.
const MAKES: &[&str] = &["create", "add", "make", "new", "insert", "register", "draft", "save", "schedule"];

/// What the role of a parameter depends on beside its own name and kind.
#[derive(Clone, Copy)]
struct Tool {
    effect: Effect,
    /// Whether a name or a number is what it is aimed at: it takes away, or has nothing else that it could be aimed at.
    is_aimed_by_name: bool,
}

impl Tool {
    fn of(name: &str, effect: Effect, params: &[Param]) -> Self {
        let plain = Self { effect, is_aimed_by_name: false };
        let has_target = || params.iter().any(|param| role(param, plain).0 == Role::Target);
        let makes = || words_of(name).iter().any(|word| MAKES.contains(&word.as_str()));
        let is_aimed_by_name = match effect {
            Effect::Destructive => true,
            Effect::External => !has_target() && !makes(),
            _ => false,
        };
        Self { effect, is_aimed_by_name }
    }
}

/// A parameter with the role that its name and its kind give, and its members with theirs.
fn with_role(param: Param, tool: Tool, outer: Option<Role>) -> Param {
    let own = role(&param, tool).0;
    // A member of a record whose name says nothing plays the part of the record.
    let role = if is_known(&param.name) { own } else { outer.unwrap_or(own) };
    let kind = inner(param.kind, tool, role);
    Param { role, kind, ..param }
}

fn inner(kind: Kind, tool: Tool, role: Role) -> Kind {
    match kind {
        Kind::List { of, max } => Kind::List { of: Box::new(inner(*of, tool, role)), max },
        Kind::Record { fields, open } => {
            let fields = fields.into_iter().map(|field| with_role(field, tool, Some(role))).collect();
            Kind::Record { fields, open }
        }
        other => other,
    }
}

fn is_known(name: &str) -> bool {
    let last = last(name);
    [TARGETS, AMOUNTS, SECRETS, CONTENTS, QUERIES, OPTIONS].iter().any(|words| words.contains(&last.as_str()))
}

fn last(name: &str) -> String {
    words_of(name).pop().unwrap_or_default()
}

fn is_address(name: &str) -> bool {
    matches!(last(name).as_str(), "url" | "urls" | "uri" | "link" | "href" | "host" | "domain" | "endpoint" | "webhook")
}

/// Whether it is the number of something: `issue_number`, but not `page_number`.
fn is_number_of(name: &str) -> bool {
    match words_of(name).as_slice() {
        [.., of, last] => last == "number" && ![OPTIONS, AMOUNTS].iter().any(|words| words.contains(&of.as_str())),
        _ => false,
    }
}

fn role(param: &Param, tool: Tool) -> (Role, &'static str) {
    let last = last(&param.name);
    let says = |words: &[&str]| words.contains(&last.as_str());
    let scalar = scalar(&param.kind);
    let is_number = matches!(scalar, Kind::Integer { .. } | Kind::Number);
    if matches!(scalar, Kind::Boolean | Kind::OneOf { .. }) {
        return (Role::Option, "option: a choice of few");
    }
    if says(SECRETS) && !is_number {
        return (Role::Secret, "secret: its name");
    }
    if says(TARGETS) || is_number_of(&param.name) {
        return (Role::Target, "target: its name");
    }
    if is_number && says(OPTIONS) {
        return (Role::Option, "option: its name");
    }
    if says(AMOUNTS) {
        return (Role::Amount, "amount: its name");
    }
    if tool.is_aimed_by_name && (is_number || last == "name" || (tool.effect == Effect::Destructive && says(NAMES))) {
        return (Role::Target, "target: it says what the tool is done to");
    }
    if is_number {
        return (Role::Amount, "amount: a number");
    }
    if says(CONTENTS) {
        return (Role::Content, "content: its name");
    }
    if says(QUERIES) {
        return (Role::Query, "query: its name");
    }
    if says(OPTIONS) {
        return (Role::Option, "option: its name");
    }
    match tool.effect {
        Effect::Read | Effect::Fetch => (Role::Query, "query: what a tool is given that only reads"),
        _ => (Role::Target, "target: no rule knows its name"),
    }
}

fn scalar(kind: &Kind) -> &Kind {
    match kind {
        Kind::List { of, .. } => scalar(of),
        other => other,
    }
}
