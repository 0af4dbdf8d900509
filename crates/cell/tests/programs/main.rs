//! The first process of a cell for programs, in a real cell, told lies by a host.
//!
//! A runner of one thread, since a launcher is forked from a process of one thread.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    missing_docs,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::io::{IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::panic::AssertUnwindSafe;

use autoshare_core::event::RootMode;
use autoshare_core::wire::{Exit, FromCell, FromInit, MAX_FRAME, Program, Stroke, ToInit, Window, decode};
use autoshare_sandbox::{Cell, CellEnd, CellSpec, Inside, Launcher, RootSpec, Work, parcel};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::json;

const SIZE: Window = Window { rows: 24, columns: 80 };

fn entry(inside: Inside) -> i32 {
    match inside.programs {
        Some(programs) => i32::from(autoshare_cell::serve_programs(inside.socket, programs).is_err()),
        None => 2,
    }
}

struct World {
    launcher: Launcher,
    folder: tempfile::TempDir,
}

/// A cell, and the host's end of its socket.
struct Talk {
    cell: Cell,
}

impl World {
    fn cell(&self) -> Talk {
        let meta = self.folder.path().metadata().unwrap();
        let root = RootSpec {
            path: self.folder.path().to_owned(),
            mode: RootMode::Write,
            id: (meta.dev(), meta.ino()),
            only: None,
        };
        let spec = CellSpec::new(Work::Programs, vec![root]);
        Talk { cell: self.launcher.launch(&spec).unwrap() }
    }
}

fn program(argv: &[&str]) -> Program {
    let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    Program { argv: argv.iter().map(|word| (*word).to_owned()).collect(), env, dir: "/tmp".into() }
}

fn start(job: u64, program: Program, given: [bool; 3]) -> ToInit {
    ToInit::Start { job, program, given, window: SIZE }
}

impl Talk {
    fn say(&self, message: &ToInit, fds: &[BorrowedFd<'_>]) {
        parcel::send(&self.cell.socket, message, fds).unwrap();
    }

    /// Bytes that no honest host sends, with descriptors.
    fn say_raw(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(fds.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(fds)));
        sendmsg(&self.cell.socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL).unwrap();
    }

    fn hear(&self) -> (FromInit, Vec<OwnedFd>) {
        parcel::receive(&self.cell.socket).unwrap().expect("the cell has not hung up")
    }

    /// Runs a program to its end, as an honest host does; what it printed.
    fn honest(&self, job: u64, argv: &[&str]) -> (Exit, String) {
        let null = std::fs::File::open("/dev/null").unwrap();
        let (ours, theirs) = rustix::pipe::pipe().unwrap();
        self.say(&start(job, program(argv), [true; 3]), &[null.as_fd(), theirs.as_fd(), theirs.as_fd()]);
        drop(theirs);
        let (started, fds) = self.hear();
        assert_eq!((started, fds.len()), (FromInit::Started { job }, 0));
        let mut text = String::new();
        std::fs::File::from(ours).read_to_string(&mut text).unwrap();
        match self.hear().0 {
            FromInit::Ended { job: ended, exit } if ended == job => (exit, text),
            other => panic!("{other:?}"),
        }
    }

    fn works(&self, job: u64) {
        assert_eq!(self.honest(job, &["echo", "well"]), (Exit::Code { code: 0 }, "well\n".to_owned()));
    }
}

fn b11_what_cannot_be_started_is_answered_and_the_cell_works_on(world: &World) {
    let talk = world.cell();
    let with = |change: &dyn Fn(&mut Program)| {
        let mut program = program(&["true"]);
        change(&mut program);
        program
    };
    let table: [(&str, Program, i32); 11] = [
        ("no name at all", with(&|p| p.argv.clear()), 2),
        ("an empty name", with(&|p| p.argv = vec![String::new()]), 2),
        ("no such program", with(&|p| p.argv = vec!["no-such".into()]), 2),
        ("a folder", with(&|p| p.argv = vec!["/tmp".into()]), 13),
        ("NUL in the name", with(&|p| p.argv = vec!["/bin/tr\0ue".into()]), 22),
        ("NUL in an argument", with(&|p| p.argv.push("a\0b".into())), 22),
        ("NUL in the environment", with(&|p| drop(p.env.insert("A".into(), "a\0b".into()))), 22),
        ("NUL in the folder", with(&|p| p.dir = "/t\0mp".into()), 22),
        ("no such folder", with(&|p| p.dir = "/no/such".into()), 2),
        ("a folder that is a file", with(&|p| p.dir = "/bin/sh".into()), 20),
        ("a path without an end", with(&|p| p.argv = vec!["/".to_owned() + &"x/".repeat(3000)]), 36),
    ];
    for (job, (name, program, errno)) in (1..).zip(table) {
        talk.say(&start(job, program, [false; 3]), &[]);
        assert_eq!(talk.hear().0, FromInit::NotStarted { job, errno }, "{name}");
    }
    talk.works(100);
}

