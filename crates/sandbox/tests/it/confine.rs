//! The host's own walls: what it works with stays in reach, cells are made for it as before, and nothing else is left.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use autoshare_core::event::RootMode;
use autoshare_sandbox::{HostConfinement, HostSpec, SandboxError, confine_host};

use crate::Test;
use crate::attack;
use crate::world::{World, ask, in_child};

pub(crate) const TESTS: &[Test] = &[
    ("a_confined_host_reaches_its_data_and_nothing_else", a_confined_host_reaches_its_data_and_nothing_else),
    ("a_confined_host_starts_no_program_and_gets_no_power", a_confined_host_starts_no_program_and_gets_no_power),
    ("cells_are_made_for_a_confined_host_as_before", cells_are_made_for_a_confined_host_as_before),
    ("every_number_answers_a_host_as_listed", every_number_answers_a_host_as_listed),
    ("every_call_of_a_host_has_its_reason", every_call_of_a_host_has_its_reason),
    ("a_host_that_cannot_be_confined_is_told_so", a_host_that_cannot_be_confined_is_told_so),
];

fn spec(world: &World) -> HostSpec {
    HostSpec { write: vec![world.path("data")], read: vec![world.path("extra"), PathBuf::from("/nothing/there")] }
}

fn confine(world: &World) -> HostConfinement {
    confine_host(&spec(world)).unwrap()
}

fn said<T>(result: io::Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => match error.raw_os_error() {
            Some(libc::EACCES) => "EACCES",
            Some(libc::EPERM) => "EPERM",
            Some(libc::EXDEV) => "EXDEV",
            _ => Box::leak(error.to_string().into_boxed_str()),
        },
    }
}

/// What a host may do with files and sockets, before and after.
fn a_confined_host_reaches_its_data_and_nothing_else(world: &mut World) {
    use std::fs;
    type Attempt = (&'static str, fn(&World) -> &'static str, &'static str);
    let attempts: [Attempt; 21] = [
        ("read its data", |w| said(fs::read(w.path("data/machine.key"))), "ok"),
        ("write its data", |w| said(fs::write(w.path("data/new"), "x")), "ok"),
        ("make a folder there", |w| said(fs::create_dir_all(w.path("data/folder/deep"))), "ok"),
        ("replace there", |w| said(fs::rename(w.path("data/new"), w.path("data/folder/old"))), "ok"),
        ("link there", |w| said(std::os::unix::fs::symlink("old", w.path("data/folder/link"))), "ok"),
        ("remove there", |w| said(fs::remove_dir_all(w.path("data/folder"))), "ok"),
        ("listen there", |w| said(UnixListener::bind(w.path("data/control.sock"))), "ok"),
        ("read what it may read", |w| said(fs::read(w.path("extra/note"))), "ok"),
        ("write what it may read", |w| said(fs::write(w.path("extra/note"), "x")), "EACCES"),
        ("take it away", |w| said(fs::rename(w.path("extra/note"), w.path("data/note"))), "EACCES"),
        ("a neighbour's file", |w| said(fs::read(w.path("neighbour/note"))), "EACCES"),
        ("a neighbour's folder", |w| said(fs::read_dir(w.path("neighbour"))), "EACCES"),
        ("a way round", |w| said(fs::read(w.path("data/../neighbour/note"))), "EACCES"),
        ("users of this machine", |_| said(fs::read("/etc/passwd")), "EACCES"),
        ("its own program", |_| said(fs::read("/proc/self/exe")), "EACCES"),
        ("names of hosts", |_| said(fs::read("/etc/nsswitch.conf").or_else(|_| fs::read("/etc/hosts"))), "ok"),
        ("random bytes", |_| said(fs::File::open("/dev/urandom")), "ok"),
        ("nothing", |_| said(fs::OpenOptions::new().write(true).open("/dev/null")), "ok"),
        ("a datagram of its own", |_| said(datagram()), "ok"),
        ("listen to others", |_| said(TcpListener::bind("127.0.0.1:0")), "EACCES"),
        ("memory of its parent", |_| said(fs::read(format!("/proc/{}/environ", parent()))), "EACCES"),
    ];
    let is_root = unsafe { libc::geteuid() } == 0;
    let listening = TcpListener::bind("127.0.0.1:0").unwrap();
    for (what, attempt, wanted) in attempts {
        // Nothing that a control does is in the way of what is tried afterwards.
        let other = World::new();
        let control = in_child(|| {
            for made in ["data/new", "data/folder/old"] {
                let _ = fs::create_dir_all(other.path("data/folder"));
                let _ = fs::write(other.path(made), "x");
            }
            attempt(&other).to_owned()
        });
        assert_eq!(control, "ok", "the control: {what}");
        let _ = fs::create_dir_all(world.path("data/folder"));
        let _ = fs::write(world.path("data/folder/old"), "x");
        let _ = fs::write(world.path("data/new"), "x");
        let _ = fs::remove_file(world.path("data/folder/link"));
        let world = &*world;
        let found = in_child(|| {
            let held = confine(world);
            if wanted == "EACCES" && what == "listen to others" && held.landlock_abi < 4 {
                return format!("not applicable: Landlock ABI {}", held.landlock_abi);
            }
            attempt(world).to_owned()
        });
        println!("    {what}: {found}");
        assert!(found == wanted || found.starts_with("not applicable"), "{what}: {found}");
    }
    // Connecting is what it is there for.
    let at = listening.local_addr().unwrap();
    let found = in_child(|| {
        confine(world);
        said(std::net::TcpStream::connect(at)).to_owned()
    });
    assert_eq!(found, "ok");
    println!("    as {}", if is_root { "root" } else { "a user" });
}

/// As the kernel tells it in a file, since the call is none that a host may make.
fn parent() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().to_owned()
}

