//! `mcp`: servers of tools. All words of theirs are shown encoded.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use autoshare_core::event::RootMode;
use autoshare_core::tool::ToolSpec;
use autoshare_guard::encode;
use autoshare_host::Questions;
use autoshare_host::mcp::{Comparison, Definition, Described, Mcp, Pins, Running, ServerName, Way, specs};
use autoshare_sandbox::Launcher;
use serde_json::{Value, json};

use crate::args::{self, AddMcp, ApproveMcp, Run};
use crate::assemble;
use crate::exit::{FAILED, Failure, SETTINGS};
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::Settings;

/// Characters of a description that a line shows.
const LINE: usize = 100;

/// One of them.
pub(crate) fn mcp(
    settings: &Settings,
    launcher: impl FnOnce() -> Result<Launcher, Failure>,
    command: &args::Mcp,
    look: Look,
) -> Result<ExitCode, Failure> {
    let mcp = assemble::mcp(settings)?;
    match command {
        args::Mcp::Add(flags) => add(settings, &mcp, launcher()?, flags, look),
        args::Mcp::List => list(&mcp, look),
        args::Mcp::Test { name } => test(settings, &mcp, launcher()?, name, look),
        args::Mcp::Approve(flags) => approve(settings, &mcp, launcher()?, flags, look),
        args::Mcp::Remove { name } => remove(&mcp, name, look),
    }
}

/// The tools of the servers that a run names, or of all there are.
pub(crate) fn tools(settings: &Settings, flags: &Run) -> Result<Vec<ToolSpec>, Failure> {
    if flags.no_mcp {
        return Ok(Vec::new());
    }
    let known = assemble::known_mcp(settings)?;
    let names = match (&known, flags.mcp.as_slice()) {
        (_, named @ [_, ..]) => named.iter().map(|name| parse(name)).collect::<Result<Vec<_>, _>>()?,
        (Some(known), []) => known.shelf.names()?,
        (None, []) => Vec::new(),
    };
    let mut tools = Vec::new();
    for name in names {
        let unknown =
            || Failure::new(SETTINGS, format!("there is no MCP server {name}: add it with `autoshare mcp add`"));
        let definition = known.as_ref().ok_or_else(unknown)?.shelf.get(&name);
        let definition = definition.map_err(|error| Failure::from(error).with_code(SETTINGS))?;
        tools.extend(specs(&name, &definition)?);
    }
    Ok(tools)
}

fn parse(name: &str) -> Result<ServerName, Failure> {
    ServerName::parse(name).map_err(|error| Failure::new(SETTINGS, error.to_string()))
}

fn add(settings: &Settings, mcp: &Mcp, launcher: Launcher, flags: &AddMcp, look: Look) -> Result<ExitCode, Failure> {
    let name = parse(&flags.name)?;
    if mcp.shelf.names()?.contains(&name) {
        let words = format!("there is an MCP server {name} already: `autoshare mcp remove {name}` first");
        return Err(Failure::new(SETTINGS, words));
    }
    let mut definition = Definition::new(way(settings, flags)?);
    definition.contracts = flags.contracts.as_deref().map(crate::settings::read_text).transpose()?;
    let listed = connect(settings, mcp, launcher, &name, &definition)?;
    definition.pins = Pins::of(listed);
    settle(mcp, &name, &definition, flags.yes, look)
}

fn way(settings: &Settings, flags: &AddMcp) -> Result<Way, Failure> {
    if let Some(url) = &flags.url {
        return Ok(Way::Http { url: url.clone(), credential: flags.credential.clone() });
    }
    let folders = |paths: &[std::path::PathBuf], mode| -> Result<Vec<String>, Failure> {
        paths.iter().map(|path| Ok(assemble::root(settings, path, mode)?.path)).collect()
    };
    let variable = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Failure::new(SETTINGS, format!("--env {text:?}: use NAME=VALUE"))),
    };
    Ok(Way::Program {
        command: flags.command.clone(),
        env: flags.env.iter().map(variable).collect::<Result<BTreeMap<_, _>, _>>()?,
        read: folders(&flags.read, RootMode::Read)?,
        write: folders(&flags.write, RootMode::Write)?,
        hosts: flags.allow_host.clone(),
    })
}

