//! Rows B1 to B7: what code in a full cell tries, and what it would get outside.

use std::os::unix::net::UnixListener;

use autoshare_sandbox::{Cell, Tier};

use crate::Test;
use crate::bombs::launcher;
use crate::world::Control::{No, RootOnly, Succeeds};
use crate::world::{Victim, World, ask, refused};

pub(crate) const TESTS: &[Test] = &[
    ("b1_reads_nothing_of_others", b1_reads_nothing_of_others),
    ("b1_a_reader_cell_has_no_file_of_anybodys", b1_a_reader_cell_has_no_file_of_anybodys),
    ("b2_no_socket_of_any_kind", b2_no_socket_of_any_kind),
    ("b3_no_namespace_and_no_mount", b3_no_namespace_and_no_mount),
    ("b4_no_other_process_is_reached", b4_no_other_process_is_reached),
    ("b5_no_strange_call", b5_no_strange_call),
    ("b5_every_number_answers_as_listed", b5_every_number_answers_as_listed),
    ("b5_a_32_bit_call_ends_the_cell", b5_a_32_bit_call_ends_the_cell),
    ("b6_no_descriptor_but_socket_and_roots", b6_no_descriptor_but_socket_and_roots),
    ("b6_own_binary_cannot_be_opened", b6_own_binary_cannot_be_opened),
    ("b7_no_program_is_run", b7_no_program_is_run),
    ("b7_no_environment_of_the_host_in_sight_or_memory", b7_no_environment_of_the_host_in_sight_or_memory),
];

fn b1_reads_nothing_of_others(world: &mut World) {
    let cell = world.cell();
    let me = std::process::id();
    let at = |name: &str| world.path(name).display().to_string();
    let attacks = [
        (format!("read {}", at("neighbour/note")), Succeeds),
        (format!("list {}", at("neighbour")), Succeeds),
        (format!("read {}", at("extra/note")), Succeeds),
        (format!("read {}", at("data/machine.key")), Succeeds),
        (format!("read {}/../neighbour/note", at("workspace")), Succeeds),
        (format!("read /proc/self/root{}", at("neighbour/note")), Succeeds),
        (format!("read /proc/self/cwd{}", at("neighbour/note")), No("the name is a nonsense outside as well")),
        ("through-handle ../neighbour/note".into(), No("the handle exists in a cell only")),
        (format!("create {}", at("neighbour/new")), Succeeds),
        (format!("open-write {}", at("neighbour/note")), Succeeds),
        ("read /etc/shadow".into(), RootOnly),
        ("read /etc/hostname".into(), Succeeds),
        ("read /etc/passwd".into(), Succeeds),
        ("list /root".into(), RootOnly),
        ("list /home".into(), Succeeds),
        ("list /var".into(), Succeeds),
        ("list /".into(), Succeeds),
        (format!("read /proc/{me}/environ"), Succeeds),
        (format!("read /proc/{me}/status"), Succeeds),
        ("read /proc/1/status".into(), Succeeds),
        ("read /proc/meminfo".into(), Succeeds),
        ("read /proc/kallsyms".into(), Succeeds),
        ("read /proc/kcore".into(), No("depends on the kernel's build")),
        ("read /proc/sys/kernel/hostname".into(), Succeeds),
        ("list /sys".into(), Succeeds),
        ("open-write /sys/kernel/uevent_helper".into(), No("depends on the kernel's build")),
        ("open-write /sys/fs/cgroup/cgroup.procs".into(), No("depends on where cgroups are mounted")),
        ("create /usr/autoshare-test".into(), No("not tried on the real /usr")),
        ("create /etc/autoshare-test".into(), No("not tried on the real /etc")),
        ("create /autoshare-test".into(), No("not tried on the real root")),
    ];
    refused(&cell, &attacks.each_ref().map(|(attack, control)| (attack.as_str(), *control)));
    assert_eq!(ask(&cell, &format!("content {}", at("workspace/note"))), "ok workspace/note");
    assert_eq!(ask(&cell, "through-handle note"), "ok");
}

/// A cell without roots: what takes a document apart in it has that document, and nothing else.
fn b1_a_reader_cell_has_no_file_of_anybodys(_: &mut World) {
    for tier in [Tier::Full, Tier::Narrow] {
        println!("    {tier}:");
        let world = World::new();
        let mut spec = world.spec();
        (spec.roots, spec.least) = (Vec::new(), Tier::Narrow);
        let cell = launcher(&world, tier).launch(&spec).unwrap();
        assert_eq!(cell.tier(), tier);
        assert_ne!(cell.confinement().uid, 0);
        let at = |name: &str| world.path(name).display().to_string();
        let attacks = [
            (format!("read {}", at("workspace/note")), Succeeds),
            (format!("read {}", at("neighbour/note")), Succeeds),
            (format!("create {}", at("workspace/new")), Succeeds),
            ("list /usr".into(), Succeeds),
            ("list /".into(), Succeeds),
            ("read /proc/1/status".into(), Succeeds),
            ("fork".into(), Succeeds),
            (format!("socket {} {} 0", libc::AF_UNIX, libc::SOCK_STREAM), Succeeds),
        ];
        refused(&cell, &attacks.each_ref().map(|(attack, control)| (attack.as_str(), *control)));
    }
}