fn datagram() -> io::Result<()> {
    UdpSocket::bind("127.0.0.1:0").map(drop)
}

fn a_confined_host_starts_no_program_and_gets_no_power(world: &mut World) {
    for (what, wanted) in [("exec /bin/true", "EPERM"), ("fork", "EPERM"), ("thread", "ok")] {
        let (name, argument) = what.split_once(' ').unwrap_or((what, ""));
        let control = in_child(|| attack::run(name, argument));
        let found = in_child(|| {
            confine(world);
            attack::run(name, argument)
        });
        println!("    {what}: {found}; outside: {control}");
        assert!(found.starts_with(wanted), "{what}: {found}");
    }
    let found = in_child(|| {
        let held = confine(world);
        // A file of root's with every mode against it: what is left of root's powers is for workspaces.
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        let sets = ["CapInh:", "CapAmb:", "CapEff:"].map(|name| u64::from_str_radix(&field(name), 16).unwrap());
        format!("{:?} {:?} {} {}", held.capabilities, sets, field("NoNewPrivs:"), field("Seccomp:"))
    });
    println!("    {found}");
    let root = r#"["chown", "dac_override", "fowner", "kill"] [0, 0, 43] 1 2"#;
    let user = "[] [0, 0, 0] 1 2";
    assert_eq!(found, if unsafe { libc::geteuid() } == 0 { root } else { user });
}

