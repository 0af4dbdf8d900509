use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::time::Duration;

use autoshare_core::event::RootMode;
use autoshare_core::outcome::Ending;
use autoshare_workspace::{Kind, Quota, Workspace, WorkspaceError};
use rustix::fs::{CWD, FileType, Mode};

use crate::setting::{Setting, handle, put};

fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    wait.recv_timeout(limit).expect("it blocked")
}

#[test]
fn a6_a_fifo_and_a_socket_are_refused_without_blocking() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    rustix::fs::mknodat(CWD, setting.inside.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    let _listener = UnixListener::bind(setting.inside.join("socket")).unwrap();
    symlink("fifo", setting.inside.join("to-fifo")).unwrap();

    let control = setting.inside.join("fifo");
    let blocked = mpsc::channel();
    std::thread::spawn(move || blocked.0.send(fs::File::open(control).is_ok()));
    assert!(blocked.1.recv_timeout(Duration::from_millis(200)).is_err(), "control: a plain open blocks");

    let workspace = within(Duration::from_secs(10), move || {
        for (path, kind) in [("fifo", "FIFO"), ("to-fifo", "FIFO"), ("socket", "socket")] {
            let error = workspace.read(path).unwrap_err();
            assert!(matches!(error, WorkspaceError::Special { .. }), "{path}: {error:?}");
            assert!(error.to_string().contains(kind), "{error}");
            assert_eq!((error.ending(), error.layer()), (Ending::Refused, "workspace"));
        }
        for path in ["fifo", "socket"] {
            assert!(matches!(put(&workspace, path, "x"), Err(WorkspaceError::Special { .. })), "{path}");
        }
        assert_eq!(workspace.search("x", ".", None).unwrap().hits, []);
        workspace
    });
    let (entries, _) = workspace.list(".").unwrap();
    let special = entries.iter().filter(|entry| entry.kind == Kind::Special).count();
    assert_eq!(special, 2, "they are listed as what they are");
    // Releases the thread of the control.
    fs::File::options().write(true).open(setting.inside.join("fifo")).unwrap();
}

/// Real devices, without the right to make one: a read-only root over `/dev`.
#[test]
fn a6_devices_are_refused() {
    let devices = Workspace::open(handle("/dev".as_ref()), RootMode::Read, Quota::default());
    for name in ["null", "zero", "full", "random", "tty"] {
        let error = within(Duration::from_secs(10), {
            let devices = Workspace::open(handle("/dev".as_ref()), RootMode::Read, Quota::default());
            move || devices.read(name).unwrap_err()
        });
        assert!(matches!(error, WorkspaceError::Special { kind: "a device", .. }), "{name}: {error:?}");
    }
    for name in ["stdin", "fd/0", "fd/../fd/0"] {
        assert_eq!(devices.read(name).unwrap_err().ending(), Ending::Refused, "{name}");
    }
}

#[test]
fn a6_a_directory_is_no_file() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    for path in ["folder", ".", "folder/"] {
        assert!(matches!(workspace.read(path), Err(WorkspaceError::IsDirectory { .. })), "{path}");
        assert!(matches!(put(&workspace, path, "x"), Err(WorkspaceError::IsDirectory { .. })), "{path}");
    }
    for error in [put(&workspace, "note.txt/x", "x").unwrap_err(), workspace.read("note.txt/x").unwrap_err()] {
        assert!(matches!(error, WorkspaceError::NotADirectory { .. }), "{error:?}");
    }
}
