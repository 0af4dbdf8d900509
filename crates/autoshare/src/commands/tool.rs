//! `tool`: what tools do, by their contracts, and which rules say so.

use std::process::ExitCode;

use autoshare_core::tool::{Effect, Fields, Kind, Param, Redo, ToolSpec, Words, WrittenBy};
use autoshare_gate::contract::{Hints, template, why};
use autoshare_guard::encode;
use autoshare_host::mcp::{ServerName, described, specs};
use serde_json::json;

use crate::args;
use crate::assemble;
use crate::exit::{FAILED, Failure, SETTINGS};
use crate::screen::{Look, ascii_json, out};
use crate::settings::Settings;
use crate::values::role_word;

/// Columns of a name.
const NAME: usize = 64;

/// A tool, and how its server says that it behaves.
struct Known {
    spec: ToolSpec,
    hints: Hints,
}

/// One of them.
pub(crate) fn tool(settings: &Settings, command: &args::Tool, look: Look) -> Result<ExitCode, Failure> {
    match command {
        args::Tool::List => {
            known(settings)?.iter().for_each(|tool| list(tool, look));
        }
        args::Tool::Show(args::ShowTool { contracts: Some(server), .. }) => contracts(settings, server)?,
        args::Tool::Show(flags) => {
            let name = flags.name.as_deref().unwrap_or_default();
            let tools = known(settings)?;
            let unknown =
                || Failure::new(FAILED, format!("there is no tool {name:?}; `autoshare tool list` shows all"));
            show(tools.iter().find(|tool| tool.spec.name == name).ok_or_else(unknown)?, look);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The tools that a brain could be offered.
fn known(settings: &Settings) -> Result<Vec<Known>, Failure> {
    let builtin = assemble::tools(settings).into_iter();
    let mut tools: Vec<Known> = builtin.map(|spec| Known { spec, hints: Hints::default() }).collect();
    let Some(mcp) = assemble::known_mcp(settings)? else { return Ok(tools) };
    for server in mcp.shelf.names()? {
        let definition = mcp.shelf.get(&server)?;
        let described = described(&server, &definition);
        for spec in specs(&server, &definition)? {
            let hints = described.iter().find(|tool| tool.name == spec.name).map(|tool| tool.hints);
            tools.push(Known { spec, hints: hints.unwrap_or_default() });
        }
    }
    Ok(tools)
}

fn list(tool: &Known, look: Look) {
    let spec = &tool.spec;
    if look == Look::Json {
        let server = spec.served.as_ref().map(|served| &served.server);
        out(&ascii_json(&json!({
            "name": spec.name, "server": server, "effect": spec.effect, "contract": contract_word(spec),
        })));
        return;
    }
    let name = encode::terminal_line(&spec.name, NAME);
    out(&format!("{name:<32} {:<12} {}", effect_word(spec.effect), contract_word(spec)));
}

fn show(tool: &Known, look: Look) {
    let spec = &tool.spec;
    let why = why(spec, tool.hints);
    if look == Look::Json {
        out(&ascii_json(&json!({"tool": spec, "why": why})));
        return;
    }
    out(&format!("{}   {}", encode::terminal_line(&spec.name, NAME), contract_word(spec)));
    if let Some(served) = &spec.served {
        let (server, own) = (encode::terminal_line(&served.server, NAME), encode::terminal_line(&served.tool, NAME));
        out(&format!("  of the server {server}, which calls it {own}"));
    }
    let taken_back = if spec.reversible { "another call can take it back" } else { "no other call takes it back" };
    out(&format!("  effect: {}; {taken_back}", effect_word(spec.effect)));
    out(&format!("  after an interruption: {}", redo_words(spec.redo)));
    out("  parameters:");
    spec.params.iter().for_each(|param| show_param(param, 4));
    let words = match spec.result.words {
        Words::Anybody => "anybody's words: content",
        Words::Operator => "the operator's words: nobody else can write what it returns",
    };
    let issued = match &spec.result.issued {
        Fields::None => "none".to_owned(),
        Fields::ByName => "those that are identifiers by their name".to_owned(),
        Fields::These(fields) => names(fields),
    };
    out(&format!("  result: {words}"));
    out(&format!("    fields that it issues itself: {issued}"));
    if !spec.result.secret.is_empty() {
        out(&format!("    fields that are secrets: {}", names(&spec.result.secret)));
    }
    out("  why:");
    why.iter().for_each(|line| out(&format!("    {}", encode::terminal(line))));
}

fn show_param(param: &Param, indent: usize) {
    let needed = if param.required { "" } else { ", may be left out" };
    let name = encode::terminal_line(&param.name, NAME);
    out(&format!("{:indent$}{name}: {}{needed}", "", role_word(param.role)));
    members(&param.kind).iter().for_each(|member| show_param(member, indent + 2));
}

fn members(kind: &Kind) -> &[Param] {
    match kind {
        Kind::List { of, .. } => members(of),
        Kind::Record { fields, .. } => fields,
        _ => &[],
    }
}

fn names(names: &[String]) -> String {
    names.iter().map(|name| encode::terminal_line(name, NAME)).collect::<Vec<_>>().join(", ")
}

fn contract_word(spec: &ToolSpec) -> &'static str {
    match &spec.served {
        None => "built in",
        Some(served) if served.contract == WrittenBy::Operator => "by the operator's contract",
        Some(_) => "by fixed rules",
    }
}

const fn effect_word(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::WriteInside => "write inside",
        Effect::RunInside => "run inside",
        Effect::Fetch => "fetch",
        Effect::External => "external",
        Effect::Destructive => "destructive",
    }
}

const fn redo_words(redo: Redo) -> &'static str {
    match redo {
        Redo::Read => "it is done again, as it changes nothing",
        Redo::Idempotent => "it is done again, as twice is the same as once",
        Redo::Queryable => "it is found out whether it happened",
        Redo::Write => "its outcome counts as unknown",
    }
}

/// A file of contracts to begin with. Names in it are TOML's strings, in which nothing acts on a terminal.
fn contracts(settings: &Settings, server: &str) -> Result<(), Failure> {
    let name = ServerName::parse(server).map_err(|error| Failure::new(SETTINGS, error.to_string()))?;
    let unknown = || Failure::new(SETTINGS, format!("there is no MCP server {name}; `autoshare mcp list` shows those"));
    let mcp = assemble::known_mcp(settings)?.ok_or_else(unknown)?;
    let text = template(&specs(&name, &mcp.shelf.get(&name)?)?)?;
    out(encode::terminal(&text).trim_end());
    Ok(())
}