fn b11_a_host_that_counts_wrong_is_answered_and_the_cell_works_on(world: &World) {
    let talk = world.cell();
    let null = std::fs::File::open("/dev/null").unwrap();
    let null = null.as_fd();
    // Signals to jobs that are not there, in any number.
    for job in [0, 1, u64::MAX] {
        for stroke in [Stroke::Interrupt, Stroke::End, Stroke::Kill] {
            talk.say(&ToInit::Signal { job, stroke }, &[]);
        }
    }
    // Fewer descriptors than promised: what is missing leads to a terminal of the cell's own, and not to what a later
    // message brings.
    talk.say(&start(1, program(&["sh", "-c", "test -t 0 && test -t 1 && test -t 2"]), [true; 3]), &[]);
    let (said, fds) = talk.hear();
    assert_eq!((said, fds.len()), (FromInit::Started { job: 1 }, 1), "the terminal comes with it");
    assert_eq!(talk.hear().0, FromInit::Ended { job: 1, exit: Exit::Code { code: 0 } });
    // More than promised: they are closed, and no program has them.
    talk.say(
        &start(2, program(&["sh", "-c", "[ \"$(ls /proc/self/fd | tr -d '\\n')\" = 0123 ]"]), [true, true, true]),
        &[null, null, null, null],
    );
    assert_eq!(talk.hear().0, FromInit::Started { job: 2 });
    assert_eq!(talk.hear().0, FromInit::Ended { job: 2, exit: Exit::Code { code: 0 } });
    // Descriptors with what needs none.
    talk.say(&ToInit::Signal { job: 3, stroke: Stroke::End }, &[null; 4]);
    let (exit, listed) = talk.honest(4, &["ls", "/proc/1/fd"]);
    assert!(exit.status() != 0 || listed.lines().count() < 8, "nothing is kept: {listed}");
    // A number that is in use: both are answered by it, and both can be ended by it.
    for _ in 0..2 {
        talk.say(&start(5, program(&["sleep", "60"]), [true; 3]), &[null, null, null]);
        assert_eq!(talk.hear().0, FromInit::Started { job: 5 });
    }
    for _ in 0..2 {
        talk.say(&ToInit::Signal { job: 5, stroke: Stroke::Kill }, &[]);
        assert_eq!(talk.hear().0, FromInit::Ended { job: 5, exit: Exit::Signal { signal: 9 } });
    }
    talk.works(6);
}

