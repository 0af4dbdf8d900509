//! How cells end, what is left of them, and the narrow tier.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use autoshare_core::event::RootMode;
use autoshare_sandbox::{Cell, CellEnd, Launcher, Only, SandboxError, Survey, Tier, survey};

use rustix::fs::FlockOperation;

use crate::Test;
use crate::bombs::{SOON, children, within};
use crate::world::Control::{No, RootOnly, Succeeds};
use crate::world::{World, ask, in_child, refused};

pub(crate) const TESTS: &[Test] = &[
    ("an_end_is_told_as_it_was", an_end_is_told_as_it_was),
    ("dropping_a_cell_ends_it", dropping_a_cell_ends_it),
    ("b8_a_cell_ends_with_its_launcher", b8_a_cell_ends_with_its_launcher),
    ("b8_launcher_and_cells_end_with_the_host", b8_launcher_and_cells_end_with_the_host),
    (
        "g1_what_a_cell_holds_is_free_only_when_the_cell_is_gone",
        g1_what_a_cell_holds_is_free_only_when_the_cell_is_gone,
    ),
    ("a_hundred_cells_leave_nothing", a_hundred_cells_leave_nothing),
    ("threads_make_cells_side_by_side", threads_make_cells_side_by_side),
    ("a_launcher_is_not_started_among_threads", a_launcher_is_not_started_among_threads),
    ("a_narrow_cell_holds", a_narrow_cell_holds),
    ("b10_one_file_of_a_folder_in_a_narrow_cell", b10_one_file_of_a_folder_in_a_narrow_cell),
    ("a_narrow_cell_promises_only_what_it_can", a_narrow_cell_promises_only_what_it_can),
    ("no_user_namespaces_is_a_refusal_or_a_narrow_cell", no_user_namespaces_is_a_refusal_or_a_narrow_cell),
    ("the_survey_says_what_is_there", the_survey_says_what_is_there),
    ("spares_end_with_the_mounts_that_they_hold", spares_end_with_the_mounts_that_they_hold),
    ("a_spare_that_breaks_costs_no_launch", a_spare_that_breaks_costs_no_launch),
    (
        "a_launcher_without_descriptors_says_so_and_its_cells_live",
        a_launcher_without_descriptors_says_so_and_its_cells_live,
    ),
    ("machines_that_offer_less_are_told_as_they_are", machines_that_offer_less_are_told_as_they_are),
    (
        "a_covered_proc_means_narrow_cells_and_the_survey_says_so",
        a_covered_proc_means_narrow_cells_and_the_survey_says_so,
    ),
    ("the_survey_knows_a_root_that_is_alone", the_survey_knows_a_root_that_is_alone),
];

fn alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn gone(pid: i32) {
    let start = Instant::now();
    while alive(pid) {
        assert!(start.elapsed() < Duration::from_secs(10), "{pid} lives on");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn an_end_is_told_as_it_was(world: &mut World) {
    for (attack, end) in
        [("exit 0", CellEnd::Exited(0)), ("exit 7", CellEnd::Exited(7)), ("panic", CellEnd::Exited(101))]
    {
        let mut cell = world.cell();
        assert_eq!(ask(&cell, attack), "");
        assert_eq!(cell.wait(), end, "{attack}");
        assert_eq!(cell.wait(), end, "{attack}, asked again");
    }
    let mut returned = world.cell();
    returned.socket.shutdown(std::net::Shutdown::Both).unwrap();
    assert_eq!(returned.wait(), CellEnd::Exited(0));
    let mut killed = world.cell();
    let waiting = rustix::event::PollFd::new(&killed.ended(), rustix::event::PollFlags::IN).revents();
    assert!(waiting.is_empty(), "it has not ended");
    killed.kill();
    killed.kill();
    let ended = killed.ended().as_fd().try_clone_to_owned().unwrap();
    let mut polled = [rustix::event::PollFd::new(&ended, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut polled, None), Ok(1));
    assert_eq!(killed.wait(), CellEnd::Signalled(libc::SIGKILL));
}

fn dropping_a_cell_ends_it(world: &mut World) {
    let cell = world.cell();
    let pid = cell.pid();
    assert!(alive(pid));
    drop(cell);
    gone(pid);
}

fn b8_a_cell_ends_with_its_launcher(world: &mut World) {
    let mut cell = world.cell();
    world.end_launcher();
    assert_eq!(cell.wait(), CellEnd::Lost);
    gone(cell.pid());
}

/// A host of its own, which says something and then waits to be killed.
fn doomed_host(world: &World, begin: impl FnOnce(&World) -> (Cell, String)) -> (i32, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    let host = unsafe { libc::fork() };
    if host == 0 {
        drop(reader);
        let (cell, words) = begin(world);
        // Code in a cell that does not listen, and so would notice nothing.
        std::io::Write::write_all(&mut &cell.socket, b"spin\n").unwrap();
        std::io::Write::write_all(&mut &writer, format!("{words}\n").as_bytes()).unwrap();
        loop {
            unsafe { libc::pause() };
        }
    }
    drop(writer);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(reader), &mut line).unwrap();
    (host, line.trim_end().to_owned())
}

fn kill_host(pid: i32) {
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, std::ptr::null_mut(), 0);
    }
}

