//! Which layers this machine can give.

use std::fmt::Write as _;

use autoshare_sandbox::{Layer, Survey, Tier, survey};
use serde::Serialize;

/// How a layer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Every cell here has it; walls are tried from the inside before a cell's first job.
    InForce,
    /// It cannot be had; cells run without it, and hold less.
    Degraded,
    /// It cannot be had, and without it nothing runs.
    Off,
}

impl State {
    const fn words(self) -> &'static str {
        match self {
            Self::InForce => "in force",
            Self::Degraded => "degraded",
            Self::Off => "OFF",
        }
    }
}

/// One layer: how it stands, and what that means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its stable name, such as `landlock`.
    pub layer: String,
    /// How it stands.
    pub state: State,
    /// What was found, such as `ABI 7`.
    pub found: String,
    /// What follows from its state, for whoever runs an agent here.
    pub means: String,
    /// What gives it, if it is missing: a command where there is one.
    pub fix: Option<String>,
}

/// What this machine gives its cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The tier that cells get here; `None` if nothing can run.
    pub tier: Option<Tier>,
    /// One a layer.
    pub checks: Vec<Check>,
    /// Whether `autoshare serve` starts here, and what holds it.
    pub serve: Check,
}

/// Tries what this machine gives; changes nothing. Takes some milliseconds.
#[must_use]
pub fn examine() -> Report {
    Report::of(&survey())
}

impl Report {
    /// What a survey means.
    #[must_use]
    pub fn of(survey: &Survey) -> Self {
        let checks = survey.layers.iter().map(|layer| check(layer, survey.tier)).collect();
        Self { tier: survey.tier, checks, serve: serve(survey) }
    }

    /// Whether an agent can run here at all.
    #[must_use]
    pub const fn can_run(&self) -> bool {
        self.tier.is_some()
    }

    /// The report as lines for a person. It names paths of this machine, so it is to be encoded like any other text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = match self.tier {
            Some(Tier::Full) => "Cells on this machine are full.\n\n".to_owned(),
            Some(Tier::Narrow) => {
                "Cells on this machine are narrow: an agent's code is kept from files, processes and \
                                   the network, but sees the names of the host's files.\n\n"
                    .to_owned()
            }
            None => "No agent can run on this machine: it lacks a layer that every cell needs.\n\n".to_owned(),
        };
        let all = || self.checks.iter().chain([&self.serve]);
        let width = all().map(|check| check.layer.len()).max().unwrap_or(0);
        let indent = " ".repeat(width + 12);
        for Check { layer, state, found, means, fix } in all() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{layer:width$}  {:8}  {found}", state.words());
            if *state != State::InForce {
                let _ = writeln!(text, "{indent}{means}");
            }
            if let Some(fix) = fix {
                let _ = writeln!(text, "{indent}to have it: {fix}");
            }
        }
        text
    }
}

fn check(layer: &Layer, tier: Option<Tier>) -> Check {
    let (with, without) = meaning(&layer.name);
    let state = match (layer.there, tier) {
        (true, _) => State::InForce,
        // Optional layers lack in cells that run; where none runs, whatever is missing may be what stops them.
        (false, Some(_)) => State::Degraded,
        (false, None) if is_optional(&layer.name) => State::Degraded,
        (false, None) => State::Off,
    };
    let means = if layer.there { with } else { without };
    Check {
        layer: layer.name.clone(),
        state,
        found: layer.found.clone(),
        means: means.to_owned(),
        fix: layer.fix.clone(),
    }
}

/// Whether others may be served here: by a host that is confined itself, and from full cells alone.
fn serve(survey: &Survey) -> Check {
    let Layer { there, found, fix, .. } = &survey.host;
    let (state, means, fix) = match (there, survey.tier) {
        (true, Some(Tier::Full)) => {
            (State::InForce, "what serves others reaches its data and the network, and starts no program", None)
        }
        (true, _) => {
            let fix = "what gives full cells, above".to_owned();
            (State::Off, "`autoshare serve` does not start: it keeps tenants apart in full cells alone", Some(fix))
        }
        (false, _) => (State::Off, "`autoshare serve` does not start: it could not be confined itself", fix.clone()),
    };
    Check { layer: "serve".to_owned(), state, found: found.clone(), means: means.to_owned(), fix }
}

fn is_optional(layer: &str) -> bool {
    matches!(layer, "id-mapped-mounts" | "cgroup" | "core-sharing" | "speculation" | "no-memory-merging" | "disk-quota")
}

/// What it means to have a layer, and to lack it.
fn meaning(layer: &str) -> (&'static str, &'static str) {
    match layer {
        "user-namespaces" => (
            "a cell has its own root, processes, network and users",
            "a cell shares the host's view of files and processes: it sees names, and may open nothing but its roots",
        ),
        "own-proc" => (
            "a cell sees its own processes and no others",
            "a cell cannot have a root of its own; it shares the host's view, and may open nothing but its roots",
        ),
        "user" => (
            "a cell is not root, and works all the same on the workspace",
            "a workspace that belongs to root is refused; where no other id is known, every one is",
        ),
        "landlock" => (
            "the kernel refuses a cell every file outside of its roots, whatever path leads there",
            "nothing below a cell's own root would stop an escape by path",
        ),
        "seccomp" => (
            "a cell may make only the system calls on a reviewed list",
            "a cell could make any system call, sockets included",
        ),
        "id-mapped-mounts" => (
            "a cell works on root's files without being root",
            "a workspace that belongs to root is refused; one of another owner works",
        ),
        "cgroup" => (
            "a cell's limits hold for all of its processes together",
            "memory and processor time are limited for each process of a cell; all together are only watched",
        ),
        "core-sharing" => (
            "no two cells run on one core at once",
            "a program in a cell may run on one core with others' at once, and learn from timing what they do",
        ),
        "speculation" => (
            "the processor does not speculate for cells in a way that is known to leak",
            "hostile code may learn from speculation what other programs hold, as far as the kernel's defaults let it",
        ),
        "no-memory-merging" => (
            "no memory of a cell is merged with others'",
            "by the time of a write, a cell may learn whether others hold the same page",
        ),
        "disk-quota" => (
            "the kernel bounds what a workspace holds",
            "file tools keep the quota of a workspace; what programs write is counted afterwards, and may be over",
        ),
        _ => ("the layer is there", "the layer is missing"),
    }
}