fn b11_what_is_no_message_ends_the_cell_and_all_in_it(world: &World) {
    let null = std::fs::File::open("/dev/null").unwrap();
    let none: &[BorrowedFd<'_>] = &[];
    let many = [null.as_fd(); 16];
    let too_long = [b"{\"do\":\"sweep\",\"x\":\"".to_vec(), vec![b'x'; parcel::MAX_MESSAGE], b"\"}".to_vec()].concat();
    let deep = [b"[".repeat(20_000), b"]".repeat(20_000)].concat();
    let table: [(&[u8], &[BorrowedFd<'_>]); 10] = [
        (b"\0", none),
        (b"{", none),
        (b"null", none),
        (b"{}", none),
        (b"{\"do\":\"reboot\"}", none),
        (b"{\"do\":\"start\",\"job\":-1}", none),
        (b"{\"do\":\"signal\",\"job\":1,\"stroke\":\"hup\"}", none),
        (&deep, none),
        (&too_long, none),
        (b"{\"do\":\"sweep\"}", &many),
    ];
    for (bytes, fds) in table {
        let mut talk = world.cell();
        talk.say(&start(1, program(&["sleep", "60"]), [false; 3]), &[]);
        let (started, _terminal) = talk.hear();
        assert_eq!(started, FromInit::Started { job: 1 });
        talk.say_raw(bytes, fds);
        assert_eq!(
            talk.cell.wait(),
            CellEnd::Exited(1),
            "{:?}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(40)])
        );
    }
    // Hanging up is a good end, and so is a packet without anything in it.
    let mut talk = world.cell();
    talk.say_raw(b"", none);
    assert_eq!(talk.cell.wait(), CellEnd::Exited(0));
}

fn b8_a_sweep_is_answered_when_nothing_is_left(world: &World) {
    let talk = world.cell();
    let beat = world.folder.path().join("beat");
    let script = format!(
        "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM HUP INT; while :; do date +%N > {}; done' & done; sleep 60",
        beat.display()
    );
    talk.say(&start(1, program(&["sh", "-c", &script]), [false; 3]), &[]);
    // A terminal that is let go hangs up on its program.
    let (started, _terminal) = talk.hear();
    assert_eq!(started, FromInit::Started { job: 1 });
    while std::fs::read(&beat).unwrap_or_default().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    talk.say(&ToInit::Sweep {}, &[]);
    assert_eq!(talk.hear().0, FromInit::Ended { job: 1, exit: Exit::Signal { signal: 9 } });
    assert_eq!(talk.hear().0, FromInit::Swept {});
    let settled = std::fs::read(&beat).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(std::fs::read(&beat).unwrap(), settled);
    // Sweeping an empty cell is answered as well.
    talk.say(&ToInit::Sweep {}, &[]);
    assert_eq!(talk.hear().0, FromInit::Swept {});
    assert_eq!(
        talk.honest(2, &["sh", "-c", "set -- /proc/[0-9]*; echo $#"]).1.trim(),
        "1",
        "sh alone; the first shows itself to nobody"
    );
}

/// Memory of this process at its highest since it was last asked, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn b11_no_frame_takes_more_memory_than_a_few_times_its_length(_: &World) {
    for piece in ["0,", "[],", "{},", "\"\",", "{\"\":0},", "\"\\u0000\","] {
        let body = format!("{{\"say\":\"ready\",\"x\":[{}0]}}", piece.repeat((MAX_FRAME - 100) / piece.len()));
        peak();
        let before = peak();
        assert!(decode::<FromCell>(body.as_bytes()).is_err());
        let took = peak() - before;
        assert!(took < 2 * MAX_FRAME, "{piece}: {took} bytes");
        // The control: a parser without the check takes many times as much.
        if piece == "0," {
            assert!(serde_json::from_slice::<FromCell>(body.as_bytes()).is_err(), "it lacks a field");
            let took = peak() - before;
            assert!(took > 8 * MAX_FRAME, "the control: {took} bytes");
        }
    }
    assert!(decode::<FromCell>(json!({"say": "ready", "probes": []}).to_string().as_bytes()).is_ok());
}

type Test = (&'static str, fn(&World));

fn main() {
    let tests: [Test; 5] = [
        (
            "b11_what_cannot_be_started_is_answered_and_the_cell_works_on",
            b11_what_cannot_be_started_is_answered_and_the_cell_works_on,
        ),
        (
            "b11_a_host_that_counts_wrong_is_answered_and_the_cell_works_on",
            b11_a_host_that_counts_wrong_is_answered_and_the_cell_works_on,
        ),
        ("b11_what_is_no_message_ends_the_cell_and_all_in_it", b11_what_is_no_message_ends_the_cell_and_all_in_it),
        ("b8_a_sweep_is_answered_when_nothing_is_left", b8_a_sweep_is_answered_when_nothing_is_left),
        (
            "b11_no_frame_takes_more_memory_than_a_few_times_its_length",
            b11_no_frame_takes_more_memory_than_a_few_times_its_length,
        ),
    ];
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let world = World { launcher: Launcher::start(entry).unwrap(), folder: tempfile::tempdir().unwrap() };
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests.into_iter().filter(|(name, _)| name.contains(&filter)) {
        let held = std::panic::catch_unwind(AssertUnwindSafe(|| test(&world))).is_ok();
        println!("test {name} ... {}", if held { "ok" } else { "FAILED" });
        *if held { &mut passed } else { &mut failed } += 1;
    }
    println!("test result: {}. {passed} passed; {failed} failed", if failed == 0 { "ok" } else { "FAILED" });
    std::process::exit(i32::from(failed > 0));
}