fn b2_no_socket_of_any_kind(world: &mut World) {
    let outside = world.path("neighbour/socket");
    let inside = world.path("workspace/socket");
    let _listeners = [UnixListener::bind(&outside).unwrap(), UnixListener::bind(&inside).unwrap()];
    let name = format!("autoshare-test-{}", std::process::id());
    let address = {
        use std::os::linux::net::SocketAddrExt as _;
        std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap()
    };
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let cell = world.cell();
    let absent = No("no such family in this kernel, perhaps");
    let attacks = [
        (format!("socket {} {} 0", libc::AF_INET, libc::SOCK_STREAM), Succeeds),
        (format!("socket {} {} 0", libc::AF_INET, libc::SOCK_DGRAM), Succeeds),
        (format!("socket {} {} {}", libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP), RootOnly),
        (format!("socket {} {} {}", libc::AF_INET, libc::SOCK_STREAM, 262), absent),
        (format!("socket {} {} 0", libc::AF_INET6, libc::SOCK_STREAM), Succeeds),
        (format!("socket {} {} 0", libc::AF_NETLINK, libc::SOCK_RAW), Succeeds),
        (format!("socket {} {} 6", libc::AF_NETLINK, libc::SOCK_RAW), Succeeds),
        (format!("socket {} {} 0", libc::AF_PACKET, libc::SOCK_RAW), RootOnly),
        (format!("socket {} {} 0", libc::AF_VSOCK, libc::SOCK_STREAM), Succeeds),
        (format!("socket {} {} 0", libc::AF_ALG, libc::SOCK_SEQPACKET), No("depends on the kernel's build")),
        (format!("socket {} {} 0", libc::AF_UNIX, libc::SOCK_STREAM), Succeeds),
        (format!("socket {} {} 0", libc::AF_UNIX, libc::SOCK_DGRAM), Succeeds),
        (format!("connect-path {}", outside.display()), Succeeds),
        (format!("connect-path {}", inside.display()), Succeeds),
        (format!("connect-abstract {name}"), Succeeds),
        ("socketpair".into(), Succeeds),
        ("dns".into(), Succeeds),
    ];
    refused(&cell, &attacks.each_ref().map(|(attack, control)| (attack.as_str(), *control)));
    println!("    interfaces, asked of the one socket there is:");
    assert_eq!(ask(&cell, "interfaces"), "EPERM");
    assert_eq!(crate::world::outside("interfaces own"), "ok", "the control");
}

fn b3_no_namespace_and_no_mount(world: &mut World) {
    let cell = world.cell();
    let user = format!("unshare {}", libc::CLONE_NEWUSER);
    let net = format!("unshare {}", libc::CLONE_NEWNET);
    refused(
        &cell,
        &[
            (&user, Succeeds),
            (&net, RootOnly),
            ("clone-user", Succeeds),
            ("clone3", No("its arguments here are none")),
            ("setns", RootOnly),
            ("mount /tmp", No("not tried on the real /tmp")),
            ("umount /proc", No("not tried on the real /proc")),
            ("fsopen", RootOnly),
            ("open-tree /", RootOnly),
            ("pivot-root /", No("not tried on the real root")),
            ("chroot /", RootOnly),
            ("hostname", No("not tried on the real name")),
            ("handle", No("needs a file handle")),
        ],
    );
}

fn b4_no_other_process_is_reached(world: &mut World) {
    let cell = world.cell();
    let victim = Victim::start(None);
    let pid = victim.0;
    let attacks = [
        (format!("kill {pid}"), Succeeds),
        ("kill -1".into(), No("not tried on everything that runs here")),
        (format!("tgkill {pid}"), Succeeds),
        (format!("ptrace {pid}"), Succeeds),
        ("traceme".into(), Succeeds),
        (format!("vm-read {pid}"), Succeeds),
        (format!("pidfd {pid}"), Succeeds),
        (format!("read /proc/{pid}/mem"), No("its first page is not mapped")),
        (format!("read /proc/{pid}/maps"), Succeeds),
        ("open-write /proc/self/mem".into(), Succeeds),
        ("set-own-signal".into(), No("descriptor 3 is something else outside")),
        ("tiocsti".into(), No("the tests have no terminal to spare")),
        ("open-write /dev/tty".into(), No("the tests have no terminal to spare")),
        ("open-write /dev/ptmx".into(), RootOnly),
    ];
    refused(&cell, &attacks.each_ref().map(|(attack, control)| (attack.as_str(), *control)));
}

