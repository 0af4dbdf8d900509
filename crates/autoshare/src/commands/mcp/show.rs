//! What a server says of what it offers, and how that compares with what was approved, for people and programs. All words of
//! servers are shown encoded.

use std::collections::BTreeMap;

use autoshare_core::tool::{Method, ToolSpec};
use autoshare_guard::verify::{Channel, Profile, Suspicion, verify};
use autoshare_guard::{encode, percent};
use autoshare_host::mcp::{Changes, Definition, Described, Listed, Offer, Pins};
use serde::Serialize;
use serde_json::{Value, json};

use crate::screen::{err, out};

/// Characters of a name that a line shows.
const LINE: usize = 100;
/// Characters of a URI that a line shows: all of it.
const MAX_URI: usize = 2 * 1024;

/// Tools with what the server says of each; nothing, of those by which resources are listed and read.
pub(super) fn described<'a>(
    specs: &'a [ToolSpec],
    definition: &'a Definition,
) -> Vec<(&'a ToolSpec, Option<&'a Described>)> {
    let of = |spec: &'a ToolSpec| {
        let own = spec.served.as_ref().filter(|served| served.method == Method::CallTool);
        (spec, own.and_then(|own| definition.pins.get(&own.tool)))
    };
    specs.iter().map(of).collect()
}

/// What would be approved, for a person.
pub(super) fn show(tools: &[(&ToolSpec, Option<&Described>)], pins: &Pins) {
    tools.iter().for_each(|(spec, tool)| show_tool(spec, *tool));
    pins.resources().for_each(|one| show_listed("resource", one));
    pins.templates().for_each(|one| show_listed("template", one));
    pins.prompts().for_each(|one| show_listed("prompt", one));
}

/// The same, for a program.
pub(super) fn told(tools: &[(&ToolSpec, Option<&Described>)], pins: &Pins) -> Value {
    let tool = |(spec, tool): &(&ToolSpec, Option<&Described>)| {
        json!({
            "name": spec.name, "tool": spec.served.as_ref().map(|served| &served.tool),
            "title": tool.and_then(|tool| tool.title.as_ref()), "description": spec.description,
            "effect": spec.effect, "params": spec.params, "digest": tool.map(|tool| tool.digest()),
        })
    };
    json!({
        "tools": tools.iter().map(tool).collect::<Vec<_>>(),
        "resources": pins.resources().collect::<Vec<_>>(),
        "templates": pins.templates().collect::<Vec<_>>(),
        "prompts": pins.prompts().collect::<Vec<_>>(),
    })
}

/// Passages of descriptions that read like orders to the model that is offered them.
#[derive(Debug, Serialize)]
pub(super) struct Suspicious {
    /// What is described.
    name: String,
    /// The passage.
    passage: String,
    /// How sure that is, in hundredths.
    percent: u8,
}

/// What the guard finds in what a model would be told of these.
pub(super) fn suspicious(
    tools: &[(&ToolSpec, Option<&Described>)],
    pins: &Pins,
    detector: Option<Profile>,
) -> Vec<Suspicious> {
    // What a tool does is said in the imperative: it takes more to be an order here.
    let profile = match detector {
        None => return Vec::new(),
        Some(Profile::Cautious) => Profile::Default,
        Some(Profile::Default | Profile::Trusting) => Profile::Trusting,
    };
    let of_tools = tools.iter().map(|(spec, _)| {
        let mut text = format!("{}\n{}", spec.name, spec.description);
        all_texts(&spec.json_schema(), &mut text);
        (&spec.name, text)
    });
    let listed = pins.resources().chain(pins.templates()).chain(pins.prompts());
    let of_listed = listed.map(|one| {
        let arguments: String = one.arguments.iter().map(|argument| format!("\n{}", argument.description)).collect();
        (&one.name, format!("{}{arguments}", one.description))
    });
    let found = |(name, text): (&String, String)| {
        let found = verify(&text, Channel::Content).flagged(profile);
        let one = |found: Suspicion| Suspicious {
            name: name.clone(),
            passage: text.get(found.span).unwrap_or_default().to_owned(),
            percent: percent(found.score),
        };
        found.into_iter().map(one).collect::<Vec<_>>()
    };
    of_tools.chain(of_listed).flat_map(found).collect()
}

/// All texts in a schema, a line each: names, descriptions, words to choose from, patterns. A model is told all of them.
fn all_texts(schema: &Value, into: &mut String) {
    let mut add = |text: &str| {
        into.push('\n');
        into.push_str(text);
    };
    match schema {
        Value::String(text) => add(text),
        Value::Array(list) => list.iter().for_each(|inner| all_texts(inner, into)),
        Value::Object(map) => {
            for (key, inner) in map {
                into.push('\n');
                into.push_str(key);
                all_texts(inner, into);
            }
        }
        _ => {}
    }
}

