//! What must hold, whatever was done.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::load::Life;
use crate::town::{CAP_MICROUSD, COST, STEPS, Tenant, Town, files};

/// What the journals of a tenant say together.
#[derive(Debug, Default)]
struct Told {
    brains: usize,
    reserved: usize,
    replies: usize,
    cost: u64,
    /// Actions by how they ended.
    endings: BTreeMap<String, u64>,
    resumed: u64,
}

pub fn hold(town: &Town, lives: &[Life]) {
    let mut all = Told::default();
    let mut ends = BTreeMap::<String, u64>::new();
    for (tenant, life) in town.tenants.iter().zip(lives) {
        let told = journals(town, tenant, life);
        money(tenant, &told);
        models(town, tenant);
        trail(town, tenant, &told);
        for end in life.ended.values() {
            let state = end["state"].as_str().unwrap();
            *ends.entry(state.to_owned()).or_default() += 1;
            let is_told = end["why"].as_str().is_some_and(|why| !why.is_empty());
            assert!(state == "done" || is_told, "it ended and does not say why: {end}");
            assert!(tenant.is_capped || state != "budget_used_up", "{end}");
        }
        all.brains += told.brains;
        all.replies += told.replies;
        all.reserved += told.reserved;
        all.cost += told.cost;
        all.resumed += told.resumed;
        told.endings.into_iter().for_each(|(ending, times)| *all.endings.entry(ending).or_default() += times);
    }
    sealed(town);
    let sum = |of: fn(&Life) -> u64| lives.iter().map(of).sum::<u64>();
    let mut refused = BTreeMap::<u16, u64>::new();
    lives
        .iter()
        .flat_map(|life| &life.refused)
        .for_each(|(status, times)| *refused.entry(*status).or_default() += times);
    println!(
        "{} requests, {} that reached nobody, refused {refused:?}, {} questions answered",
        sum(|life| life.asked),
        sum(|life| life.unreached),
        sum(|life| life.answered)
    );
    println!("{all:?}\nbrains by their end: {ends:?}");
    // Otherwise little was tried.
    let done = ends.get("done").copied().unwrap_or_default();
    assert!(done * 10 >= all.brains as u64 * 7, "too few brains reached their goals");
    assert!(ends.contains_key("budget_used_up"), "no cap was met");
    assert!(sum(|life| life.answered) > 0, "nobody was asked");
    assert!(all.resumed > 0 && all.endings["done"] > 100, "too little was interrupted, or done");
}

/// Reads the journals of a tenant, and holds its workspaces against them.
fn journals(town: &Town, tenant: &Tenant, life: &Life) -> Told {
    let mut told = Told::default();
    let rows = town.lines(&["--tenant", &tenant.name, "ps", "--json"]);
    let known: Vec<&str> = rows.iter().map(|row| row["brain"].as_str().unwrap()).collect();
    let mut begun: Vec<&str> = life.begun.values().map(String::as_str).collect();
    begun.sort_unstable();
    let mut found = known.clone();
    found.sort_unstable();
    assert_eq!(found, begun, "{}: each key began one brain, and nothing else did", tenant.name);
    for brain in known {
        let events = town.lines(&["--tenant", &tenant.name, "logs", brain, "--json"]);
        let words = Value::Array(events.clone()).to_string();
        only_own(town, tenant, words.as_bytes(), &format!("the journal of {brain}"));
        assert!(tenant.canary.is_in(words.as_bytes()), "the control: its own canary is there");
        told.brains += 1;
        effects(tenant, brain, &events, &mut told);
    }
    told
}

fn event<'e>(record: &'e Value, kind: &str) -> Option<&'e Value> {
    (record["record"]["event"] == kind).then_some(&record["record"])
}

