//! `mcp`: servers of tools. All words of theirs are shown encoded.

mod show;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use autoshare_core::event::RootMode;
use autoshare_core::tool::ToolSpec;
use autoshare_guard::encode;
use autoshare_host::Questions;
use autoshare_host::mcp::{Definition, Injected, Mcp, Offer, Pins, Running, ServerError, ServerName, Way, specs};
use autoshare_sandbox::Launcher;
use serde_json::{Value, json};

use crate::args::{self, AddMcp, ApproveMcp, McpPrompt, Run};
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
        args::Mcp::Prompt(flags) => prompt(settings, &mcp, launcher()?, flags, look),
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
    definition.pins = Pins::of(connect(settings, mcp, launcher, &name, &definition)?);
    settle(settings, mcp, &name, &definition, (flags.yes, flags.suspicious), look)
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
        secrets: flags.secret.iter().map(|text| injected(text)).collect::<Result<_, _>>()?,
    })
}

/// `ENV=NAME[@HOST]`.
fn injected(text: &str) -> Result<(String, Injected), Failure> {
    let is_variable = |name: &str| {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && name.starts_with(|c: char| !c.is_ascii_digit())
    };
    let (variable, rest) = text
        .split_once('=')
        .filter(|(name, _)| is_variable(name))
        .ok_or_else(|| Failure::new(SETTINGS, format!("--secret {text:?}: use ENV=NAME or ENV=NAME@HOST")))?;
    let (secret, host) = rest.split_once('@').map_or((rest, None), |(secret, host)| (secret, Some(host.to_owned())));
    Ok((variable.to_owned(), Injected { secret: secret.to_owned(), host }))
}

/// What a server offers now.
fn connect(
    settings: &Settings,
    mcp: &Mcp,
    launcher: Launcher,
    name: &ServerName,
    definition: &Definition,
) -> Result<Offer, Failure> {
    connected(settings, mcp, launcher, name, definition, async |running| running.offer(name).await)
}

/// What comes of asking a server that runs for as long as that takes.
fn connected<T>(
    settings: &Settings,
    mcp: &Mcp,
    launcher: Launcher,
    name: &ServerName,
    definition: &Definition,
    ask: impl AsyncFnOnce(&Running) -> Result<T, ServerError>,
) -> Result<T, Failure> {
    let parts = assemble::parts(settings, Questions::Deny);
    let runtime = super::runtime()?;
    let launcher = Arc::new(launcher);
    let answer = runtime.block_on(async {
        let running = Running::start(mcp, &launcher, None, &parts, name, &definition.way).await?;
        let answer = ask(&running).await;
        running.end().await;
        answer
    });
    runtime.shutdown_background();
    Ok(answer?)
}

/// Shows what would be approved, asks, and keeps it.
fn settle(
    settings: &Settings,
    mcp: &Mcp,
    name: &ServerName,
    definition: &Definition,
    (yes, even_if_suspicious): (bool, bool),
    look: Look,
) -> Result<ExitCode, Failure> {
    let (pins, specs) = (&definition.pins, specs(name, definition)?);
    let tools = show::described(&specs, definition);
    if look != Look::Json {
        show::show(&tools, pins);
    }
    let own: Vec<&str> = tools.iter().filter_map(|(_, tool)| tool.map(|tool| tool.name.as_str())).collect();
    for tool in pins.tools().filter(|tool| !own.contains(&tool.name.as_str())) {
        let own = encode::terminal_line(&tool.name, LINE);
        err(&format!("left out: {own}, whose arguments are no object with names, so that it cannot be called"));
    }
    let suspicious = show::suspicious(&tools, pins, settings.guard.detector);
    if look != Look::Json {
        show::warn(&suspicious);
    }
    // Who approves without looking does not approve what wants to be looked at.
    if yes && !even_if_suspicious && !suspicious.is_empty() {
        let words = format!(
            "{} of the descriptions of {name} read like orders to whoever reads them, and nothing of it is approved: look at \
             them without --yes, or approve them with --suspicious",
            suspicious.len()
        );
        return Err(Failure::new(FAILED, words));
    }
    let counted = show::counted(own.len(), pins);
    let question = format!("Approve these {counted} of {name}, as they are now?");
    let approved = yes || (crate::prompt::somebody_is_there() && crate::prompt::confirm(&question));
    if approved {
        mcp.shelf.set(name, definition)?;
    }
    if look == Look::Json {
        let mut told = json!({"name": name.as_str(), "approved": approved});
        merge(&mut told, show::told(&tools, pins));
        merge(&mut told, json!({"suspicious": suspicious}));
        out(&ascii_json(&told));
    } else if approved {
        err(&format!("approved {counted} of {name}, as they are now"));
    }
    if approved {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new(FAILED, format!("nothing of {name} is approved; --yes approves without being asked")))
}

/// Adds the members of one object to another.
fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
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
        let counted = show::counted(tools.len(), &pins);
        out(&format!("{:<24} {counted:<32} {}", name.as_str(), encode::terminal_line(&by, LINE)));
    }
    if names.is_empty() && look != Look::Json {
        err("no MCP server is known; add one with: autoshare mcp add NAME --url URL, or NAME -- COMMAND");
    }
    Ok(ExitCode::SUCCESS)
}

fn test(settings: &Settings, mcp: &Mcp, launcher: Launcher, name: &str, look: Look) -> Result<ExitCode, Failure> {
    let name = parse(name)?;
    let definition = mcp.shelf.get(&name)?;
    let offer = connect(settings, mcp, launcher, &name, &definition)?;
    let changes = definition.pins.compare(&offer);
    if look == Look::Json {
        let mut told = json!({"name": name.as_str()});
        merge(&mut told, serde_json::to_value(&changes).unwrap_or_default());
        out(&ascii_json(&told));
    } else {
        show::compared(&changes, &definition.pins, &offer);
    }
    if changes.is_changed() {
        let words = format!("{name} is not called until somebody looks: autoshare mcp approve {name}");
        return Err(Failure::new(FAILED, words));
    }
    Ok(ExitCode::SUCCESS)
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
    let offer = connect(settings, mcp, launcher, &name, &definition)?;
    if look != Look::Json {
        show::compared(&definition.pins.compare(&offer), &definition.pins, &offer);
    }
    definition.pins = Pins::of(offer);
    settle(settings, mcp, &name, &definition, (flags.yes, flags.suspicious), look)
}

/// Prints a prompt of a server, as long as all that it says is as it was approved. The words are the server's.
fn prompt(
    settings: &Settings,
    mcp: &Mcp,
    launcher: Launcher,
    flags: &McpPrompt,
    look: Look,
) -> Result<ExitCode, Failure> {
    let name = parse(&flags.server)?;
    let definition = mcp.shelf.get(&name)?;
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Failure::new(SETTINGS, format!("{text:?}: use KEY=VALUE"))),
    };
    let with = flags.with.iter().map(pair).collect::<Result<BTreeMap<_, _>, _>>()?;
    let text = connected(settings, mcp, launcher, &name, &definition, async |running| {
        running.check(&name, &definition).await?;
        running.prompt(&name, &definition.pins, &flags.prompt, &with).await
    })?;
    if look == Look::Json {
        out(&ascii_json(&json!({"name": name.as_str(), "prompt": flags.prompt, "text": text})));
    } else {
        err(&format!("what follows are words of the server {name}, not yours"));
        out(&encode::terminal(&text));
    }
    Ok(ExitCode::SUCCESS)
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
