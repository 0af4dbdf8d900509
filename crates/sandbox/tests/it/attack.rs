//! The attacks, each by name: raw calls, as an attacker would make them. `ok`, or the error's name.

use std::cell::RefCell;
use std::ffi::CString;

use autoshare_core::wire::{Program, Window};
use autoshare_sandbox::{InsideRoot, Programs, Streams};

thread_local! {
    pub(crate) static PROGRAMS: RefCell<Option<Programs>> = const { RefCell::new(None) };
    pub(crate) static ROOTS: RefCell<Vec<InsideRoot>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn run(name: &str, arg: &str) -> String {
    // A line of a script within a line of the protocol.
    let arg = &arg.replace('\u{1}', "\n");
    let arg = arg.as_str();
    let path = CString::new(arg).unwrap();
    let path = path.as_ptr();
    let number = |text: &str| text.parse::<i64>().unwrap_or(0);
    unsafe {
        match name {
            "read" => read(arg, libc::O_RDONLY),
            "list" => read(arg, libc::O_RDONLY | libc::O_DIRECTORY),
            "open-write" => read(arg, libc::O_WRONLY),
            "create" => read(arg, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC),
            "write" => write(arg),
            "content" => std::fs::read_to_string(arg).map_or_else(|e| error_of(&e), |text| format!("ok {text}")),
            "mkdir" => answer(libc::mkdirat(libc::AT_FDCWD, path, 0o700).into()),
            "unlink" => answer(libc::unlinkat(libc::AT_FDCWD, path, 0).into()),
            "rename" => {
                let (from, to) = arg.split_once(' ').unwrap();
                let (from, to) = (CString::new(from).unwrap(), CString::new(to).unwrap());
                let here = libc::AT_FDCWD;
                answer(libc::syscall(libc::SYS_renameat2, here, from.as_ptr(), here, to.as_ptr(), 0))
            }
            "mkfifo" => answer(libc::mknodat(libc::AT_FDCWD, path, libc::S_IFIFO | 0o600, 0).into()),
            "chmod" => answer(libc::fchmodat(libc::AT_FDCWD, path, 0o600, 0).into()),
            "touch" => answer(libc::utimensat(libc::AT_FDCWD, path, std::ptr::null(), 0).into()),
            "socket" => {
                let mut parts = arg.split(' ').map(number);
                let mut next = || parts.next().unwrap_or(0) as i32;
                answer(libc::socket(next(), next(), next()).into())
            }
            "connect-path" => error_or_ok(std::os::unix::net::UnixStream::connect(arg)),
            "connect-abstract" => {
                use std::os::linux::net::SocketAddrExt as _;
                let address = std::os::unix::net::SocketAddr::from_abstract_name(arg).unwrap();
                error_or_ok(std::os::unix::net::UnixStream::connect_addr(&address))
            }
            "socketpair" => {
                let mut fds = [0; 2];
                answer(libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, fds.as_mut_ptr()).into())
            }
            "dns" => error_or_ok(std::net::UdpSocket::bind("127.0.0.1:0")),
            // FIONREAD is for the socket's bytes; SIOCGIFCONF asks its network namespace for the interfaces.
            "interfaces" => {
                let fd = if arg.is_empty() { 3 } else { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) };
                let mut conf = [0u64; 2];
                answer(libc::ioctl(fd, 0x8912, conf.as_mut_ptr()).into())
            }
            "unshare" => answer(libc::unshare(number(arg) as i32).into()),
            "setns" => {
                let fd = libc::open(c"/proc/self/ns/mnt".as_ptr(), libc::O_RDONLY);
                if fd < 0 { last() } else { answer(libc::setns(fd, 0).into()) }
            }
            "mount" => answer(libc::mount(c"none".as_ptr(), path, c"tmpfs".as_ptr(), 0, std::ptr::null()).into()),
            "umount" => answer(libc::umount2(path, libc::MNT_DETACH).into()),
            "fsopen" => answer(libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0)),
            "open-tree" => answer(libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path, 1)),
            "pivot-root" => answer(libc::syscall(libc::SYS_pivot_root, path, path)),
            "chroot" => answer(libc::chroot(path).into()),
            "clone-user" => process(libc::CLONE_NEWUSER as usize),
            "fork" => process(0),
            "vfork" => process((libc::CLONE_VFORK | libc::CLONE_PARENT) as usize),
            "clone3" => answer(libc::syscall(libc::SYS_clone3, 0, 0)),
            "exec" => {
                let argv = [path, std::ptr::null()];
                libc::execve(path, argv.as_ptr(), std::ptr::null());
                last()
            }
            "memfd-exec" => answer(libc::syscall(libc::SYS_memfd_create, c"x".as_ptr(), 0)),
            "executable-memory" => {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                let map = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_EXEC, flags, -1, 0);
                if map == libc::MAP_FAILED { last() } else { "ok".into() }
            }
            "kill" => answer(libc::kill(number(arg) as i32, 0).into()),
            "tgkill" => answer(libc::syscall(libc::SYS_tgkill, number(arg), number(arg), 0)),
            "ptrace" => answer(libc::ptrace(libc::PTRACE_SEIZE, number(arg) as i32, 0, 0)),
            "traceme" => answer(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0)),
            "vm-read" => {
                let mut byte = 0u8;
                let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
                let remote = libc::iovec { iov_base: (&raw const ROOT_BYTE) as *mut _, iov_len: 1 };
                answer(libc::process_vm_readv(number(arg) as i32, &raw const local, 1, &raw const remote, 1, 0) as i64)
            }
            "pidfd" => answer(libc::syscall(libc::SYS_pidfd_open, number(arg), 0)),
            "tiocsti" => answer(libc::ioctl(0, libc::TIOCSTI, c"x".as_ptr()).into()),
            "bpf" => answer(libc::syscall(
                libc::SYS_bpf,
                0,
                [0x4_0000_0002u64, 0x1_0000_0004, 0, 0, 0, 0, 0, 0, 0, 0].as_ptr(),
                72,
            )),
            "io-uring" => answer(libc::syscall(libc::SYS_io_uring_setup, 1, [0u64; 20].as_mut_ptr())),
            "userfaultfd" => answer(libc::syscall(libc::SYS_userfaultfd, 1)),
            "perf" => {
                // perf_event_attr: a software clock, of this process, without the kernel.
                let mut attr = [0u64; 16];
                attr[0] = 1 | (128 << 32);
                attr[5] = 0x60;
                answer(libc::syscall(libc::SYS_perf_event_open, attr.as_ptr(), 0, -1, -1, 0))
            }
            "keyctl" => answer(libc::syscall(libc::SYS_keyctl, 0, -1i64, 1)),
            "add-key" => {
                answer(libc::syscall(libc::SYS_add_key, c"user".as_ptr(), c"k".as_ptr(), c"v".as_ptr(), 1, -2))
            }
            "personality" => answer(libc::personality(0x0040_0000).into()),
            "kexec" => answer(libc::syscall(libc::SYS_kexec_load, 0, 0, 0, 0)),
            "init-module" => answer(libc::syscall(libc::SYS_init_module, 0, 0, c"".as_ptr())),
            "hostname" => answer(libc::sethostname(c"x".as_ptr(), 1).into()),
            "handle" => answer(libc::syscall(libc::SYS_open_by_handle_at, libc::AT_FDCWD, [8u32, 1, 0, 0].as_ptr(), 0)),
            "set-own-signal" => answer(libc::fcntl(3, libc::F_SETOWN, 1).into()),
            "merge-memory" => answer(libc::prctl(67, 1, 0, 0, 0).into()),
            "set-uid-0" => answer(libc::setuid(0).into()),
            "x32" => answer(libc::syscall(0x4000_0000 | libc::SYS_getpid)),
            "i386" => i386(),
            "every-number" => every_number(arg),
            "sh" => program(&["/bin/sh", "-c", arg], false),
            "python" => program(&["/usr/bin/python3", "-c", arg], false),
            "on-terminal" => program(&["/usr/bin/python3", "-c", arg], true),
            "start" => {
                let sent = start(&["/bin/sh", "-c", arg]);
                sent.map_or_else(|error| error_of(&error), |pid| format!("ok {}", pid.as_raw_nonzero()))
            }
            "fchmod" => by_handle(arg, |fd| libc::fchmod(fd, 0o600)),
            "futimens" => by_handle(arg, |fd| libc::futimens(fd, std::ptr::null())),
            "fchmod-folder" => by_handle(arg, |fd| libc::fchmod(fd, 0o700)),
            "chown" => answer(libc::chown(path, libc::getuid(), libc::getgid()).into()),
            "setxattr" => answer(libc::setxattr(path, c"user.x".as_ptr(), c"x".as_ptr().cast(), 1, 0).into()),
            "set-uid" => set_uid(arg, |fd, _| libc::fchmod(fd, 0o4755)),
            "set-gid" => set_uid(arg, |fd, _| libc::fchmod(fd, 0o2755)),
            "set-uid-path" => set_uid(arg, |_, path| libc::chmod(path, 0o4755)),
            "set-uid-at" => set_uid(arg, |_, path| libc::fchmodat(libc::AT_FDCWD, path, 0o4755, 0)),
            "set-uid-at2" => set_uid(arg, |_, path| libc::syscall(452, libc::AT_FDCWD, path, 0o4755, 0) as i32),
            "set-uid-made" => set_uid_made(arg),
            "inotify" => {
                let fd = libc::inotify_init1(0);
                if fd < 0 { last() } else { answer(libc::inotify_add_watch(fd, path, libc::IN_ALL_EVENTS).into()) }
            }
            "setpriority" => answer(libc::setpriority(libc::PRIO_PROCESS, number(arg) as u32, 5).into()),
            "affinity" => {
                let set = [u64::MAX; 16];
                answer(libc::syscall(libc::SYS_sched_setaffinity, number(arg), 128, set.as_ptr()))
            }
            "scheduler" => {
                answer(libc::syscall(libc::SYS_sched_setscheduler, number(arg), libc::SCHED_BATCH, [0i32].as_ptr()))
            }
            "sched-attr" => {
                // struct sched_attr: its size, SCHED_BATCH, no flags, a nice value that is no lower.
                let attr = [56u32, 3, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                answer(libc::syscall(libc::SYS_sched_setattr, number(arg), attr.as_ptr(), 0))
            }
            "ioprio" => answer(libc::syscall(libc::SYS_ioprio_set, 1, number(arg), 3 << 13)),
            "prlimit" => {
                let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                answer(
                    libc::prlimit(number(arg) as i32, libc::RLIMIT_CORE, &raw const limit, std::ptr::null_mut()).into(),
                )
            }
            "sigqueue" => {
                // siginfo_t: the third number is SI_QUEUE, as only the kernel may say who else sent it.
                let mut info = [0i32; 32];
                info[2] = -1;
                answer(libc::syscall(libc::SYS_rt_sigqueueinfo, number(arg), 0, info.as_ptr()))
            }
            "hard-link" => {
                let (from, to) = arg.split_once(' ').unwrap();
                error_or_ok(std::fs::hard_link(from, to))
            }
            "typed" => typed(u64::from_str_radix(arg.trim_start_matches("0x"), 16).unwrap()),
            "signal-by-owner" => signal_by_owner(number(arg) as i32),
            "send-path" => send_path(arg),
            "connect-port" => error_or_ok(std::net::TcpStream::connect_timeout(
                &([127, 0, 0, 1], arg.parse().unwrap()).into(),
                std::time::Duration::from_secs(5),
            )),
            "huge-pages" => {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_HUGETLB;
                let map = libc::mmap(std::ptr::null_mut(), 2 << 20, libc::PROT_READ, flags, -1, 0);
                if map == libc::MAP_FAILED { last() } else { "ok".into() }
            }
            "share-memory" => {
                let size = number(arg) as usize;
                let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
                let map = libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
                if map == libc::MAP_FAILED {
                    return last();
                }
                for page in (0..size).step_by(4096) {
                    map.cast::<u8>().add(page).write_volatile(1);
                }
                "ok".into()
            }
            "hoard-segments" => {
                // System V: each is filled and let go, so that no process has it any more.
                for _ in 0..number(arg) {
                    let segment = libc::shmget(libc::IPC_PRIVATE, 1 << 20, 0o600);
                    let map = libc::shmat(segment, std::ptr::null(), 0);
                    if segment < 0 || map as isize == -1 {
                        return last();
                    }
                    libc::memset(map, 1, 1 << 20);
                    libc::shmdt(map);
                }
                "ok".into()
            }
            "system-v" => answer(libc::shmget(libc::IPC_PRIVATE, 1 << 20, 0o600).into()),
            "core-limit" => {
                let mut limit = std::mem::zeroed::<libc::rlimit>();
                libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit);
                format!("ok {} {}", limit.rlim_cur, limit.rlim_max)
            }
            "set-core-limit" => {
                let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                answer(libc::setrlimit(libc::RLIMIT_CORE, &raw const limit).into())
            }
            "setrlimit-core" => {
                let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                answer(libc::syscall(libc::SYS_setrlimit, libc::RLIMIT_CORE, &raw const limit))
            }
            "sibling" => process(libc::CLONE_PARENT as usize),
            "descriptors" => {
                let open = (0..1024).filter(|fd| libc::fcntl(*fd, libc::F_GETFD) >= 0);
                let kinds = open.map(|fd| {
                    let mut stat = std::mem::zeroed::<libc::stat>();
                    libc::fstat(fd, &raw mut stat);
                    match stat.st_mode & libc::S_IFMT {
                        libc::S_IFSOCK => "socket",
                        libc::S_IFDIR => "root",
                        libc::S_IFCHR => "null",
                        _ => "other",
                    }
                });
                format!("ok {}", kinds.collect::<Vec<_>>().join(" "))
            }
            "environment" => {
                let all: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
                format!("ok {}", all.join(" "))
            }
            "ids" => format!("ok {} {} {}", libc::getuid(), libc::getgid(), libc::getpid()),
            "thread" => std::thread::spawn(|| "ok".to_owned()).join().unwrap(),
            "fill-descriptors" => {
                let mut count = 0;
                while libc::dup(0) >= 0 {
                    count += 1;
                }
                format!("{} {count}", last())
            }
            "fill-memory" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1u8; 1 << 20]);
                }
            }
            "fill-shared" => {
                let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
                let size = number(arg) as usize;
                let map = libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
                if map == libc::MAP_FAILED { last() } else { "ok".into() }
            }
            "fill-file" => {
                let mut parts = arg.rsplitn(2, ' ');
                let size: u64 = parts.next().unwrap().parse().unwrap();
                let file = std::fs::File::create(parts.next().unwrap()).unwrap();
                let mut written = 0;
                let chunk = vec![0u8; 1 << 20];
                while written < size {
                    match std::io::Write::write(&mut &file, &chunk) {
                        Ok(more) => written += more as u64,
                        Err(error) => return error_of(&error),
                    }
                }
                "ok".into()
            }
            "threads" => {
                let mut threads = 0;
                while threads < number(arg) {
                    let sleeper = || std::thread::sleep(std::time::Duration::from_secs(30));
                    match std::thread::Builder::new().stack_size(16 << 10).spawn(sleeper) {
                        Ok(_) => threads += 1,
                        Err(error) => return format!("{} {threads}", error_of(&error)),
                    }
                }
                "ok".into()
            }
            "spin" => loop {
                std::hint::spin_loop();
            },
            "exit" => libc::_exit(number(arg) as i32),
            "panic" => panic!("asked to"),
            "through-handle" => ROOTS.with(|roots| {
                let roots = roots.borrow();
                use std::os::fd::AsRawFd as _;
                answer(libc::openat(roots[0].dir.as_raw_fd(), path, libc::O_RDONLY).into())
            }),
            _ => panic!("no such attack: {name}"),
        }
    }
}

