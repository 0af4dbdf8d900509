//! Rows B1 to B7 for programs: what any program in a cell of either tier tries, and what it would get outside.
//!
//! The attacks are made by the cell's first process, which has the filter, the domain and the namespaces of every
//! program in it; where a row is about programs, `sh` or `python3` make them.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixListener};

use autoshare_core::event::RootMode;
use autoshare_sandbox::{CellEnd, CellSpec, Tier, Work};

use crate::Test;
use crate::bombs::{SOON, within};
use crate::world::Control::{No, RootOnly, Succeeds};
use crate::world::{Control, Victim, World, ask, outside, profile, programs_cell, refused};

pub(crate) const TESTS: &[Test] = &[
    ("b1_programs_read_nothing_of_others", b1_programs_read_nothing_of_others),
    ("b1_attributes_of_what_is_read_only_stay", b1_attributes_of_what_is_read_only_stay),
    ("b2_programs_reach_no_socket_of_the_host", b2_programs_reach_no_socket_of_the_host),
    ("b2_programs_of_one_cell_reach_each_other", b2_programs_of_one_cell_reach_each_other),
    ("b3_programs_have_no_namespace_and_no_mount", b3_programs_have_no_namespace_and_no_mount),
    ("b4_programs_reach_no_other_process", b4_programs_reach_no_other_process),
    ("b4_nothing_is_typed_into_a_terminal", b4_nothing_is_typed_into_a_terminal),
    ("b5_programs_have_no_strange_call", b5_programs_have_no_strange_call),
    ("b5_a_32_bit_call_ends_the_program", b5_a_32_bit_call_ends_the_program),
    ("b5_every_number_answers_programs_as_listed", b5_every_number_answers_programs_as_listed),
    ("b5_the_filter_in_force_is_the_one_that_is_listed", b5_the_filter_in_force_is_the_one_that_is_listed),
    ("b6_a_program_has_its_streams_and_nothing_else", b6_a_program_has_its_streams_and_nothing_else),
    ("b7_set_uid_and_preload_give_nothing", b7_set_uid_and_preload_give_nothing),
    ("b7_nothing_set_uid_is_left_behind", b7_nothing_set_uid_is_left_behind),
    ("programs_are_kept_apart_from_their_neighbours", programs_are_kept_apart_from_their_neighbours),
    ("b9_a_command_in_disguise_is_a_program_like_any_other", b9_a_command_in_disguise_is_a_program_like_any_other),
];

const TIERS: [Tier; 2] = [Tier::Full, Tier::Narrow];

/// The attacks of a table in a fresh cell of each tier that is named in a row.
fn in_both(rows: &dyn Fn(&World) -> Vec<(String, Control)>, change: fn(&World, &mut autoshare_sandbox::CellSpec)) {
    for tier in TIERS {
        println!("    {tier}:");
        let (world, cell) = programs_cell(tier, change);
        let rows = rows(&world);
        let table: Vec<(&str, Control)> = rows.iter().map(|(attack, control)| (attack.as_str(), *control)).collect();
        refused(&cell, &table);
    }
}

fn at(world: &World, name: &str) -> String {
    world.path(name).display().to_string()
}