fn b8_launcher_and_cells_end_with_the_host(world: &mut World) {
    let (host, line) = doomed_host(world, |world| {
        let (launcher, spec) = (world.launcher(), world.spec());
        // At once, so that there is more than one launcher where there is more than one processor.
        let cells: Vec<Cell> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| launcher.launch(&spec).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let pids: Vec<String> = cells.iter().map(|cell| cell.pid().to_string()).collect();
        let words = format!("{} {}", launcher.pid(), pids.join(" "));
        let mut cells = cells.into_iter();
        let first = cells.next().unwrap();
        cells.for_each(std::mem::forget);
        (first, words)
    });
    let pids: Vec<i32> = line.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.len() == 5 && pids.iter().all(|pid| alive(*pid)), "the control: they live");
    kill_host(host);
    pids.into_iter().for_each(gone);
}

fn g1_what_a_cell_holds_is_free_only_when_the_cell_is_gone(world: &mut World) {
    let path = world.path("lock");
    let open = || std::fs::File::create(&path).unwrap();
    let lock = |file: &std::fs::File| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive);
    for round in 0..30 {
        let (host, line) = doomed_host(world, |world| {
            let held = open();
            lock(&held).unwrap();
            let cell = world.launcher().launch_holding(&world.spec(), &[held.as_fd()]).unwrap();
            let words = cell.pid().to_string();
            (cell, words)
        });
        let cell: i32 = line.parse().unwrap();
        let file = open();
        assert!(lock(&file).is_err() && alive(cell), "the control: it is held");
        kill_host(host);
        let start = Instant::now();
        while lock(&file).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "round {round}: it is held for ever");
        }
        assert!(!std::path::Path::new(&format!("/proc/{cell}")).exists(), "round {round}: free, and {cell} is there");
    }
    // And without a death: with the cell.
    let held = open();
    lock(&held).unwrap();
    let mut cell = world.launcher().launch_holding(&world.spec(), &[held.as_fd()]).unwrap();
    drop(held);
    assert!(lock(&open()).is_err());
    cell.kill();
    cell.wait();
    lock(&open()).unwrap();
}

fn a_hundred_cells_leave_nothing(world: &mut World) {
    let count = |path: &str| std::fs::read_dir(path).unwrap().count();
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    drop(world.cell());
    let launcher_fds = format!("/proc/{}/fd", world.launcher().pid());
    let can_look = std::fs::read_dir(&launcher_fds).is_ok();
    let before = (count("/proc/self/fd"), mounts());
    let mut pids = Vec::new();
    for _ in 0..100 {
        let mut cell = world.cell();
        pids.push(cell.pid());
        cell.kill();
        cell.wait();
    }
    assert_eq!((count("/proc/self/fd"), mounts()), before);
    pids.into_iter().for_each(|pid| assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid}"));
    if can_look {
        // Standard three, the host's socket, and the one user namespace for id-mapped mounts; the watch over mounts, and
        // two for each of two spares.
        assert!(count(&launcher_fds) <= 10, "{} descriptors in the launcher", count(&launcher_fds));
    } else {
        println!("    not applicable: looking into the launcher takes root");
    }
}