static ROOT_BYTE: u8 = 1;

fn start(argv: &[&str]) -> std::io::Result<rustix::process::Pid> {
    let null = std::fs::File::open("/dev/null")?;
    use std::os::fd::AsFd as _;
    with_programs(|programs| Ok(programs.start(&words(argv), &Streams::Given([null.as_fd(); 3]))?.pid))
}

fn words(argv: &[&str]) -> Program {
    let env = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into();
    Program { argv: argv.iter().map(|word| (*word).to_owned()).collect(), env, dir: "/usr".into() }
}

fn with_programs<T>(what: impl FnOnce(&mut Programs) -> T) -> T {
    PROGRAMS.with(|programs| what(programs.borrow_mut().as_mut().expect("a cell for programs")))
}

/// Runs a program to its end: its status and the beginning of what it printed, in one line. Outside of a cell, as a
/// child of the test.
fn program(argv: &[&str], on_terminal: bool) -> String {
    use std::io::Read as _;
    use std::os::fd::AsFd as _;
    if PROGRAMS.with(|programs| programs.borrow().is_none()) {
        let out = std::process::Command::new(argv[0]).args(&argv[1..]).current_dir("/usr").output().unwrap();
        let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).trim().replace('\n', " | ");
        return format!("ok {} {text}", out.status.code().unwrap_or(-1));
    }
    let (mut reader, writer) = std::io::pipe().unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let started = if on_terminal {
        let streams = Streams::Terminal(Window { rows: 24, columns: 80 }, [None, Some(writer.as_fd()), None]);
        with_programs(|programs| programs.start(&words(argv), &streams))
    } else {
        let streams = Streams::Given([null.as_fd(), writer.as_fd(), writer.as_fd()]);
        with_programs(|programs| programs.start(&words(argv), &streams))
    };
    drop(writer);
    let pid = match started {
        Ok(started) => {
            let mut text = Vec::new();
            let _ = reader.by_ref().take(4000).read_to_end(&mut text);
            let exit = loop {
                let ended = with_programs(|programs| programs.ended());
                if let Some((_, exit)) = ended.into_iter().find(|(pid, _)| *pid == started.pid) {
                    break exit;
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            };
            let text = String::from_utf8_lossy(&text).trim().replace(['\n', '\r'], " | ");
            return format!("ok {} {text}", exit.status());
        }
        Err(error) => error,
    };
    error_of(&pid)
}