fn b1_programs_read_nothing_of_others(_: &mut World) {
    let me = std::process::id();
    in_both(
        &|world| {
            let at = |name: &str| at(world, name);
            vec![
                (format!("read {}", at("neighbour/note")), Succeeds),
                (format!("list {}", at("neighbour")), Succeeds),
                (format!("read {}", at("data/machine.key")), Succeeds),
                (format!("read {}/../neighbour/note", at("workspace")), Succeeds),
                (format!("create {}", at("neighbour/new")), Succeeds),
                (format!("open-write {}", at("neighbour/note")), Succeeds),
                (format!("rename {} {}", at("neighbour/note"), at("workspace/stolen")), No("it would be gone")),
                (format!("hard-link {} {}", at("neighbour/note"), at("workspace/linked")), Succeeds),
                ("read /etc/shadow".into(), RootOnly),
                ("read /etc/hostname".into(), Succeeds),
                ("read /etc/machine-id".into(), No("not every machine has one")),
                ("list /root".into(), RootOnly),
                ("list /home".into(), Succeeds),
                ("list /var".into(), Succeeds),
                ("list /run".into(), Succeeds),
                (format!("read /proc/{me}/environ"), Succeeds),
                (format!("read /proc/{me}/status"), Succeeds),
                (format!("read /proc/{me}/root/etc/hostname"), Succeeds),
                ("read /proc/kallsyms".into(), Succeeds),
                ("list /proc/bus".into(), No("depends on the kernel's build")),
                ("read /proc/kcore".into(), No("depends on the kernel's build")),
                ("open-write /proc/sysrq-trigger".into(), No("not tried on the real one")),
                ("open-write /proc/sys/kernel/core_pattern".into(), RootOnly),
                ("open-write /proc/self/oom_score_adj".into(), Succeeds),
                ("open-write /proc/self/mem".into(), Succeeds),
                ("list /sys".into(), Succeeds),
                ("open-write /sys/fs/cgroup/cgroup.procs".into(), No("depends on where cgroups are mounted")),
                ("create /usr/autoshare-test".into(), No("not tried on the real /usr")),
                ("create /etc/autoshare-test".into(), No("not tried on the real /etc")),
                ("create /autoshare-test".into(), No("not tried on the real root")),
                ("read /dev/mem".into(), No("depends on the kernel's build")),
                ("open-write /dev/kmsg".into(), RootOnly),
            ]
        },
        |_, _| {},
    );
}

/// What Landlock does not cover: modes, owners, times, attributes, watches; of the neighbour's files, and of those that
/// the cell may read.
fn b1_attributes_of_what_is_read_only_stay(_: &mut World) {
    in_both(
        &|world| {
            let mut rows = Vec::new();
            for file in ["neighbour/note", "extra/note"] {
                for attack in ["chmod", "chown", "touch", "fchmod", "futimens", "inotify", "setxattr"] {
                    // In a full cell what is read-only may be watched: it is there to be read.
                    if attack != "inotify" || file == "neighbour/note" {
                        let control =
                            if attack == "setxattr" { No("not every file system has them") } else { Succeeds };
                        rows.push((format!("{attack} {}", at(world, file)), control));
                    }
                }
            }
            rows.push((format!("fchmod-folder {}", at(world, "extra")), Succeeds));
            rows
        },
        |world, spec| spec.roots.push(world.root("extra", RootMode::Read)),
    );
    let (world, cell) = programs_cell(Tier::Full, |_, _| {});
    for attack in ["chmod", "touch", "fchmod", "futimens", "inotify"] {
        let said = ask(&cell, &format!("{attack} {}", at(&world, "workspace/note")));
        assert_eq!(said, "ok", "what is the cell's own can be changed: {attack}");
    }
}

