//! A folder with a workspace and its neighbours, a launcher, and a way to ask code in a cell for an attack.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use autoshare_core::event::RootMode;
use autoshare_sandbox::{Cell, CellLimits, CellSpec, Inside, Launcher, Profile, RootSpec, SandboxError, Tier, Work};

use crate::attack;

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    launcher: std::cell::OnceCell<Launcher>,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("autoshare-cell-").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["workspace", "workspace/.autoshare", "workspace/frozen", "neighbour", "data", "extra"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        for name in ["workspace/note", "workspace/.autoshare/key", "workspace/frozen/hook", "neighbour/note"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        for name in ["data/machine.key", "extra/note"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        Self { folder, launcher: std::cell::OnceCell::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Gives what a test made to whom the workspace belongs.
    pub(crate) fn as_workspace(&self, name: &str) {
        let meta = std::fs::metadata(self.path("workspace")).unwrap();
        std::os::unix::fs::chown(self.path(name), Some(meta.uid()), Some(meta.gid())).unwrap();
    }

    pub(crate) fn root(&self, name: &str, mode: RootMode) -> RootSpec {
        root(&self.path(name), mode)
    }

    pub(crate) fn spec(&self) -> CellSpec {
        CellSpec::new(Work::Tools, vec![self.root("workspace", RootMode::Write)])
    }

    /// A cell for programs, of the tier that its launcher gives.
    pub(crate) fn programs(&self) -> CellSpec {
        let limits = CellLimits { processes: 64, memory: 256 << 20, ..CellLimits::for_programs() };
        CellSpec { work: Work::Programs, least: Tier::Narrow, limits, ..self.spec() }
    }

    /// Gives the workspace to an ordinary user, since a narrow cell does not work for root.
    pub(crate) fn for_narrow(self) -> Self {
        if unsafe { libc::geteuid() } == 0 {
            for name in
                ["workspace", "workspace/note", "workspace/frozen", "workspace/frozen/hook", "extra", "extra/note"]
            {
                std::os::unix::fs::chown(self.path(name), Some(NARROW_ID), Some(NARROW_ID)).unwrap();
            }
        }
        self
    }

    pub(crate) fn launcher(&self) -> &Launcher {
        self.launcher.get_or_init(|| Launcher::start(entry).unwrap())
    }

    pub(crate) fn end_launcher(&mut self) {
        self.launcher.take();
    }

    pub(crate) fn narrow(&self) -> &Launcher {
        self.launcher.get_or_init(|| Launcher::start_narrow(entry).unwrap())
    }

    pub(crate) fn launch(&self, spec: &CellSpec) -> Result<Cell, SandboxError> {
        self.launcher().launch(spec)
    }

    pub(crate) fn cell(&self) -> Cell {
        let spec = self.spec();
        self.launch(&spec).unwrap()
    }
}

/// Whose the workspace of a narrow cell is where the tests run as root.
pub(crate) const NARROW_ID: u32 = 12_345;

/// A world and a cell for programs in it, of exactly this tier.
pub(crate) fn programs_cell(tier: Tier, change: impl FnOnce(&World, &mut CellSpec)) -> (World, Cell) {
    let world = match tier {
        Tier::Full => World::new(),
        Tier::Narrow => World::new().for_narrow(),
    };
    let mut spec = world.programs();
    change(&world, &mut spec);
    let launcher = if tier == Tier::Full { world.launcher() } else { world.narrow() };
    let cell = launcher.launch(&spec).unwrap();
    assert_eq!(cell.tier(), tier);
    (world, cell)
}

pub(crate) fn root(path: &Path, mode: RootMode) -> RootSpec {
    let meta = std::fs::metadata(path).unwrap();
    RootSpec { path: path.to_owned(), mode, id: (meta.dev(), meta.ino()), only: None }
}

/// The filter that a cell has.
pub(crate) fn profile(work: Work, cell: &Cell) -> Profile {
    let counted =
        cell.confinement().limits.iter().any(|limit| limit.name == "memory" && limit.by.starts_with("cgroup"));
    match (work, cell.tier()) {
        (Work::Tools, Tier::Narrow) => Profile::Tools,
        (Work::Tools, Tier::Full) => Profile::ToolsFull,
        (Work::Programs, Tier::Narrow) => Profile::Programs,
        (Work::Programs, Tier::Full) if counted => Profile::ProgramsCounted,
        (Work::Programs, Tier::Full) => Profile::ProgramsFull,
    }
}

/// What runs in every cell of these tests: attacks by name until the host hangs up. In a cell for programs the socket
/// carries packets; a line is one.
fn entry(inside: Inside) -> i32 {
    let socket = UnixStream::from(inside.socket);
    let mut lines = BufReader::new(socket.try_clone().unwrap());
    let mut out = socket;
    attack::ROOTS.with(|roots| *roots.borrow_mut() = inside.roots);
    attack::PROGRAMS.with(|programs| *programs.borrow_mut() = inside.programs);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            return 0;
        }
        let mut words = line.trim_end_matches('\n').splitn(2, ' ');
        let answer = attack::run(words.next().unwrap(), words.next().unwrap_or_default());
        out.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
}

/// What the kernel answers to an attack in the cell: `ok`, possibly with more, or the name of an error; nothing, if that
/// was its end.
pub(crate) fn ask(cell: &Cell, attack: &str) -> String {
    let mut socket = cell.socket.try_clone().unwrap();
    match socket.write_all(format!("{attack}\n").as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return String::new(),
        other => other.unwrap(),
    }
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// The same attack in a process that is no cell.
pub(crate) fn outside(attack: &str) -> String {
    in_child(|| {
        let mut words = attack.splitn(2, ' ');
        attack::run(words.next().unwrap(), words.next().unwrap_or_default())
    })
}

/// Runs `what` in a forked process and returns what it says.
pub(crate) fn in_child(what: impl FnOnce() -> String) -> String {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    match unsafe { libc::fork() } {
        0 => {
            drop(reader);
            let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(what)).unwrap_or_else(|_| "panic".into());
            let _ = writer.write_all(said.as_bytes());
            unsafe { libc::_exit(0) }
        }
        pid => {
            drop(writer);
            let mut said = String::new();
            std::io::Read::read_to_string(&mut reader, &mut said).unwrap();
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            said
        }
    }
}

/// Runs tests in a process without any privilege.
pub(crate) fn as_nobody(tests: impl FnOnce() -> (usize, usize)) -> (usize, usize) {
    const NOBODY: u32 = 65534;
    let said = in_child(|| {
        unsafe {
            assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
            assert_eq!(libc::setresgid(NOBODY, NOBODY, NOBODY), 0);
            assert_eq!(libc::setresuid(NOBODY, NOBODY, NOBODY), 0);
            // A change of user makes a process undumpable, and its /proc files root's; a fresh login has them.
            assert_eq!(libc::prctl(libc::PR_SET_DUMPABLE, 1), 0);
        }
        let (passed, failed) = tests();
        std::io::stdout().flush().unwrap();
        format!("{passed} {failed}")
    });
    let mut counts = said.split(' ').map(|count| count.parse().unwrap_or(0));
    match (counts.next(), counts.next()) {
        (Some(passed), Some(failed)) => (passed, failed),
        _ => (0, 1),
    }
}

/// Tries each attack in the cell, where it must be refused, and outside, where it must succeed; `why_not` instead of the
/// control where it cannot.
pub(crate) fn refused(cell: &Cell, table: &[(&str, Control)]) {
    let mut through = Vec::new();
    for (attack, control) in table {
        let inside = ask(cell, attack);
        let control = match control {
            Control::Succeeds => outside(attack),
            Control::RootOnly if unsafe { libc::geteuid() } == 0 => outside(attack),
            Control::RootOnly => "not applicable: outside it takes root".into(),
            Control::No(why) => format!("not applicable: {why}"),
        };
        println!("    {attack}: {inside} (outside: {control})");
        if inside.starts_with("ok") || inside == "EFAULT" {
            through.push(format!("{attack} got through"));
        }
        if !control.starts_with("ok") && !control.starts_with("not applicable") {
            through.push(format!("{attack} fails outside, too: {control}"));
        }
    }
    assert!(through.is_empty(), "{through:#?}");
}

#[derive(Clone, Copy)]
pub(crate) enum Control {
    Succeeds,
    RootOnly,
    No(&'static str),
}

/// A process that waits to be attacked: of this user, or of the one that is named.
pub(crate) struct Victim(pub(crate) i32);

impl Victim {
    pub(crate) fn start(uid: Option<u32>) -> Self {
        match unsafe { libc::fork() } {
            0 => {
                if let Some(uid) = uid.filter(|_| unsafe { libc::geteuid() } == 0) {
                    unsafe {
                        assert_eq!(libc::setresgid(uid, uid, uid), 0);
                        assert_eq!(libc::setresuid(uid, uid, uid), 0);
                        assert_eq!(libc::prctl(libc::PR_SET_DUMPABLE, 1), 0);
                    }
                }
                loop {
                    unsafe { libc::pause() };
                }
            }
            pid => Self(pid),
        }
    }

    /// Whether something has ended it; a signal under way is given time to arrive.
    pub(crate) fn ended(&self) -> bool {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        status.is_empty() || status.contains(") Z ")
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, std::ptr::null_mut(), 0);
        }
    }
}