/// An `ioctl` on a new terminal that controls this process.
fn typed(request: u64) -> String {
    use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
    // A terminal hangs up when its other side is closed.
    unsafe { (libc::setsid(), libc::signal(libc::SIGHUP, libc::SIG_IGN)) };
    let master = match openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).and_then(|fd| unlockpt(&fd).map(|()| fd)) {
        Ok(master) => master,
        Err(error) => return error_of(&error.into()),
    };
    let name = ptsname(&master, Vec::new()).unwrap();
    unsafe {
        let terminal = libc::open(name.as_ptr(), libc::O_RDWR);
        if terminal < 0 {
            return last();
        }
        let said = answer(libc::syscall(libc::SYS_ioctl, terminal, request, [u64::from(b'x'), 0].as_mut_ptr()));
        libc::close(terminal);
        said
    }
}

fn by_handle(path: &str, what: impl FnOnce(i32) -> i32) -> String {
    use std::os::fd::AsRawFd as _;
    match std::fs::File::open(path) {
        Ok(file) => answer(what(file.as_raw_fd()).into()),
        Err(error) => error_of(&error),
    }
}

/// A program of the cell's making is to run as whoever owns the workspace, for whomever starts it. `ok` if the file is
/// so afterwards.
fn set_uid(path: &str, what: impl FnOnce(i32, *const libc::c_char) -> i32) -> String {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::PermissionsExt as _;
    let _ = std::fs::remove_file(path);
    let file = match std::fs::File::create(path) {
        Ok(file) => file,
        Err(error) => return error_of(&error),
    };
    let name = CString::new(path).unwrap();
    let said = answer(what(file.as_raw_fd(), name.as_ptr()).into());
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    if said == "ok" { format!("ok {:o}", mode & 0o7777) } else { said }
}