fn b2_programs_reach_no_socket_of_the_host(_: &mut World) {
    for tier in TIERS {
        println!("    {tier}:");
        let world = if tier == Tier::Full { World::new() } else { World::new().for_narrow() };
        let (beside, inside) = (world.path("neighbour/socket"), world.path("workspace/socket"));
        let datagrams = world.path("workspace/datagrams");
        let _listeners = [UnixListener::bind(&beside).unwrap(), UnixListener::bind(&inside).unwrap()];
        let _datagrams = UnixDatagram::bind(&datagrams).unwrap();
        for socket in [&beside, &inside, &datagrams] {
            std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        let name = format!("autoshare-test-{}", std::process::id());
        let address = {
            use std::os::linux::net::SocketAddrExt as _;
            std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap()
        };
        let _abstract = UnixListener::bind_addr(&address).unwrap();
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        let launcher = if tier == Tier::Full { world.launcher() } else { world.narrow() };
        let cell = launcher.launch(&world.programs()).unwrap();
        let family = |family: i32, kind: i32, protocol: i32| format!("socket {family} {kind} {protocol}");
        const RAW: i32 = libc::SOCK_RAW;
        let build = No("depends on the kernel's build");
        let rows = [
            (format!("connect-port {port}"), Succeeds),
            (format!("connect-path {}", beside.display()), Succeeds),
            (format!("connect-path {}", inside.display()), Succeeds),
            (format!("send-path {}", datagrams.display()), Succeeds),
            (format!("connect-abstract {name}"), Succeeds),
            (family(libc::AF_INET, RAW, libc::IPPROTO_ICMP), RootOnly),
            (family(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP), No("who may is a setting")),
            (family(libc::AF_INET, libc::SOCK_STREAM, 262), build),
            (family(libc::AF_INET, libc::SOCK_SEQPACKET, 132), build),
            (family(libc::AF_INET, libc::SOCK_STREAM, 256), build),
            (family(libc::AF_INET6, RAW, 58), RootOnly),
            (family(libc::AF_NETLINK, RAW, 0), Succeeds),
            (family(libc::AF_NETLINK, RAW, 6), Succeeds),
            (family(libc::AF_NETLINK, RAW, 12), Succeeds),
            (family(libc::AF_PACKET, RAW, 0), RootOnly),
            (family(libc::AF_VSOCK, libc::SOCK_STREAM, 0), Succeeds),
            (family(libc::AF_ALG, libc::SOCK_SEQPACKET, 0), build),
            (family(libc::AF_KEY, RAW, 2), build),
            (family(libc::AF_TIPC, libc::SOCK_STREAM, 0), build),
            (family(libc::AF_XDP, RAW, 0), build),
            (family(43, libc::SOCK_STREAM, 0), build),
        ];
        refused(&cell, &rows.each_ref().map(|(attack, control)| (attack.as_str(), *control)));
        let interfaces = ask(&cell, "python import socket; print([name for _, name in socket.if_nameindex()])");
        println!("    interfaces: {interfaces}");
        assert!(interfaces.starts_with("ok 1 "), "which takes a netlink socket or a call on interfaces");
    }
}

/// The control of the row before: what is refused there is not refused everywhere.
fn b2_programs_of_one_cell_reach_each_other(_: &mut World) {
    let (world, cell) = programs_cell(Tier::Full, |_, _| {});
    let script = |address: &str, family: &str| {
        format!(
            "python import socket; s = socket.socket({family}); s.bind({address}); s.listen(); \
             c = socket.socket({family}); c.connect(s.getsockname()); print('met')"
        )
    };
    for (address, family) in [
        ("('127.0.0.1', 0)".to_owned(), "socket.AF_INET"),
        (format!("'{}'", at(&world, "workspace/own")), "socket.AF_UNIX"),
        ("'/tmp/own'".to_owned(), "socket.AF_UNIX"),
        ("'\\0own'".to_owned(), "socket.AF_UNIX"),
    ] {
        assert_eq!(ask(&cell, &script(&address, family)), "ok 0 met", "{address}");
    }
}

fn b3_programs_have_no_namespace_and_no_mount(_: &mut World) {
    in_both(
        &|_| {
            let flag = |flag: i32| format!("unshare {flag}");
            vec![
                (flag(libc::CLONE_NEWUSER), Succeeds),
                (flag(libc::CLONE_NEWNET), RootOnly),
                (flag(libc::CLONE_NEWNS), RootOnly),
                (flag(0x80), RootOnly),
                ("clone-user".into(), Succeeds),
                ("clone3".into(), No("its arguments here are none")),
                ("setns".into(), RootOnly),
                ("mount /tmp".into(), No("not tried on the real /tmp")),
                ("umount /proc".into(), No("not tried on the real /proc")),
                ("fsopen".into(), RootOnly),
                ("open-tree /".into(), RootOnly),
                ("pivot-root /".into(), No("not tried on the real root")),
                ("chroot /".into(), RootOnly),
                ("hostname".into(), No("not tried on the real name")),
                ("handle".into(), No("needs a file handle")),
            ]
        },
        |_, _| {},
    );
}

fn b4_programs_reach_no_other_process(_: &mut World) {
    for tier in TIERS {
        println!("    {tier}:");
        let (_world, cell) = programs_cell(tier, |_, _| {});
        // A process of the same user as the cell.
        let victim = Victim::start(if tier == Tier::Full { None } else { Some(crate::world::NARROW_ID) });
        let pid = victim.0;
        let by_number = [
            "kill",
            "tgkill",
            "sigqueue",
            "ptrace",
            "vm-read",
            "setpriority",
            "affinity",
            "scheduler",
            "sched-attr",
            "ioprio",
            "prlimit",
        ];
        let control = |attack: &str| match attack {
            // Of another user's process; root may lack the right to.
            "prlimit" if tier == Tier::Narrow => No("outside it takes CAP_SYS_RESOURCE"),
            _ => Succeeds,
        };
        let mut rows: Vec<(String, Control)> =
            by_number.iter().map(|attack| (format!("{attack} {pid}"), control(attack))).collect();
        rows.extend([
            ("traceme".to_owned(), Succeeds),
            (format!("read /proc/{pid}/maps"), Succeeds),
            (format!("read /proc/{pid}/environ"), Succeeds),
        ]);
        let table: Vec<(&str, Control)> = rows.iter().map(|(attack, control)| (attack.as_str(), *control)).collect();
        refused(&cell, &table);
        // The call may answer as it likes: what counts is whether the signal arrives.
        let said = ask(&cell, &format!("signal-by-owner {pid}"));
        assert!(!victim.ended(), "a signal arrived that was asked for by F_SETOWN ({said})");
        assert_eq!(outside(&format!("signal-by-owner {pid}")), "ok");
        assert!(within(SOON, || victim.ended()), "the control");
        let everybody = Victim::start(if tier == Tier::Full { None } else { Some(crate::world::NARROW_ID) });
        let said = ask(&cell, "sh kill -9 -1; echo lives");
        println!("    kill -9 -1: {said}; the launcher lives: {}", !everybody.ended());
        assert!(!everybody.ended());
    }
}

/// CVE-2017-5226: a program types into the terminal that it was given, and what reads there takes it for a person's.
fn b4_nothing_is_typed_into_a_terminal(_: &mut World) {
    let forms = ["typed 0x5412", "typed 0x100005412", "typed 0x541c", "typed 0x541d", "typed 0x5423"];
    for tier in TIERS {
        let (_world, cell) = programs_cell(tier, |_, _| {});
        for attack in forms {
            let said = ask(&cell, attack);
            println!("    {tier}: {attack}: {said}");
            assert!(["EPERM", "EACCES", "ENOENT"].contains(&said.as_str()), "{tier}: {attack}: {said}");
        }
    }
    let (_world, cell) = programs_cell(Tier::Full, |_, _| {});
    assert_eq!(ask(&cell, "typed 0x5413"), "ok", "its size may be asked, so there is a terminal");
    let setting = std::fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").unwrap_or_else(|_| "1".into());
    if setting.trim() == "0" {
        println!("    control: not applicable: this kernel refuses it to everybody (dev.tty.legacy_tiocsti)");
    } else {
        assert_eq!(outside(forms[0]), "ok", "the control");
    }
}

fn b5_programs_have_no_strange_call(_: &mut World) {
    in_both(
        &|_| {
            vec![
                ("io-uring".into(), Succeeds),
                ("bpf".into(), RootOnly),
                ("perf".into(), RootOnly),
                ("userfaultfd".into(), Succeeds),
                ("keyctl".into(), Succeeds),
                ("add-key".into(), Succeeds),
                ("personality".into(), Succeeds),
                ("merge-memory".into(), No("a kernel from 6.4 on with KSM")),
                ("kexec".into(), No("not tried on the real kernel")),
                ("init-module".into(), No("not tried on the real kernel")),
                ("memfd-exec".into(), Succeeds),
                ("huge-pages".into(), No("depends on what the operator has set aside")),
                ("sibling".into(), No("it would be the test runner's child")),
                ("x32".into(), No("no kernel of today has it on")),
                ("clone3".into(), No("its arguments here are none")),
            ]
        },
        |_, _| {},
    );
    let (_world, cell) = programs_cell(Tier::Full, |_, _| {});
    for attack in ["set-core-limit", "setrlimit-core", "core-limit"] {
        println!("    {attack}: {}", ask(&cell, attack));
    }
    assert_eq!(ask(&cell, "core-limit"), "ok 1 1", "no crash of a program starts the host's crash handler");
    for fine in ["thread", "executable-memory", "fork"] {
        assert_eq!(ask(&cell, fine), "ok", "programs may: {fine}");
    }
}

fn b5_a_32_bit_call_ends_the_program(_: &mut World) {
    if cfg!(not(target_arch = "x86_64")) {
        println!("    not applicable: another machine");
        return;
    }
    for tier in TIERS {
        let (_world, mut cell) = programs_cell(tier, |_, _| {});
        assert_eq!(ask(&cell, "i386"), "");
        assert_eq!(cell.wait(), CellEnd::Signalled(libc::SIGSYS));
    }
}

fn b5_every_number_answers_programs_as_listed(_: &mut World) {
    for tier in TIERS {
        let (_world, cell) = programs_cell(tier, |_, _| {});
        let profile = profile(Work::Programs, &cell);
        let said = ask(&cell, &format!("every-number {profile:?}"));
        println!("    {tier}: {said}");
        assert!(said.ends_with("wrong: []"), "{said}");
        assert!(said.split(' ').nth(1).unwrap().parse::<u32>().unwrap() > 800, "{said}");
    }
}

/// The kernel is asked for the filter of a running cell (PTRACE_SECCOMP_GET_FILTER in ptrace(2)): word for word what the
/// list gives, and no other filter beside it.
fn b5_the_filter_in_force_is_the_one_that_is_listed(_: &mut World) {
    if unsafe { libc::geteuid() } != 0 {
        println!("    not applicable: the kernel shows filters to root alone");
        return;
    }
    let mut seen = Vec::new();
    for work in [Work::Tools, Work::Programs] {
        for tier in TIERS {
            let (_world, cell) = programs_cell(tier, |_, spec| spec.work = work);
            let profile = profile(work, &cell);
            let Some(filters) = live_filters(cell.pid()) else {
                println!("    not applicable: this kernel shows no filters (CONFIG_CHECKPOINT_RESTORE)");
                return;
            };
            let listed = autoshare_sandbox::words(profile).unwrap();
            println!("    {tier} {work:?}: {profile:?}, {} instructions", listed.len());
            assert_eq!(filters, [listed], "{profile:?}");
            seen.push(profile);
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "each has one of its own");
}

/// The seccomp programs of a process, last installed first; `None` where the kernel shows none.
fn live_filters(pid: i32) -> Option<Vec<Vec<u64>>> {
    const PTRACE_SECCOMP_GET_FILTER: libc::c_uint = 0x420c;
    let mut filters = Vec::new();
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0), 0, "{}", std::io::Error::last_os_error());
        assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0), 0);
        assert_eq!(libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL), pid);
        loop {
            let length = libc::ptrace(PTRACE_SECCOMP_GET_FILTER, pid, filters.len(), 0);
            let Ok(length) = usize::try_from(length) else { break };
            let mut words = vec![0u64; length];
            libc::ptrace(PTRACE_SECCOMP_GET_FILTER, pid, filters.len(), words.as_mut_ptr());
            filters.push(words);
        }
        let error = std::io::Error::last_os_error().raw_os_error();
        libc::ptrace(libc::PTRACE_DETACH, pid, 0, 0);
        if filters.is_empty() && error != Some(libc::ENOENT) {
            return None;
        }
    }
    Some(filters)
}