fn b5_no_strange_call(world: &mut World) {
    let cell = world.cell();
    refused(
        &cell,
        &[
            ("io-uring", Succeeds),
            ("bpf", RootOnly),
            ("perf", RootOnly),
            ("userfaultfd", Succeeds),
            ("keyctl", Succeeds),
            ("add-key", Succeeds),
            ("personality", Succeeds),
            ("merge-memory", No("a kernel from 6.4 on with KSM")),
            ("kexec", No("not tried on the real kernel")),
            ("init-module", No("not tried on the real kernel")),
            ("memfd-exec", Succeeds),
            ("executable-memory", Succeeds),
            ("x32", No("no kernel of today has it on")),
            ("clone3", No("its arguments here are none")),
        ],
    );
    assert_eq!(ask(&cell, "thread"), "ok", "threads are not what is refused");
}

fn b5_every_number_answers_as_listed(world: &mut World) {
    let cell = world.cell();
    let said = ask(&cell, "every-number ToolsFull");
    println!("    {said}");
    assert!(said.ends_with("wrong: []"), "{said}");
    let tried: u32 = said.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(tried > 1000, "{said}");
    assert_eq!(ask(&cell, "ids").split(' ').next(), Some("ok"), "the cell lives on");
}

fn b5_a_32_bit_call_ends_the_cell(world: &mut World) {
    if cfg!(not(target_arch = "x86_64")) {
        println!("    not applicable: another machine");
        return;
    }
    let mut cell = world.cell();
    assert_eq!(ask(&cell, "i386"), "");
    assert_eq!(cell.wait(), autoshare_sandbox::CellEnd::Signalled(libc::SIGSYS));
    println!("    control: {}", crate::world::outside("i386"));
}

fn b6_no_descriptor_but_socket_and_roots(world: &mut World) {
    // Descriptors that a careless host leaves open across a fork, high ones too.
    let secret = std::fs::File::open(world.path("data/machine.key")).unwrap();
    use std::os::fd::AsRawFd as _;
    let high = unsafe { libc::fcntl(secret.as_raw_fd(), libc::F_DUPFD, 900) };
    assert!(high >= 900, "the control: it is open outside");
    let mut spec = world.spec();
    spec.roots.push(world.root("extra", autoshare_core::event::RootMode::Read));
    let cell = world.launch(&spec).unwrap();
    let mut kinds: Vec<String> = ask(&cell, "descriptors").split(' ').skip(1).map(str::to_owned).collect();
    kinds.sort();
    // The test's own code holds the socket twice, for reading and for writing.
    assert_eq!(kinds, ["null", "null", "null", "root", "root", "socket", "socket"]);
    unsafe { libc::close(high) };
}

fn b6_own_binary_cannot_be_opened(world: &mut World) {
    let cell = world.cell();
    let binary = std::env::current_exe().unwrap().display().to_string();
    let by_path = format!("read {binary}");
    refused(
        &cell,
        &[
            ("read /proc/self/exe", Succeeds),
            ("open-write /proc/self/exe", No("busy while it runs; the danger is a handle that outlives it")),
            ("read /proc/1/exe", No("the first process of this machine is not the test's to look at")),
            (&by_path, Succeeds),
            ("read /proc/self/fd/0/../exe", No("a nonsense outside as well")),
        ],
    );
}

fn b7_no_program_is_run(world: &mut World) {
    let cell = world.cell();
    refused(
        &cell,
        &[
            ("exec /bin/true", No("it would replace the test, which is what success means")),
            ("exec /bin/su", No("the same")),
            ("fork", Succeeds),
            ("vfork", Succeeds),
            ("set-uid-0", RootOnly),
        ],
    );
}

fn b7_no_environment_of_the_host_in_sight_or_memory(world: &mut World) {
    let cell = world.cell();
    // From here on this process has copies of it; the launcher is older.
    let canary = crate::canary();
    let own = std::env::var(crate::CANARY_NAME).unwrap();
    assert_eq!(own, canary, "the control: the host has it");
    let seen = ask(&cell, "environment");
    assert_eq!(seen.split(' ').count(), 5, "{seen}");
    for variable in ["PATH=/usr/bin:/bin", "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8"] {
        assert!(seen.contains(variable), "{seen}");
    }
    if unsafe { libc::geteuid() } != 0 {
        println!("    not applicable: searching a cell's memory takes root");
        return;
    }
    let needle = canary.as_bytes();
    assert!(occurrences(std::process::id().cast_signed(), needle) > 0, "the control: this process has it");
    let launcher = world.launcher().pid();
    assert_eq!((occurrences(cell.pid(), needle), occurrences(launcher, needle)), (0, 0));
    drop::<Cell>(cell);
}

/// How often `needle` stands in the memory of a process.
fn occurrences(pid: i32, needle: &[u8]) -> usize {
    use std::os::unix::fs::FileExt as _;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = 0;
    let mut searched = 0;
    for line in maps.lines().filter(|line| !line.contains("[v")) {
        let (start, rest) = line.split_once('-').unwrap();
        let (end, _) = rest.split_once(' ').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            searched += bytes.len();
            found += bytes.windows(needle.len()).filter(|window| *window == needle).count();
        }
    }
    assert!(searched > 100_000, "only {searched} bytes could be read");
    found
}
