//! Where the paths of an action lie, as their words tell.

use autoshare_core::event::{Root, RootMode};
use autoshare_core::outcome::Plan;
use autoshare_core::place::{Place, is_below, known_as, normal, place};
use autoshare_core::special::{Protected, is_private, protected};
use autoshare_core::tool::{Action, Effect, ToolSpec};

/// The parameter that holds a path.
const PATH: &str = "path";

/// A path of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    /// As the action names it; `.` where it leaves it out.
    pub(crate) named: String,
    /// Where it lies.
    pub(crate) place: Place,
    /// Its absolute path; as it is named where it has none.
    pub(crate) absolute: String,
    /// The same as the plan found it, behind links; empty where the plan found nothing.
    pub(crate) planned: String,
    /// What the brain calls it.
    pub(crate) known_as: String,
    /// Whether its name is special.
    pub(crate) special: Option<Protected>,
}

impl Site {
    pub(crate) const fn is_outside(&self) -> bool {
        matches!(self.place, Place::Outside { .. })
    }

    /// Whether it, or what the plan found behind it, lies in `protected`.
    pub(crate) fn lies_in(&self, protected: &str) -> bool {
        is_below(protected, &self.absolute) || (!self.planned.is_empty() && is_below(protected, &self.planned))
    }

    /// Whether it begins with `~`, which nothing here expands.
    pub(crate) fn is_home(&self) -> bool {
        self.is_outside() && self.named.starts_with('~')
    }
}

/// The path of an action on this machine; `None` if its tool takes none.
pub(crate) fn site(action: &Action, spec: &ToolSpec, plan: &Plan, roots: &[Root]) -> Option<Site> {
    // A server's paths are its own.
    spec.param(PATH).filter(|_| spec.served.is_none())?;
    let named = action.text(PATH).unwrap_or(".").to_owned();
    let place = place(roots, &named);
    let below = |root: usize, rest: &str| roots.get(root).map(|root| normal(&format!("{}/{rest}", root.path)));
    let (absolute, planned) = match &place {
        Place::Inside { root, relative, .. } => {
            (below(*root, relative), plan.path.as_ref().and_then(|path| below(*root, path)))
        }
        Place::Outside { path } => (Some(path.clone()), None),
        Place::Nowhere { .. } => (None, None),
    };
    let known = plan.path.as_deref().and_then(|planned| known_as(roots, &named, planned));
    Some(Site {
        special: special(&place, roots, [absolute.as_deref(), planned.as_deref()]),
        absolute: absolute.unwrap_or_else(|| named.clone()),
        planned: planned.unwrap_or_default(),
        known_as: known.unwrap_or_else(|| named.clone()),
        named,
        place,
    })
}

/// What the names of a path make of it. A root that lies in a special directory was opened on purpose, so that below
/// it only the names below it count.
fn special(place: &Place, roots: &[Root], absolute: [Option<&str>; 2]) -> Option<Protected> {
    let root = match place {
        Place::Inside { root, .. } => roots.get(*root).map_or("/", |root| root.path.as_str()),
        Place::Outside { .. } | Place::Nowhere { .. } => "/",
    };
    let names = absolute.into_iter().flatten().filter_map(|name| match protected(root) {
        Some(_) => protected(name.strip_prefix(normal(root).as_str())?),
        None => protected(name),
    });
    names.max_by_key(|class| *class == Protected::Trusted)
}

/// A path outside every root that a yes would open for one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escape {
    /// The absolute path.
    pub path: String,
    /// What is to be done there.
    pub mode: RootMode,
}

/// The path outside every root that a yes to this action would open; `None` if the action stays inside, or goes where
/// no yes leads. It does not replace a verdict: the data directory and what else is protected is known only there.
#[must_use]
pub fn escape(action: &Action, spec: &ToolSpec, roots: &[Root]) -> Option<Escape> {
    let site = site(action, spec, &Plan::default(), roots)?;
    if !site.is_outside() || closed(&site, spec.effect).is_some() {
        return None;
    }
    let mode = if spec.effect == Effect::Read { RootMode::Read } else { RootMode::Write };
    Some(Escape { path: site.absolute, mode })
}

/// Directories of the system that hold its state, its devices and what it runs, and are opened to no brain.
const SYSTEM: &[&str] = &["/proc", "/sys", "/dev", "/run", "/var/run", "/boot", "/efi", "/etc", "/var/spool/cron"];
/// Directories that the machine runs programs from: read, but not written.
const PROGRAMS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/snap", "/nix"];

/// Why a path outside every root stays closed whatever a person says, if it does.
pub(crate) fn closed(site: &Site, effect: Effect) -> Option<&'static str> {
    let path = site.absolute.as_str();
    let reaches = |system: &&str| is_below(system, path) || is_below(path, system);
    if is_private(path) {
        Some("holds keys or logins")
    } else if site.is_home() {
        Some("begins with ~, which is not expanded: name it from /")
    } else if site.special == Some(Protected::Trusted) {
        Some("is what the machine runs or trusts")
    } else if SYSTEM.iter().any(reaches) {
        Some("is part of the system")
    } else if effect != Effect::Read && PROGRAMS.iter().any(|programs| is_below(programs, path)) {
        Some("is where the machine keeps its programs")
    } else {
        None
    }
}
