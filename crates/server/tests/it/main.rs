//! The control socket, spoken to over a real Unix socket: it hears its owner, and nobody can make it do more than that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    missing_docs,
    reason = "tests"
)]

mod certificates;
mod gateway;
mod health;
mod hostile;
mod house;
mod http2;
mod login;
mod neighbours;
mod people;
mod protocol;
mod provider;
mod routes;
mod shares;
mod telemetry;
mod tenants;
mod upstream;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use autoshare_core::{BrainId, Seq};
use autoshare_host::{Stop, Switchboard};
use autoshare_server::control::{Ask, Control, Line, Say, socket_path};
use tokio::sync::broadcast;

struct Desk {
    data: tempfile::TempDir,
    switchboard: Arc<Switchboard>,
    grown: broadcast::Sender<(BrainId, Seq)>,
}

impl Desk {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { data, switchboard: Arc::default(), grown: broadcast::channel(16).0 }
    }

    fn listen(&self) -> Control {
        Control::listen(self.data.path(), Arc::clone(&self.switchboard), self.grown.clone()).unwrap()
    }

    async fn line(&self) -> Line {
        Line::connect(self.data.path(), std::process::id()).await.unwrap()
    }

    /// Sends bytes as they are and reads what comes until the other side hangs up.
    async fn raw(&self, bytes: Vec<u8>) -> String {
        let path = socket_path(self.data.path(), std::process::id());
        tokio::task::spawn_blocking(move || {
            let mut stream = UnixStream::connect(path).unwrap();
            // The other side may hang up before it has read everything.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut said = String::new();
            let _ = stream.read_to_string(&mut said);
            said
        })
        .await
        .unwrap()
    }
}

fn brain(n: u8) -> BrainId {
    BrainId::from_random([n; 5])
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_stop_arrives_and_is_never_weakened() {
    let desk = Desk::new();
    let _control = desk.listen();
    let mut line = desk.line().await;
    for (how, then) in [(Stop::AfterStep, Stop::AfterStep), (Stop::Now, Stop::Now), (Stop::AfterStep, Stop::Now)] {
        assert_eq!(line.ask(&Ask::Stop { brain: brain(1), how }).await.unwrap(), Say::Done {});
        assert_eq!(desk.switchboard.stop_of(&brain(1)), then);
    }
    assert_eq!(desk.switchboard.stop_of(&brain(2)), Stop::No, "another brain is not stopped");
    assert_eq!(line.ask(&Ask::Questions {}).await.unwrap(), Say::Questions { waiting: Vec::new() });
}

#[tokio::test]
async fn an_answer_to_nothing_is_refused_in_words() {
    let desk = Desk::new();
    let _control = desk.listen();
    let digest = autoshare_core::Digest::of(b"an action");
    let answer = autoshare_core::event::Answer::Yes;
    let ask = Ask::Answer { brain: brain(1), digest, answer, name: "me".into() };
    let Say::Refused { why } = desk.line().await.ask(&ask).await.unwrap() else { panic!("it was taken") };
    assert!(why.contains("no question waiting"), "{why}");
}

#[tokio::test]
async fn a_follower_hears_of_its_brain_alone_and_ends_with_the_process() {
    let desk = Desk::new();
    let control = desk.listen();
    let mut line = desk.line().await;
    line.send(&Ask::Follow { brain: brain(1) }).await.unwrap();
    while desk.grown.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    desk.grown.send((brain(2), Seq(7))).unwrap();
    desk.grown.send((brain(1), Seq(3))).unwrap();
    assert_eq!(line.next().await.unwrap(), Some(Say::Grown { seq: Seq(3) }));
    drop(control);
    assert!(!socket_path(desk.data.path(), std::process::id()).exists(), "the socket goes with it");
}

#[tokio::test]
async fn nonsense_is_refused_or_hung_up_on_and_the_next_is_served() {
    let desk = Desk::new();
    let _control = desk.listen();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("no JSON", b"hello\n".to_vec(), "not a request"),
        ("no UTF-8", b"\xff\xfe\n".to_vec(), "not a request"),
        ("an unknown word", b"{\"do\":\"reboot\"}\n".to_vec(), "not a request"),
        ("an unknown key", b"{\"do\":\"questions\",\"and\":1}\n".to_vec(), "not a request"),
        ("a nested one", [b"[".repeat(60_000), b"\n".to_vec()].concat(), "not a request"),
        ("a line that is too long", [b"a".repeat(70_000), b"\n".to_vec()].concat(), ""),
        ("a line without end", b"{\"do\":".to_vec(), ""),
        ("nothing", Vec::new(), ""),
    ];
    for (name, bytes, says) in cases {
        let said = desk.raw(bytes).await;
        assert!(if says.is_empty() { said.is_empty() } else { said.contains(says) }, "{name}: {said:?}");
        let answer = desk.line().await.ask(&Ask::Questions {}).await.unwrap();
        assert_eq!(answer, Say::Questions { waiting: Vec::new() }, "after {name}");
    }
}