fn b6_a_program_has_its_streams_and_nothing_else(world: &mut World) {
    use std::os::fd::AsRawFd as _;
    let secret = std::fs::File::open(world.path("data/machine.key")).unwrap();
    let high = unsafe { libc::fcntl(secret.as_raw_fd(), libc::F_DUPFD, 900) };
    assert!(high >= 900, "the control: it is open outside");
    for tier in TIERS {
        let (_world, cell) = programs_cell(tier, |world, spec| spec.roots.push(world.root("extra", RootMode::Read)));
        let open = "python import select; p = select.poll(); [p.register(n, 0) for n in range(1024)]; r = p.poll(0); \
                    print([n for n in range(1024) if (n, select.POLLNVAL) not in r])";
        assert_eq!(ask(&cell, open), "ok 0 [0, 1, 2]", "{tier}");
        // Python itself adds a language.
        let environment = "python import os; print([name for name in os.environ if name != 'LC_CTYPE'])";
        assert_eq!(ask(&cell, environment), "ok 0 ['PATH']", "{tier}");
    }
    unsafe { libc::close(high) };
}

fn b7_set_uid_and_preload_give_nothing(_: &mut World) {
    for tier in TIERS {
        let (_world, cell) = programs_cell(tier, |_, _| {});
        let ids = "sh id -u; id -ru; grep -E '^(NoNewPrivs|CapEff)' /proc/self/status 2>/dev/null; true";
        println!("    {tier}: {}", ask(&cell, ids));
        let su = ask(&cell, "sh ls -l /bin/su | cut -c1-10; su -c id root </dev/null; id -u");
        println!("    {tier}: {su}");
        assert!(su.starts_with("ok 0") && !su.contains("uid=0"), "{su}");
        assert!(!su.ends_with("| 0"), "{su}");
        // An empty library path to preload changes nothing of what holds the program.
        let preload = ask(&cell, "sh LD_PRELOAD=/tmp/x.so cat /etc/shadow; echo $?");
        assert!(preload.contains("| 1"), "{preload}");
        assert_ne!(ask(&cell, "set-uid-0"), "ok");
    }
    if unsafe { libc::geteuid() } != 0 {
        println!("    control: {}", outside("sh ls -l /bin/su"));
    }
}