fn threads_make_cells_side_by_side(world: &mut World) {
    let launcher = world.launcher();
    let first = launcher.pid();
    let spec = world.spec();
    let last: Vec<Cell> = std::thread::scope(|scope| {
        let make = || {
            let made = (0..4).map(|_| {
                let cell = launcher.launch(&spec).unwrap();
                assert_eq!(ask(&cell, "ids"), "ok 1000 1000 1");
                // Whichever launcher made it is asked.
                assert_eq!(launcher.strain(&cell).unwrap(), autoshare_sandbox::Strain::default());
                cell
            });
            made.last().unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let field = |pid: i32, name: &str| -> Option<i32> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
    };
    let mut makers: Vec<i32> = last.iter().filter_map(|cell| field(cell.pid(), "PPid:")).collect();
    makers.sort_unstable();
    makers.dedup();
    let processors = std::thread::available_parallelism().unwrap().get();
    println!("    {} launchers for {processors} processors", makers.len());
    assert!(makers.len() <= processors && (makers.len() > 1 || processors == 1), "{makers:?}");
    assert!(makers.iter().all(|maker| *maker == first || field(*maker, "PPid:") == Some(first)), "{makers:?}");
    let cells: Vec<i32> = last.iter().map(Cell::pid).collect();
    world.end_launcher();
    assert!(makers.iter().chain(&cells).all(|pid| !alive(*pid)), "with the first, every launcher and its cells end");
}

fn a_launcher_is_not_started_among_threads(_: &mut World) {
    let (stop, wait) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || wait.recv());
    let refused = Launcher::start(|_| 0);
    drop(stop);
    other.join().unwrap().unwrap_err();
    assert!(matches!(refused, Err(SandboxError::TooLate(2))), "{refused:?}");
}

fn a_narrow_cell_holds(world: &mut World) {
    if unsafe { libc::geteuid() } == 0 {
        for name in ["workspace", "workspace/note"] {
            std::os::unix::fs::chown(world.path(name), Some(12_345), Some(12_345)).unwrap();
        }
    }
    let at = |name: &str| world.path(name).display().to_string();
    let name =
        |name: &str| (format!("read {}", at(name)), format!("create {}", at(name)), format!("chmod {}", at(name)));
    let (read, create, chmod) = name("neighbour/note");
    let note = format!("content {}", at("workspace/note"));
    let new = format!("write {} x", at("workspace/new"));
    let mut spec = world.spec();
    spec.least = Tier::Narrow;
    spec.roots.push(world.root("extra", RootMode::Read));
    let extra = format!("read {}", at("extra/note"));
    let extra_new = format!("create {}", at("extra/new"));
    let cell = world.narrow().launch(&spec).unwrap();
    assert_eq!(cell.tier(), Tier::Narrow);
    assert!(cell.probes().iter().all(|probe| probe.held));
    assert_eq!(ask(&cell, &note), "ok workspace/note");
    assert_eq!(ask(&cell, &new), "ok");
    assert_eq!(ask(&cell, &extra), "ok");
    let inet = format!("socket {} {} 0", libc::AF_INET, libc::SOCK_STREAM);
    let parent = format!("kill {}", std::process::id());
    refused(
        &cell,
        &[
            (&read, Succeeds),
            (&create, Succeeds),
            (&chmod, Succeeds),
            (&extra_new, Succeeds),
            ("read /etc/passwd", Succeeds),
            ("read /etc/shadow", RootOnly),
            ("list /tmp", Succeeds),
            ("create /tmp/autoshare-narrow", No("not left lying about")),
            ("read /proc/self/exe", Succeeds),
            ("read /proc/1/status", Succeeds),
            (&inet, Succeeds),
            (&parent, Succeeds),
            ("fork", Succeeds),
            ("unshare 268435456", Succeeds),
        ],
    );
    let ids: Vec<u32> = ask(&cell, "ids").split(' ').skip(1).map(|id| id.parse().unwrap()).collect();
    assert!(ids[0] != 0 && ids[1] != 0, "{ids:?}");
}

fn b10_one_file_of_a_folder_in_a_narrow_cell(world: &mut World) {
    if unsafe { libc::geteuid() } == 0 {
        for name in ["workspace", "extra", "extra/note"] {
            std::os::unix::fs::chown(world.path(name), Some(12_345), Some(12_345)).unwrap();
        }
    }
    std::fs::write(world.path("extra/other"), "other").unwrap();
    let at = |name: &str| world.path(name).display().to_string();
    let mut spec = world.spec();
    spec.least = Tier::Narrow;
    spec.roots.push(world.root("extra", RootMode::Read));
    spec.roots[1].only = Some(Only::file("note"));
    let cell = world.narrow().launch(&spec).unwrap();
    assert_eq!(ask(&cell, &format!("content {}", at("extra/note"))), "ok extra/note");
    for attack in ["read", "list"] {
        let path = if attack == "list" { at("extra") } else { at("extra/other") };
        assert_eq!(ask(&cell, &format!("{attack} {path}")), "EACCES");
    }
    spec.roots[1].mode = RootMode::Write;
    let refusal = world.narrow().launch(&spec).unwrap_err();
    assert!(refusal.to_string().contains("--write"), "{refusal}");
}

fn a_narrow_cell_promises_only_what_it_can(world: &mut World) {
    let mut spec = world.spec();
    let refusal = world.narrow().launch(&spec).unwrap_err();
    assert!(matches!(refusal, SandboxError::Unavailable { tier: Tier::Full, .. }), "{refusal}");
    spec.least = Tier::Narrow;
    if unsafe { libc::geteuid() } == 0 {
        let refusal = world.narrow().launch(&spec).unwrap_err();
        assert!(refusal.to_string().contains("belongs to root"), "{refusal}");
        std::os::unix::fs::chown(world.path("workspace"), Some(12_345), Some(12_345)).unwrap();
    }
    let base = spec.clone();
    spec.hide = vec![world.path("workspace/.autoshare")];
    let refusal = world.narrow().launch(&spec).unwrap_err();
    assert!(refusal.to_string().contains("hide it"), "{refusal}");
    spec = base.clone();
    spec.freeze = vec![world.path("workspace/frozen")];
    let refusal = world.narrow().launch(&spec).unwrap_err();
    assert!(refusal.to_string().contains("keep it read-only"), "{refusal}");
    spec = base.clone();
    spec.roots.push(world.root("workspace/frozen", RootMode::Read));
    let refusal = world.narrow().launch(&spec).unwrap_err();
    assert!(refusal.to_string().contains("keep it read-only"), "{refusal}");
    spec = base;
    spec.freeze = vec![world.path("workspace/none")];
    let refusal = world.narrow().launch(&spec).unwrap_err();
    assert!(refusal.to_string().contains("keep it from being made"), "{refusal}");
    spec.freeze = vec![world.path("neighbour/note")];
    assert_eq!(world.narrow().launch(&spec).unwrap().tier(), Tier::Narrow, "what lies below no root is kept anyway");
}

/// A machine without user namespaces, made by taking them away from a namespace of the test's own.
fn no_user_namespaces_is_a_refusal_or_a_narrow_cell(world: &mut World) {
    if unsafe { libc::geteuid() } == 0 {
        std::os::unix::fs::chown(world.path("workspace"), Some(12_345), Some(12_345)).unwrap();
    }
    let said = in_child(|| {
        refuse(&[(libc::SYS_clone, libc::CLONE_NEWUSER, libc::EPERM)]);
        let mut spec = world.spec();
        let refusal = world.launch(&spec).unwrap_err();
        assert!(matches!(refusal, SandboxError::Unavailable { tier: Tier::Full, .. }), "{refusal}");
        println!("    {refusal}");
        spec.least = Tier::Narrow;
        let cell = world.launch(&spec).unwrap();
        let survey = survey();
        assert_eq!(survey.tier, Some(Tier::Narrow), "{survey:?}");
        let layer = survey.layers.iter().find(|layer| layer.name == "user-namespaces").unwrap();
        println!("    {} {}", layer.found, layer.fix.as_deref().unwrap());
        format!("{}", cell.tier())
    });
    assert_eq!(said, "narrow");
}

fn the_survey_says_what_is_there(world: &mut World) {
    let survey = survey();
    println!("    {survey:?}");
    let cell = world.cell();
    assert_eq!(survey.tier, Some(cell.tier()));
    let counted = cell.confinement().limits.iter().any(|limit| limit.name == "processor" && limit.hard);
    let cgroup = survey.layers.iter().find(|layer| layer.name == "cgroup").unwrap();
    assert_eq!(cgroup.there && cgroup.found.ends_with("and processor"), counted, "{}", cgroup.found);
    assert!(survey.layers.iter().all(|layer| layer.there == layer.fix.is_none()));
}

/// A container that covers a part of its `/proc`: the kernel then lets nobody mount one of their own.
fn a_covered_proc_means_narrow_cells_and_the_survey_says_so(world: &mut World) {
    if unsafe { libc::geteuid() } == 0 {
        std::os::unix::fs::chown(world.path("workspace"), Some(12_345), Some(12_345)).unwrap();
    }
    let said = in_child(|| {
        unsafe {
            let (uid, gid) = (libc::geteuid(), libc::getegid());
            let more = if uid == 0 { 0 } else { libc::CLONE_NEWUSER };
            assert_eq!(libc::unshare(libc::CLONE_NEWNS | more), 0);
            if uid != 0 {
                std::fs::write("/proc/self/setgroups", "deny").unwrap();
                std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")).unwrap();
                std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).unwrap();
            }
            let (none, tmpfs, null) = (c"none".as_ptr(), c"tmpfs".as_ptr(), std::ptr::null());
            assert_eq!(libc::mount(none, c"/".as_ptr(), null, libc::MS_REC | libc::MS_PRIVATE, null.cast()), 0);
            assert_eq!(libc::mount(none, c"/proc/fs".as_ptr(), tmpfs, 0, null.cast()), 0);
        }
        let survey = survey();
        let layer = survey.layers.iter().find(|layer| layer.name == "own-proc").unwrap();
        println!("    {}: {}", layer.found, layer.fix.as_deref().unwrap());
        let mut spec = world.spec();
        spec.least = Tier::Narrow;
        format!("{:?} {}", survey.tier, world.launch(&spec).unwrap().tier())
    });
    assert_eq!(said, "Some(Narrow) narrow");
}