/// Says so to a person.
pub(super) fn warn(suspicious: &[Suspicious]) {
    for Suspicious { name, passage, percent } in suspicious {
        let name = line(name);
        err(&format!(
            "suspicious: what {name} says of itself reads like orders to whoever reads it ({percent} % sure):"
        ));
        err(&format!("    | {}", encode::terminal(passage).replace('\n', "\n    | ")));
    }
}

/// How many of each, in words: `14 tools, 1 prompt`.
pub(super) fn counted(tools: usize, pins: &Pins) -> String {
    let counts = [
        (tools, "tools"),
        (pins.resources().count(), "resources"),
        (pins.templates().count(), "templates"),
        (pins.prompts().count(), "prompts"),
    ];
    let named = counts.iter().filter(|(count, kind)| *count > 0 || *kind == "tools");
    let word = |(count, kind): &(usize, &str)| {
        format!("{count} {}", if *count == 1 { kind.trim_end_matches('s') } else { kind })
    };
    named.map(word).collect::<Vec<_>>().join(", ")
}

fn line(text: &str) -> String {
    encode::terminal_line(text, LINE)
}

/// A tool and its contract.
fn show_tool(spec: &ToolSpec, tool: Option<&Described>) {
    out(&format!("{}  {}", line(&spec.name), line(&effect(spec))));
    words(tool.and_then(|tool| tool.title.as_deref()), &spec.description);
    for param in &spec.params {
        let needed = if param.required { "" } else { ", may be left out" };
        out(&format!("    - {}: {}{needed}", line(&param.name), line(&word(&param.role))));
    }
}

fn show_listed(kind: &str, one: &Listed) {
    out(&format!("{kind} {}", encode::terminal_line(&one.name, MAX_URI)));
    words(one.title.as_deref(), &one.description);
    for argument in &one.arguments {
        let needed = if argument.required { "" } else { " (may be left out)" };
        let words =
            if argument.description.is_empty() { String::new() } else { format!(": {}", line(&argument.description)) };
        out(&format!("    - {}{needed}{words}", line(&argument.name)));
    }
}

/// A server's words of something.
fn words(title: Option<&str>, description: &str) {
    if let Some(title) = title {
        out(&format!("    title: {}", line(title)));
    }
    for words in description.lines().filter(|words| !words.trim().is_empty()) {
        out(&format!("    {}", encode::terminal(words)));
    }
}

/// A word of a contract as its data spells it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn effect(spec: &ToolSpec) -> String {
    let taken_back = if spec.reversible { ", can be taken back" } else { "" };
    format!("{}{taken_back}", word(&spec.effect))
}

/// What is as it was approved, and what is not.
pub(super) fn compared(changes: &Changes, pins: &Pins, offer: &Offer) {
    let before = [tools(pins.tools()), listed(pins.resources()), listed(pins.templates()), listed(pins.prompts())];
    let now = [
        tools(offer.tools.iter()),
        listed(offer.resources.iter()),
        listed(offer.templates.iter()),
        listed(offer.prompts.iter()),
    ];
    for ((kind, comparison), (before, now)) in changes.of().into_iter().zip(before.iter().zip(&now)) {
        let kind = if kind.is_empty() { String::new() } else { format!("{kind} ") };
        let names = |what: &str, names: &[String]| {
            names.iter().for_each(|name| out(&format!("{what:<10} {kind}{}", encode::terminal_line(name, MAX_URI))));
        };
        names("as before", &comparison.unchanged);
        for (name, parts) in &comparison.changed {
            let parts: Vec<&str> = parts.iter().map(|part| part.name()).collect();
            out(&format!("changed    {kind}{} ({})", encode::terminal_line(name, MAX_URI), parts.join(", ")));
            if let (Some(before), Some(now)) = (before.get(name), now.get(name)) {
                difference(before, now);
            }
        }
        names("new", &comparison.new);
        names("gone", &comparison.gone);
    }
}

/// What a server said of something, and what it says now.
fn difference(before: &Value, now: &Value) {
    for (key, then) in before.as_object().into_iter().flatten() {
        let today = now.get(key).unwrap_or(&Value::Null);
        if then != today {
            out(&format!("    {key} was: {}", encode::terminal(&text(then))));
            out(&format!("    {key} is:  {}", encode::terminal(&text(today))));
        }
    }
}

/// What is said of each tool, by name.
fn tools<'a>(tools: impl Iterator<Item = &'a Described>) -> BTreeMap<String, Value> {
    let of = |tool: &Described| {
        json!({
            "title": tool.title, "description": tool.description, "input schema": tool.input_schema,
            "output schema": tool.output_schema, "annotations": tool.annotations,
        })
    };
    tools.map(|tool| (tool.name.clone(), of(tool))).collect()
}

/// What is said of each resource, template or prompt, by name.
fn listed<'a>(listed: impl Iterator<Item = &'a Listed>) -> BTreeMap<String, Value> {
    let of = |one: &Listed| json!({"title": one.title, "description": one.description, "arguments": one.arguments});
    listed.map(|one| (one.name.clone(), of(one))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