/// A file that is set-uid would be so outside of the cell as well, and would be whose the workspace is: with an id-mapped
/// mount, root's.
fn b7_nothing_set_uid_is_left_behind(_: &mut World) {
    let attacks = ["set-uid", "set-gid", "set-uid-path", "set-uid-at", "set-uid-at2", "set-uid-made"];
    for tier in TIERS {
        println!("    {tier}:");
        let (world, cell) = programs_cell(tier, |_, _| {});
        let file = world.path("workspace/planted");
        for attack in attacks {
            let said = ask(&cell, &format!("{attack} {}", file.display()));
            let meta = std::fs::metadata(&file).unwrap();
            println!("    {attack}: {said}, {:o} of {}, {} bytes", meta.mode() & 0o7777, meta.uid(), meta.len());
            assert!(!said.starts_with("ok"), "{attack}: {said}");
            assert!(meta.mode() & 0o6000 == 0 || meta.len() == 0, "{attack}");
        }
        let control = world.path("neighbour/planted");
        for attack in attacks.iter().take(3) {
            assert!(outside(&format!("{attack} {}", control.display())).starts_with("ok"), "the control: {attack}");
        }
    }
}

/// Row B9: there is no list of commands to be disguised from. Whatever a program is called, it is held.
/// What the kernel offers is in force for programs too, and what it does not offer is said.
fn programs_are_kept_apart_from_their_neighbours(_: &mut World) {
    let states = "sh grep -E '^(Speculation|Seccomp:)' /proc/self/status";
    let field = |text: &str, name: &str| {
        let line = text
            .trim_start_matches("ok 0 ")
            .split(" | ")
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
        line.map(str::to_owned)
    };
    for tier in TIERS {
        for speculate in [false, true] {
            let change = if speculate {
                |_: &World, spec: &mut CellSpec| spec.speculate = true
            } else {
                |_: &World, _: &mut CellSpec| {}
            };
            let (_world, cell) = programs_cell(tier, change);
            let (inside, outside) = (ask(&cell, states), outside(states));
            println!("    {tier}, {speculate}: {inside} (outside: {outside})");
            let facts = ["no-indirect-guesses", "own-core", "no-memory-merging"];
            for name in facts {
                let fact = cell.probes().iter().find(|probe| probe.name == name).unwrap();
                println!("      {name}: {}", fact.answer);
                let offered = fact.answer == "in force";
                assert!(offered || fact.answer.starts_with("not offered here") || speculate, "{fact:?}");
                let shown = match name {
                    "no-indirect-guesses" => "SpeculationIndirectBranch",
                    _ => continue,
                };
                if tier == Tier::Narrow {
                    // Without a /proc of its own it reads none.
                    continue;
                }
                let (inside, outside) = (field(&inside, shown), field(&outside, shown));
                if speculate {
                    assert_eq!(inside, outside, "{name}");
                } else if offered && outside.as_deref().is_some_and(|state| !state.contains("mitigated")) {
                    assert_ne!(inside, outside, "{name}: said to be in force");
                }
            }
        }
    }
    // The clocks that tell since when this machine is up.
    let uptime = |said: &str| said.trim_start_matches("ok 0 ").split('.').next().unwrap().parse::<u64>().unwrap();
    let (_world, cell) = programs_cell(Tier::Full, |_, _| {});
    let (inside, outside) = (uptime(&ask(&cell, "sh cat /proc/uptime")), uptime(&outside("sh cat /proc/uptime")));
    println!("    up for {inside} s, where the machine is for {outside} s");
    assert!(outside < 120 || inside < 60, "{inside} s");
}