/// A spare has a copy of the host's mounts, which would keep a file system busy that the host has unmounted.
fn spares_end_with_the_mounts_that_they_hold(world: &mut World) {
    if unsafe { libc::geteuid() } != 0 {
        println!("    not applicable: mounting takes root");
        return;
    }
    let pid = world.launcher().pid();
    // For longer than it takes a cell to end, and a spare to be made.
    let waits = |count: usize| {
        within(SOON, || {
            (0..10).all(|_| {
                std::thread::sleep(Duration::from_millis(10));
                children(pid) == count
            })
        })
    };
    drop(world.cell());
    assert!(waits(0), "what was asked for once has no spare: {}", children(pid));
    drop(world.cell());
    assert!(waits(1), "what was asked for again has: {}", children(pid));
    let (tmpfs, target) = (c"tmpfs".as_ptr(), std::ffi::CString::new(world.path("extra").to_str().unwrap()).unwrap());
    assert_eq!(unsafe { libc::mount(tmpfs, target.as_ptr(), tmpfs, 0, c"mode=0755".as_ptr().cast()) }, 0);
    assert!(waits(0), "it ends with a change of the mounts: {}", children(pid));
    std::fs::write(world.path("extra/note"), "later").unwrap();
    let mut spec = world.spec();
    spec.roots.push(world.root("extra", RootMode::Read));
    let cell = world.launch(&spec).unwrap();
    assert_eq!(ask(&cell, &format!("content {}", world.path("extra/note").display())), "ok later");
    drop(cell);
    assert!(waits(1), "{}", children(pid));
    assert_eq!(unsafe { libc::umount2(target.as_ptr(), 0) }, 0, "nobody keeps it busy");
    assert!(waits(0), "{}", children(pid));
}