/// Each action that is told as done happened once; one of which it is not told, once or not at all.
fn effects(tenant: &Tenant, brain: &str, events: &[Value], told: &mut Told) {
    let mut commands = BTreeMap::<u64, (usize, Option<String>)>::new();
    let mut work = None;
    for record in events {
        if let Some(goal) = event(record, "goal") {
            work = goal["roots"][0]["path"].as_str().map(str::to_owned);
        } else if event(record, "budget").is_some() {
            told.reserved += 1;
        } else if let Some(thought) = event(record, "thought") {
            told.replies += 1;
            told.cost += thought["usage"]["cost"].as_u64().unwrap_or_else(|| panic!("{thought}"));
        } else if let Some(proposal) = event(record, "proposal") {
            let command = proposal["action"]["args"]["command"].as_str().unwrap_or_default();
            if let Some(line) = command.strip_prefix("echo ").and_then(|rest| rest.split(' ').next()) {
                commands.insert(proposal["step"].as_u64().unwrap(), (line.parse().unwrap(), None));
            }
        } else if let Some(observation) = event(record, "observation") {
            let ending = observation["outcome"]["ending"].as_str().unwrap().to_owned();
            *told.endings.entry(ending.clone()).or_default() += 1;
            if let Some(command) = commands.get_mut(&observation["step"].as_u64().unwrap()) {
                command.1 = Some(ending);
            }
        } else if event(record, "note").is_some_and(|note| note["kind"] == "resumed") {
            told.resumed += 1;
        }
    }
    let work = work.unwrap_or_else(|| panic!("{brain} has no workspace"));
    let log = std::fs::read_to_string(format!("{work}/log.txt")).unwrap_or_default();
    let mut lines = [0; STEPS];
    for line in log.lines() {
        let (number, canary) = line.split_once(' ').unwrap_or_else(|| panic!("{brain}: {line}"));
        assert_eq!(canary, tenant.canary.as_str(), "{brain}");
        lines[number.parse::<usize>().unwrap()] += 1;
    }
    let mut may = [(0, 0); STEPS];
    for (number, ending) in commands.values() {
        let (least, most) = match ending.as_deref() {
            Some("done") => (1, 1),
            Some("refused") => (0, 0),
            _ => (0, 1),
        };
        may[*number].0 += least;
        may[*number].1 += most;
    }
    for (number, (count, (least, most))) in lines.into_iter().zip(may).enumerate() {
        assert!((least..=most).contains(&count), "{brain}: line {number} stands {count} times: {commands:?}\n{log}");
    }
}

/// Nothing of any other tenant is in it.
fn only_own(town: &Town, tenant: &Tenant, bytes: &[u8], what: &str) {
    for other in town.tenants.iter().filter(|other| other.name != tenant.name) {
        assert!(!other.canary.is_in(bytes), "{what}, of {}, holds the canary of {}", tenant.name, other.name);
    }
}

/// What a model gave was reserved before, and what a journal tells was given.
fn money(tenant: &Tenant, told: &Told) {
    let mut asked = [0_u32; STEPS + 1];
    for request in tenant.model.requests() {
        let turn = request.messages().iter().filter(|message| message["role"] == "assistant").count();
        if let Some(asked) = asked.get_mut(turn) {
            *asked += 1;
        }
    }
    let given: u32 = asked.iter().zip(&tenant.failing).map(|(asked, failing)| asked.saturating_sub(*failing)).sum();
    let given = usize::try_from(given).unwrap();
    let name = &tenant.name;
    assert!(told.replies <= given, "{name}: {} replies are told, {given} were given", told.replies);
    assert!(given <= told.reserved, "{name}: {given} replies were given, {} calls were reserved", told.reserved);
    assert_eq!(told.cost, told.replies as u64 * COST, "{name}: each reply is told at its price");
    if tenant.is_capped {
        let spent = given as u64 * COST;
        assert!(spent <= CAP_MICROUSD, "{name} spent {spent}, and may spend {CAP_MICROUSD}");
    }
}

/// Only the tenant's own words reach its models, under its own key.
fn models(town: &Town, tenant: &Tenant) {
    for request in tenant.model.requests() {
        only_own(town, tenant, request.body.to_string().as_bytes(), "a call of a model");
        let key = format!("Bearer sk-{}", tenant.canary.as_str());
        assert_eq!(request.header("authorization"), Some(key.as_str()), "{}", tenant.name);
    }
}

/// The audit trail is whole, and each brain stands in it.
fn trail(town: &Town, tenant: &Tenant, told: &Told) {
    town.done(&["--tenant", &tenant.name, "audit", "verify"]);
    let told_of = town.done(&["--tenant", &tenant.name, "audit", "export"]);
    let admitted = told_of.matches("\"brain.admitted\"").count();
    assert!(admitted >= told.brains, "{}: {admitted} of {} brains are in the trail", tenant.name, told.brains);
}

/// On disk nothing of a tenant can be read but in its own workspaces and the copies that undo keeps of them.
fn sealed(town: &Town) {
    for (path, bytes) in files(&town.disk) {
        let shown = path.strip_prefix(&town.disk).unwrap().display().to_string();
        for tenant in town.tenants.iter().filter(|tenant| tenant.canary.is_in(&bytes)) {
            let own = [format!("workspaces/{}/", tenant.name), format!("data/undo/{}/", tenant.name)];
            assert!(own.iter().any(|own| shown.starts_with(own)), "{shown} holds the canary of {}", tenant.name);
        }
    }
}
