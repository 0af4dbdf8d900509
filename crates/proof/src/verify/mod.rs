//! The attack battery, live on this machine.
//!
//! Each attack of [`attacks`] is made in a fresh cell; then, by an unconfined process of the same user, as its control;
//! then with one wall alone at a time, which shows what stops it. What fails without any wall as well proves nothing,
//! and is reported as not applicable here. Everything happens on a throwaway [`Ground`].

mod attacks;
mod files;
mod text;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use autoshare_sandbox::probe::{Answer, Ground, ProbeConfinement, Terrain, Wall};
use autoshare_sandbox::{Cell, CellEnd, Inside, Launcher, SandboxError, Tier, Work};
use serde::{Deserialize, Serialize};

pub use attacks::{Attack, Deed};
pub use files::FileAttempt;

/// Whether attacks that take much are made as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stress {
    /// Those that take next to nothing.
    Without,
    /// All of them. What they take is bounded.
    With,
}

/// What came of an attack, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It succeeds without walls, and not in a cell.
    Stopped,
    /// It succeeds in a cell.
    Through,
    /// It fails without walls too, so that nothing is shown.
    NotApplicable,
}

/// A wall, or what the file tools resolve paths by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Files are opened beneath a handle (`autoshare-workspace`).
    Handle,
    /// Namespaces and mounts.
    Namespaces,
    /// Landlock.
    Landlock,
    /// The list of system calls.
    Seccomp,
    /// Limits.
    Limits,
}

impl Layer {
    /// Every layer, in the order of the table.
    pub const ALL: [Self; 5] = [Self::Handle, Self::Namespaces, Self::Landlock, Self::Seccomp, Self::Limits];

    const fn of(wall: Wall) -> Self {
        match wall {
            Wall::Namespaces => Self::Namespaces,
            Wall::Landlock => Self::Landlock,
            Wall::Seccomp => Self::Seccomp,
            Wall::Limits => Self::Limits,
        }
    }
}

/// One attack, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its row in the catalogue of attacks.
    pub id: String,
    /// What was tried, in words.
    pub tried: String,
    /// What came of it.
    pub verdict: Verdict,
    /// What the cell for tools answered, and the cell for programs, as far as it was tried there.
    pub in_cells: Vec<(Work, Answer)>,
    /// What was answered without any wall.
    pub control: Answer,
    /// The layers that stop it each by itself.
    pub stopped_by: Vec<Layer>,
}

/// All that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What cells on this machine are.
    pub tier: Tier,
    /// One an attack.
    pub lines: Vec<Line>,
}

impl Report {
    /// How many lines have this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.lines.iter().filter(|line| line.verdict == verdict).count()
    }

    /// Whether nothing got through.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.count(Verdict::Through) == 0
    }
}

/// One attack and its ground, as they are sent to a cell.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    deed: Deed,
    terrain: Terrain,
}

/// What runs in a cell that is to be attacked from inside: it makes one attempt, says what came of it, and ends.
/// [`Launcher::start`] takes this for `verify`, so that no other cell has it.
#[must_use]
pub fn entry(inside: Inside) -> i32 {
    let Inside { socket, roots, quota, .. } = inside;
    let mut socket = UnixStream::from(socket);
    let mut line = String::new();
    let heard = socket.try_clone().and_then(|socket| BufReader::new(socket).read_line(&mut line));
    let (Ok(_), Ok(order)) = (heard, serde_json::from_str::<Order>(&line)) else { return 1 };
    let answer = match order.deed {
        Deed::Raw(attempt) => attempt.make(&order.terrain),
        Deed::File(attempt) => match roots.into_iter().next() {
            Some(root) => attempt.by_handle(root.dir, quota),
            None => return 1,
        },
    };
    let Ok(text) = serde_json::to_string(&answer) else { return 1 };
    i32::from(socket.write_all(format!("{text}\n").as_bytes()).is_err())
}

/// Makes every attack. Takes a few seconds; `seen` hears of each line as it comes.
///
/// # Errors
/// [`SandboxError`] where a cell cannot be made at all.
pub fn verify(launcher: &Launcher, stress: Stress, mut seen: impl FnMut(&Line)) -> Result<Report, SandboxError> {
    let ground = Ground::make(launcher)?;
    let tier = launcher.launch(&ground.spec(Work::Programs))?.tier();
    let bench = Bench { launcher, ground: &ground, tier };
    let mut lines = Vec::new();
    for attack in attacks::ATTACKS.iter().filter(|attack| stress == Stress::With || !attack.takes_much) {
        let line = bench.line(attack)?;
        seen(&line);
        lines.push(line);
    }
    Ok(Report { tier, lines })
}

struct Bench<'a> {
    launcher: &'a Launcher,
    ground: &'a Ground,
    tier: Tier,
}

impl Bench<'_> {
    fn line(&self, attack: &Attack) -> Result<Line, SandboxError> {
        let works = attack.works;
        let in_cells = works
            .iter()
            .map(|work| Ok((*work, self.in_cell(*work, attack.deed)?)))
            .collect::<Result<Vec<_>, SandboxError>>()?;
        let (control, stopped_by) = match attack.deed {
            Deed::File(attempt) => {
                let control = attempt.by_path(self.ground.terrain());
                let alone = attempt.by_own_handle(self.ground.terrain());
                (control, if alone == Answer::Through { Vec::new() } else { vec![Layer::Handle] })
            }
            Deed::Raw(attempt) => {
                // Of the works, the one that is allowed more.
                let work = works.last().copied().unwrap_or_default();
                let control = self.launcher.probe(&ProbeConfinement::none(work, self.tier), self.ground, attempt)?;
                let mut stopped_by = Vec::new();
                for wall in Wall::ALL.into_iter().filter(|_| control == Answer::Through) {
                    if wall == Wall::Namespaces && self.tier == Tier::Narrow {
                        continue;
                    }
                    let alone = ProbeConfinement::only(wall, work, self.tier);
                    if self.launcher.probe(&alone, self.ground, attempt)? != Answer::Through {
                        stopped_by.push(Layer::of(wall));
                    }
                }
                (control, stopped_by)
            }
        };
        let through = in_cells.iter().any(|(_, answer)| *answer == Answer::Through);
        let verdict = match (through, control == Answer::Through) {
            (true, _) => Verdict::Through,
            (false, true) => Verdict::Stopped,
            (false, false) => Verdict::NotApplicable,
        };
        Ok(Line { id: attack.id.into(), tried: attack.tried.into(), verdict, in_cells, control, stopped_by })
    }

    /// Makes it in a fresh cell.
    fn in_cell(&self, work: Work, deed: Deed) -> Result<Answer, SandboxError> {
        let mut cell = self.launcher.launch(&self.ground.spec(work))?;
        let answer = ask(&cell, &Order { deed, terrain: self.ground.terrain().clone() });
        Ok(answer.unwrap_or_else(|| {
            cell.kill();
            Answer::Ended(end(cell.wait()).into())
        }))
    }
}

/// `None` if the cell ended over it, or said nothing in time.
fn ask(cell: &Cell, order: &Order) -> Option<Answer> {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
    let mut text = serde_json::to_string(order).ok()?;
    text.push('\n');
    let mut socket: UnixStream = OwnedFd::from(cell.socket.try_clone().ok()?).into();
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.write_all(text.as_bytes()).ok()?;
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

const fn end(end: CellEnd) -> &'static str {
    match end {
        CellEnd::OutOfMemory => "out of memory",
        CellEnd::OutOfTime => "out of time",
        CellEnd::Exited(_) | CellEnd::Signalled(_) | CellEnd::Lost => "ended",
    }
}