/// A spare may end between being claimed and being told what to be, or in the middle of it.
fn a_spare_that_breaks_costs_no_launch(world: &mut World) {
    let pid = world.launcher().pid();
    drop(world.cell());
    drop(world.cell());
    let children = || std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let stays = |before: &str| {
        std::thread::sleep(Duration::from_millis(200));
        children() == before
    };
    // The cells have gone, and one process is there to stay.
    assert!(within(SOON, || children().trim().parse::<i32>().is_ok() && stays(&children())), "{}", children());
    let spare: i32 = children().trim().parse().unwrap();
    let signal = |signal: i32| assert_eq!(unsafe { libc::kill(spare, signal) }, 0);
    // It is there and hears nothing, so that it is claimed; only then does it end.
    signal(libc::SIGSTOP);
    std::thread::scope(|scope| {
        let killing = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            signal(libc::SIGKILL);
        });
        let start = Instant::now();
        let cell = world.launch(&world.spec()).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(250), "the control: the broken one was claimed");
        assert_ne!(cell.pid(), spare);
        assert_eq!(ask(&cell, "exit 0"), "");
        killing.join().unwrap();
    });
    gone(spare);
}

fn a_launcher_without_descriptors_says_so_and_its_cells_live(world: &mut World) {
    for most in [30, 31, 32, 33] {
        let said = in_child(|| {
            let pid = world.launcher().pid();
            let limit = |now: libc::rlim_t| {
                let limit = libc::rlimit { rlim_cur: now, rlim_max: most };
                let old = std::ptr::null_mut();
                assert_eq!(unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const limit, old) }, 0);
            };
            limit(most);
            // Its cells have no more than it has.
            let mut spec = world.spec();
            spec.limits.open_files = most;
            let mut cells = Vec::new();
            let short = loop {
                // With a spare that takes descriptors of its own meanwhile.
                std::thread::sleep(Duration::from_millis(20));
                match world.launch(&spec) {
                    Ok(cell) => cells.push(cell),
                    Err(error) => break error,
                }
            };
            // Not even those of the request find room; poll(2) takes as many as may be open.
            limit(cells.len() as libc::rlim_t + 3);
            let none = world.launch(&spec).unwrap_err();
            limit(most);
            let full = cells.iter().all(|cell| cell.tier() == Tier::Full);
            let alive = cells.iter().all(|cell| ask(cell, "through-handle note") == "ok");
            let made = cells.len();
            cells.clear();
            std::thread::sleep(Duration::from_millis(300));
            let again = world.launch(&spec).is_ok();
            format!("{} {full} {alive} {again}; {short}; {none}", made > 0)
        });
        println!("    {most}: {said}");
        assert!(said.starts_with("true true true true; "), "{most}: {said}");
        assert_eq!(said.matches("EMFILE").count(), 2, "{most}: {said}");
        // Of an ordinary user it holds fewer, and may have room for the request, though not for the cell.
        let root = unsafe { libc::geteuid() } == 0;
        assert!(!root || said.contains("taking descriptors: end other cells"), "{most}: {said}");
    }
}