fn cells_are_made_for_a_confined_host_as_before(world: &mut World) {
    world.end_launcher();
    let world = &*world;
    let found = in_child(|| {
        world.launcher();
        let held = confine(world);
        assert!(held.probes.len() > 30 && held.probes.iter().all(|probe| probe.held));
        let cell = world.cell();
        let mut found =
            vec![cell.tier().to_string(), ask(&cell, &format!("content {}", world.path("workspace/note").display()))];
        drop(cell);
        let mut programs = world.programs();
        programs.explain = true;
        programs.roots.push(world.root("extra", RootMode::Read));
        let mut cell = world.launch(&programs).unwrap();
        found.push(ask(&cell, &format!("content {}", world.path("extra/note").display())));
        found.push(format!("{:?}", cell.refusals().is_some()));
        cell.kill();
        found.push(format!("{:?}", cell.wait()));
        // Several at a time need launchers that are made on the way.
        let (launcher, spec) = (world.launcher(), world.spec());
        let together = std::thread::scope(|scope| {
            let launch = || launcher.launch(&spec).unwrap().tier().to_string();
            let cells: Vec<_> = (0..4).map(|_| scope.spawn(launch)).collect();
            cells.into_iter().map(|cell| cell.join().unwrap()).collect::<Vec<_>>()
        });
        found.push(format!("{together:?}"));
        found.join(", ")
    });
    println!("    {found}");
    let tier = "full";
    let wanted = format!("{tier}, ok workspace/note, ok extra/note, true, Signalled(9), {:?}", [tier; 4]);
    assert_eq!(found, wanted);
}

fn every_number_answers_a_host_as_listed(world: &mut World) {
    let found = in_child(|| {
        confine(world);
        attack::run("every-number", "Host")
    });
    println!("    {found}");
    assert!(found.ends_with("wrong: []"), "{found}");
    let tried: u32 = found.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(tried > 900, "{found}");
}

fn every_call_of_a_host_has_its_reason(_: &mut World) {
    let listed = autoshare_sandbox::listed(autoshare_sandbox::Profile::Host).unwrap();
    assert!(listed.iter().all(|call| !call.why.is_empty()));
    let never = [
        "execve",
        "execveat",
        "fork",
        "vfork",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "pidfd_getfd",
        "mount",
        "umount2",
        "move_mount",
        "open_tree",
        "fsopen",
        "fsmount",
        "pivot_root",
        "chroot",
        "unshare",
        "setns",
        "bpf",
        "io_uring_setup",
        "io_uring_enter",
        "keyctl",
        "add_key",
        "request_key",
        "perf_event_open",
        "userfaultfd",
        "memfd_create",
        "init_module",
        "finit_module",
        "delete_module",
        "kexec_load",
        "reboot",
        "setuid",
        "setresuid",
        "setgid",
        "setgroups",
        "capset",
        "open_by_handle_at",
        "name_to_handle_at",
        "clock_settime",
        "settimeofday",
        "sethostname",
        "swapon",
        "quotactl",
        "acct",
        "mknod",
        "mknodat",
        "seccomp",
        "personality",
        "iopl",
        "ioperm",
        "process_madvise",
        "kcmp",
        "lookup_dcookie",
        "syslog",
        "vhangup",
        "fanotify_init",
    ];
    for name in never {
        assert!(listed.iter().all(|call| call.name != name), "{name} is nothing a host does");
    }
}

fn a_host_that_cannot_be_confined_is_told_so(world: &mut World) {
    let found = in_child(|| {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || receiver.recv().is_err());
        let refused = confine_host(&spec(world)).unwrap_err();
        assert!(matches!(refused, SandboxError::TooLate(2)), "{refused}");
        drop(sender);
        other.join().unwrap().to_string()
    });
    assert_eq!(found, "true");
    let found = in_child(|| {
        let missing = HostSpec { write: vec![world.path("missing")], ..HostSpec::default() };
        confine_host(&missing).unwrap_err().to_string()
    });
    assert!(found.contains("missing: ENOENT (2); make this folder"), "{found}");
    // One that is to read where users' passwords stand finds that out.
    if unsafe { libc::geteuid() } == 0 {
        let found = in_child(|| {
            let wide = HostSpec { read: vec!["/etc".into()], ..spec(world) };
            confine_host(&wide).unwrap_err().to_string()
        });
        assert!(found.contains("host: read-shadow: it succeeded"), "{found}");
    }
    // The control of all of these tests: a socket of a pair is nothing that Landlock knows.
    assert!(UnixStream::pair().is_ok());
}