/// The same by the mode of a new file, which then must get its content: `ok` if it is set-uid and not empty.
fn set_uid_made(path: &str) -> String {
    use std::io::Write as _;
    use std::os::fd::FromRawFd as _;
    use std::os::unix::fs::MetadataExt as _;
    let _ = std::fs::remove_file(path);
    let name = CString::new(path).unwrap();
    // struct open_how: flags, mode, resolve.
    let how = [(libc::O_CREAT | libc::O_RDWR | libc::O_CLOEXEC) as u64, 0o4755, 0];
    let fd = unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, name.as_ptr(), how.as_ptr(), 24) };
    if fd < 0 {
        return last();
    }
    let mut file = unsafe { std::fs::File::from_raw_fd(fd as i32) };
    let grown = file.set_len(3).is_ok();
    if !grown && file.write_all(b"x").is_err() {
        return last();
    }
    let meta = file.metadata().unwrap();
    if meta.mode() & 0o4000 != 0 && meta.len() > 0 { "ok".into() } else { "EPERM".into() }
}

/// Asks for a signal at the arrival of bytes (F_SETOWN in fcntl(2)), for another process: SIGIO ends it.
fn signal_by_owner(pid: i32) -> String {
    use std::os::fd::AsRawFd as _;
    let (reader, mut writer) = std::io::pipe().unwrap();
    unsafe {
        if libc::fcntl(reader.as_raw_fd(), libc::F_SETOWN, pid) < 0
            || libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_ASYNC) < 0
        {
            return last();
        }
    }
    error_or_ok(std::io::Write::write_all(&mut writer, b"x"))
}