/// Refuses calls, each if argument 0 has one of the bits (0: in any case), to this process and what it starts.
fn refuse(calls: &[(libc::c_long, libc::c_int, libc::c_int)]) {
    let op = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |offset: u32| op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
    let mut program = Vec::new();
    for &(number, bits, errno) in calls {
        let test = match bits {
            0 => op(libc::BPF_JMP | libc::BPF_JA, 0, 0, 0),
            bits => op(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, bits as u32),
        };
        program.extend([load(0), op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 3, number as u32), load(16), test]);
        program.push(op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32));
    }
    program.push(op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    let header = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const header), 0);
    }
}

/// As far as a filter can make this machine look like another one; what the survey says is what a launcher then gives.
fn machines_that_offer_less_are_told_as_they_are(world: &mut World) {
    if unsafe { libc::geteuid() } == 0 {
        std::os::unix::fs::chown(world.path("workspace"), Some(12_345), Some(12_345)).unwrap();
    }
    let landlock = [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];
    let no_landlock = landlock.map(|number| (number, 0, libc::ENOSYS));
    let container = [
        (libc::SYS_clone, libc::CLONE_NEWUSER, libc::EPERM),
        (libc::SYS_unshare, 0, libc::EPERM),
        (libc::SYS_clone3, 0, libc::ENOSYS),
        (libc::SYS_mount, 0, libc::EPERM),
        (libc::SYS_fsopen, 0, libc::EPERM),
    ];
    let app_armor = [(libc::SYS_fsmount, 0, libc::EACCES), (libc::SYS_mount, 0, libc::EACCES)];
    let both = [&container[..], &no_landlock].concat();
    let old_clone = [(libc::SYS_clone3, 0, libc::ENOSYS)];
    let namespaces: &[&str] = &["user-namespaces", "own-proc"];
    // (machine, what it refuses, layers that are missing, tier)
    let rows: [(&str, &[_], &[&str], Option<Tier>); 5] = [
        ("a container with the usual filter", &container, namespaces, Some(Tier::Narrow)),
        ("namespaces in which nothing may be mounted", &app_armor, namespaces, Some(Tier::Narrow)),
        ("a kernel without Landlock", &no_landlock, &["landlock"], None),
        ("such a container on such a kernel", &both, &["user-namespaces", "own-proc", "landlock"], None),
        ("a kernel before clone3", &old_clone, &[], Some(Tier::Full)),
    ];
    let missing = |survey: &Survey| -> Vec<String> {
        // Who a cell can be depends on namespaces where root asks.
        let missing = survey.layers.iter().filter(|layer| !layer.there && layer.name != "user");
        missing.map(|layer| layer.name.clone()).collect()
    };
    let usual = missing(&survey());
    for (machine, refused, wanted, tier) in rows {
        let said = in_child(|| {
            refuse(refused);
            let survey = survey();
            let mut found = missing(&survey);
            found.retain(|name| !usual.contains(name));
            let fixed =
                survey.layers.iter().all(|layer| layer.there || layer.fix.as_ref().is_some_and(|fix| !fix.is_empty()));
            let mut spec = world.spec();
            spec.least = Tier::Narrow;
            let launched = world.launch(&spec).map(|cell| cell.tier());
            if let Err(error) = &launched {
                println!("    {machine}: {error}");
            }
            format!("{found:?} {:?} {:?} {fixed}", survey.tier, launched.ok())
        });
        println!("    {machine}: {said}");
        assert_eq!(said, format!("{wanted:?} {tier:?} {tier:?} true"), "{machine}");
    }
}

/// As `unshare -r` makes it: root, who can be nobody else, so that a cell could only be root.
fn the_survey_knows_a_root_that_is_alone(_: &mut World) {
    let said = in_child(|| {
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWUSER) }, 0);
        std::fs::write("/proc/self/setgroups", "deny").unwrap();
        std::fs::write("/proc/self/uid_map", format!("0 {uid} 1")).unwrap();
        std::fs::write("/proc/self/gid_map", format!("0 {gid} 1")).unwrap();
        let survey = survey();
        let layer = survey.layers.iter().find(|layer| layer.name == "user").unwrap();
        println!("    {} {:?}", layer.found, layer.fix);
        let mut spec = World::new().spec();
        spec.least = Tier::Narrow;
        let refusal = Launcher::start(|_| 0).unwrap().launch(&spec).unwrap_err();
        println!("    {refusal}");
        format!("{:?} {}", survey.tier, layer.there)
    });
    assert_eq!(said, "None false");
}