#[tokio::test]
async fn it_is_in_reach_of_its_owner_alone() {
    let desk = Desk::new();
    let _control = desk.listen();
    let path = socket_path(desk.data.path(), std::process::id());
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    // Even a process that was let in to the folder by mistake is told nothing. Being another user takes root.
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        for open in [desk.data.path(), path.parent().unwrap()] {
            std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    }
    let said = tokio::task::spawn_blocking(move || stranger(&path)).await.unwrap();
    if is_root {
        assert!(said.contains("owner alone"), "{said:?}");
    } else {
        assert!(said.contains("\"say\":\"questions\""), "the control: the owner is answered: {said:?}");
    }
}

/// What the socket says to uid 65534; to this user, where nobody else can be had.
fn stranger(path: &Path) -> String {
    // A thread has a user of its own, and the kernel tells the other side that of the connecting thread.
    let path = path.to_owned();
    let becoming = move || {
        if rustix::process::geteuid().is_root() {
            let nobody = rustix::process::Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        }
        let mut stream = UnixStream::connect(path).unwrap();
        // A stranger is told so before it has asked, and the connection may be closed by then.
        let _ = stream.write_all(b"{\"do\":\"questions\"}\n");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    };
    std::thread::spawn(becoming).join().unwrap()
}

#[tokio::test]
async fn what_stands_in_its_place_is_replaced_or_refused() {
    let desk = Desk::new();
    let path = socket_path(desk.data.path(), std::process::id());
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::set_permissions(path.parent().unwrap(), std::fs::Permissions::from_mode(0o700)).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    drop(desk.listen());

    std::fs::set_permissions(path.parent().unwrap(), std::fs::Permissions::from_mode(0o770)).unwrap();
    let refused = Control::listen(desk.data.path(), Arc::default(), desk.grown.clone()).err().unwrap().to_string();
    assert!(refused.contains("chmod 700"), "{refused}");

    let deep = desk.data.path().join("d".repeat(100));
    std::fs::create_dir(&deep).unwrap();
    let refused = Control::listen(&deep, Arc::default(), desk.grown.clone()).err().unwrap().to_string();
    assert!(refused.contains("shorter --data-dir"), "{refused}");
}

#[tokio::test]
async fn many_at_once_are_bounded_and_leave_room_afterwards() {
    let desk = Desk::new();
    let _control = desk.listen();
    let path = socket_path(desk.data.path(), std::process::id());
    let idle: Vec<UnixStream> = (0..64).map(|_| UnixStream::connect(&path).unwrap()).collect();
    // Each is served once it is seen; a question and its answer make sure that it is.
    let idle = tokio::task::spawn_blocking(move || {
        for mut stream in &idle {
            stream.write_all(b"{\"do\":\"questions\"}\n").unwrap();
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).unwrap();
            assert!(line.contains("questions"), "{line:?}");
        }
        idle
    })
    .await
    .unwrap();
    assert_eq!(desk.raw(b"{\"do\":\"questions\"}\n".to_vec()).await, "", "the 65th is hung up on");
    drop(idle);
    loop {
        if desk.raw(b"{\"do\":\"questions\"}\n".to_vec()).await.contains("questions") {
            break;
        }
        tokio::task::yield_now().await;
    }
}