fn b9_a_command_in_disguise_is_a_program_like_any_other(_: &mut World) {
    for tier in TIERS {
        let (world, cell) = programs_cell(tier, |_, _| {});
        let secret = at(&world, "neighbour/note");
        const TEXT: &str = "what nobody else may know";
        std::fs::write(&secret, TEXT).unwrap();
        let reads = |said: &str| said.contains(TEXT);
        let disguises = [
            format!("/bin/./cat {secret}"),
            format!("env cat {secret}"),
            format!("bash -c 'cat {secret}'"),
            format!("find /usr/bin/env -exec cat {secret} \\;"),
            format!("true; cat {secret}"),
            format!("true && cat {secret}"),
            format!("echo $(cat {secret})"),
            format!("git -c core.pager='cat {secret}' --paginate version"),
            format!("tar -cf /dev/null --checkpoint=1 --checkpoint-action=exec='cat {secret}' /usr/bin/env"),
            format!("python3 -c 'print(open(\"{secret}\").read())'"),
            format!("perl -e 'open F, \"{secret}\"; print <F>'"),
            format!("dd if={secret}"),
            format!("cd {}/.. && cat neighbour/note", at(&world, "workspace")),
            format!("ln -sf {secret} {0} && cat {0}", at(&world, "workspace/link")),
        ];
        for disguise in &disguises {
            let said = ask(&cell, &format!("sh {disguise}"));
            assert!(!reads(&said), "{tier}: {disguise}: {said}");
            let control = outside(&format!("sh {disguise}"));
            println!(
                "    {tier}: {disguise}: outside it {}",
                if reads(&control) { "reads" } else { "does not run here" }
            );
        }
        assert!(reads(&outside(&format!("sh {}", disguises[0]))), "the control");
    }
}