/// What a server offers now.
fn connect(
    settings: &Settings,
    mcp: &Mcp,
    launcher: Launcher,
    name: &ServerName,
    definition: &Definition,
) -> Result<Vec<Described>, Failure> {
    let parts = assemble::parts(settings, Questions::Deny);
    let runtime = super::runtime()?;
    let launcher = Arc::new(launcher);
    let listed = runtime.block_on(async {
        let running = Running::start(mcp, &launcher, None, &parts, name, &definition.way).await?;
        let listed = running.tools(name).await;
        running.end().await;
        listed
    });
    runtime.shutdown_background();
    Ok(listed?)
}

/// Shows what would be approved, asks, and keeps it.
fn settle(mcp: &Mcp, name: &ServerName, definition: &Definition, yes: bool, look: Look) -> Result<ExitCode, Failure> {
    let specs = specs(name, definition)?;
    let tools: Vec<(&ToolSpec, &Described)> = specs.iter().filter_map(|spec| described(spec, definition)).collect();
    if look != Look::Json {
        tools.iter().for_each(|(spec, tool)| show(spec, tool));
    }
    let is_offered = |tool: &&Described| tools.iter().any(|(_, offered)| offered.name == tool.name);
    for tool in definition.pins.tools().filter(|tool| !is_offered(tool)) {
        let own = encode::terminal_line(&tool.name, LINE);
        err(&format!("left out: {own}, whose arguments are no object with names, so that it cannot be called"));
    }
    let approved = yes || (crate::prompt::somebody_is_there() && crate::prompt::confirm(&question(name, tools.len())));
    if approved {
        mcp.shelf.set(name, definition)?;
    }
    if look == Look::Json {
        let tools: Vec<Value> = tools.iter().map(|(spec, tool)| told(spec, tool)).collect();
        out(&ascii_json(&json!({"name": name.as_str(), "approved": approved, "tools": tools})));
    } else if approved {
        err(&format!("approved {} tools of {name}, as they are now", tools.len()));
    }
    if approved {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new(FAILED, format!("nothing of {name} is approved; --yes approves without being asked")))
}

/// A contract with what the server says of its tool.
fn described<'a>(spec: &'a ToolSpec, definition: &'a Definition) -> Option<(&'a ToolSpec, &'a Described)> {
    let own = &spec.served.as_ref()?.tool;
    definition.pins.tools().find(|tool| tool.name == *own).map(|tool| (spec, tool))
}

fn question(name: &ServerName, tools: usize) -> String {
    format!("Approve these {tools} tools of {name}, as they are now?")
}

