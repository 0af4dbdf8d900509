//! The attacks, each by name: raw calls, as an attacker would make them. `ok`, or the error's name.

use std::cell::RefCell;
use std::ffi::CString;

use autoshare_sandbox::InsideRoot;

thread_local! {
    pub(crate) static ROOTS: RefCell<Vec<InsideRoot>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn run(name: &str, arg: &str) -> String {
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
            "every-number" => every_number(),
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
fn every_number() -> String {
    let listed = autoshare_sandbox::listed(autoshare_sandbox::Profile::Tools).unwrap();
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