/// A datagram to a socket by its path, from whatever socket can be had.
fn send_path(path: &str) -> String {
    unsafe {
        let mut fds = [0; 2];
        let mut fd = libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0);
        if fd < 0 {
            let mut pair = |kind| libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr());
            if pair(libc::SOCK_DGRAM) < 0 && pair(libc::SOCK_STREAM) < 0 {
                return last();
            }
            fd = fds[0];
        }
        let mut address = std::mem::zeroed::<libc::sockaddr_un>();
        address.sun_family = libc::AF_UNIX as u16;
        for (place, byte) in address.sun_path.iter_mut().zip(path.bytes()) {
            *place = byte as i8;
        }
        let length = size_of::<libc::sockaddr_un>() as u32;
        answer(libc::sendto(fd, c"x".as_ptr().cast(), 1, 0, (&raw const address).cast(), length) as i64)
    }
}

fn read(path: &str, flags: i32) -> String {
    let path = CString::new(path).unwrap();
    unsafe {
        let fd = libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o600);
        if fd < 0 {
            return last();
        }
        let mut byte = 0u8;
        let got = if flags == libc::O_RDONLY { libc::read(fd, (&raw mut byte).cast(), 1) } else { 0 };
        let said = answer(got as i64);
        libc::close(fd);
        said
    }
}