/// A tool and its contract, for a person.
fn show(spec: &ToolSpec, tool: &Described) {
    let line = |text: &str| encode::terminal_line(text, LINE);
    out(&format!("{}  {}", line(&spec.name), line(&effect(spec))));
    if let Some(title) = &tool.title {
        out(&format!("    title: {}", line(title)));
    }
    for words in tool.description.lines().filter(|words| !words.trim().is_empty()) {
        out(&format!("    {}", encode::terminal(words)));
    }
    for param in &spec.params {
        let needed = if param.required { "" } else { ", may be left out" };
        out(&format!("    - {}: {}{needed}", line(&param.name), line(&word(&param.role))));
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

fn told(spec: &ToolSpec, tool: &Described) -> Value {
    json!({
        "name": spec.name, "tool": tool.name, "title": tool.title, "description": tool.description,
        "effect": spec.effect, "params": spec.params, "digest": tool.digest(),
    })
}

fn list(mcp: &Mcp, look: Look) -> Result<ExitCode, Failure> {
    let names = mcp.shelf.names()?;
    for name in &names {
        let Definition { way, pins, .. } = mcp.shelf.get(name)?;
        let tools: Vec<&str> = pins.tools().map(|tool| tool.name.as_str()).collect();
        if look == Look::Json {
            out(&ascii_json(&json!({"name": name.as_str(), "way": way, "tools": tools})));
            continue;
        }
        let by = match way {
            Way::Http { url, .. } => url,
            Way::Program { command, .. } => command.join(" "),
        };
        out(&format!("{:<24} {:>3} tools  {}", name.as_str(), tools.len(), encode::terminal_line(&by, LINE)));
    }
    if names.is_empty() && look != Look::Json {
        err("no MCP server is known; add one with: autoshare mcp add NAME --url URL, or NAME -- COMMAND");
    }
    Ok(ExitCode::SUCCESS)
}

fn test(settings: &Settings, mcp: &Mcp, launcher: Launcher, name: &str, look: Look) -> Result<ExitCode, Failure> {
    let name = parse(name)?;
    let definition = mcp.shelf.get(&name)?;
    let listed = connect(settings, mcp, launcher, &name, &definition)?;
    let comparison = definition.pins.compare(&listed);
    if look == Look::Json {
        out(&ascii_json(&json!({"name": name.as_str(), "tools": comparison})));
    } else {
        compared(&comparison, &definition.pins, &listed);
    }
    if comparison.is_changed() {
        let words = format!("{name} is not called until somebody looks: autoshare mcp approve {name}");
        return Err(Failure::new(FAILED, words));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is as it was approved, and what is not.
fn compared(comparison: &Comparison, pins: &Pins, listed: &[Described]) {
    let names = |what: &str, names: &[String]| {
        names.iter().for_each(|name| out(&format!("{what:<10} {}", encode::terminal_line(name, LINE))));
    };
    names("as before", &comparison.unchanged);
    for (name, parts) in &comparison.changed {
        let parts: Vec<&str> = parts.iter().map(|part| part.name()).collect();
        out(&format!("changed    {} ({})", encode::terminal_line(name, LINE), parts.join(", ")));
        let now = listed.iter().find(|tool| tool.name == *name);
        if let (Some(before), Some(now)) = (pins.get(name), now) {
            difference(before, now);
        }
    }
    names("new", &comparison.new);
    names("gone", &comparison.gone);
}

/// What a server said of a tool, and what it says now.
fn difference(before: &Described, now: &Described) {
    let (before, now) = (value(before), value(now));
    for (key, then) in before.as_object().into_iter().flatten() {
        let today = now.get(key).unwrap_or(&Value::Null);
        if then != today {
            out(&format!("    {key} was: {}", encode::terminal(&text(then))));
            out(&format!("    {key} is:  {}", encode::terminal(&text(today))));
        }
    }
}

fn value(tool: &Described) -> Value {
    json!({
        "title": tool.title, "description": tool.description, "input schema": tool.input_schema,
        "output schema": tool.output_schema, "annotations": tool.annotations,
    })
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn approve(
    settings: &Settings,
    mcp: &Mcp,
    launcher: Launcher,
    flags: &ApproveMcp,
    look: Look,
) -> Result<ExitCode, Failure> {
    let name = parse(&flags.name)?;
    let mut definition = mcp.shelf.get(&name)?;
    let listed = connect(settings, mcp, launcher, &name, &definition)?;
    if look != Look::Json {
        compared(&definition.pins.compare(&listed), &definition.pins, &listed);
    }
    definition.pins = Pins::of(listed);
    settle(mcp, &name, &definition, flags.yes, look)
}

fn remove(mcp: &Mcp, name: &str, look: Look) -> Result<ExitCode, Failure> {
    let name = parse(name)?;
    if !mcp.shelf.remove(&name)? {
        let words = format!("there is no MCP server {name}; `autoshare mcp list` shows those there are");
        return Err(Failure::new(FAILED, words));
    }
    if look != Look::Json {
        err(&format!("removed {name}"));
    }
    Ok(ExitCode::SUCCESS)
}