fn write(arg: &str) -> String {
    let (path, text) = arg.rsplit_once(' ').unwrap();
    error_or_ok(std::fs::write(path, text))
}

/// A new process that ends at once.
fn process(flags: usize) -> String {
    unsafe {
        let pid = libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD as usize, 0, 0, 0, 0);
        if pid == 0 {
            libc::_exit(0);
        }
        answer(pid)
    }
}

#[cfg(target_arch = "x86_64")]
fn i386() -> String {
    // getpid by the 32-bit table.
    let result: i32;
    unsafe {
        std::arch::asm!("int 0x80", inlateout("eax") 20 => result, out("r8") _, out("r9") _, out("r10") _, out("r11") _)
    };
    answer(result.into())
}
#[cfg(not(target_arch = "x86_64"))]
fn i386() -> String {
    "no such calls".into()
}

/// Every number that is not on the list, plain and with the x32 bit, and some beyond; says which answered otherwise than
/// they should.
fn every_number(profile: &str) -> String {
    use autoshare_sandbox::Profile;
    let profile =
        Profile::ALL.into_iter().chain([Profile::Host]).find(|known| format!("{known:?}") == profile).unwrap();
    let listed = autoshare_sandbox::listed(profile).unwrap();
    let mut wrong = Vec::new();
    let mut tried = 0;
    for number in (0..600u32).chain([1 << 20, 0x3fff_ffff, 0x7fff_ffff]).chain(0x4000_0000..0x4000_0258) {
        // uretprobe and uprobe: the kernel lets them past every filter, and ends who calls them on his own.
        if listed.iter().any(|call| call.number == number)
            || (cfg!(target_arch = "x86_64") && (335..=336).contains(&number))
        {
            continue;
        }
        let known = autoshare_sandbox::is_known(number);
        tried += 1;
        let said = unsafe { answer(libc::syscall(i64::from(number), 0, 0, 0, 0, 0, 0)) };
        if said != if known { "EPERM" } else { "ENOSYS" } {
            wrong.push(format!("{number}:{said}"));
        }
    }
    format!("ok {tried} tried, wrong: {wrong:?}")
}

fn answer(result: i64) -> String {
    if result < 0 { last() } else { "ok".into() }
}

fn last() -> String {
    error_of(&std::io::Error::last_os_error())
}

fn error_or_ok<T>(result: std::io::Result<T>) -> String {
    result.map_or_else(|error| error_of(&error), |_| "ok".into())
}

fn error_of(error: &std::io::Error) -> String {
    let names = [
        (libc::EPERM, "EPERM"),
        (libc::ENOENT, "ENOENT"),
        (libc::EACCES, "EACCES"),
        (libc::EFAULT, "EFAULT"),
        (libc::EINVAL, "EINVAL"),
        (libc::EROFS, "EROFS"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::EMFILE, "EMFILE"),
        (libc::EFBIG, "EFBIG"),
        (libc::ENOSPC, "ENOSPC"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::EAGAIN, "EAGAIN"),
        (libc::EXDEV, "EXDEV"),
        (libc::EBUSY, "EBUSY"),
    ];
    let number = error.raw_os_error().unwrap_or(0);
    names.iter().find(|(value, _)| *value == number).map_or_else(|| error.to_string(), |(_, name)| (*name).to_owned())
}
