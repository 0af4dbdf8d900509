//! The host's end of the socket, and a folder to work in.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use autoshare_cell::{CellError, CellRoot, serve};
use autoshare_core::event::RootMode;
use autoshare_core::outcome::{Happened, Outcome, Plan, Refusal};
use autoshare_core::tool::Action;
use autoshare_core::wire::{FromCell, Probe, ToCell, decode, encode};
use autoshare_workspace::Quota;
use serde_json::Value;

pub const SPILL: &str = ".autoshare/results/1.txt";

pub struct Host {
    pub stream: UnixStream,
    cell: Option<JoinHandle<Result<(), CellError>>>,
    pub base: tempfile::TempDir,
    job: u64,
    pub max_text: u64,
}

pub fn probe() -> Probe {
    Probe { name: "inet-socket".to_owned(), held: true, answer: "EPERM".to_owned() }
}

pub fn root(path: &Path, mode: RootMode) -> CellRoot {
    let dir = OwnedFd::from(fs::File::open(path).unwrap());
    CellRoot { path: path.to_str().unwrap().to_owned(), dir, mode }
}

impl Host {
    /// `work` is the workspace, `shelf` an extra root for reading, `secret.txt` lies beside them.
    pub fn new() -> Self {
        Self::with_quota(Quota::default())
    }

    pub fn with_quota(quota: Quota) -> Self {
        let base = tempfile::tempdir().unwrap();
        for folder in ["work", "shelf"] {
            fs::create_dir(base.path().join(folder)).unwrap();
        }
        fs::write(base.path().join("shelf/book.txt"), "a book\n").unwrap();
        fs::write(base.path().join("secret.txt"), "SECRET").unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let roots =
            vec![root(&base.path().join("work"), RootMode::Write), root(&base.path().join("shelf"), RootMode::Read)];
        let cell = Some(std::thread::spawn(move || serve(theirs.into(), roots, quota, vec![probe()])));
        let mut host = Self { stream: ours, cell, base, job: 0, max_text: 10_000 };
        assert_eq!(host.receive(), FromCell::Ready { probes: vec![probe()] });
        host
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.base.path().join("work").join(path)
    }

    pub fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), bytes).unwrap();
    }

    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    pub fn send(&mut self, message: &ToCell) {
        self.stream.write_all(&encode(message).unwrap()).unwrap();
    }

    pub fn receive(&mut self) -> FromCell {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut body).unwrap();
        decode(&body).unwrap()
    }

    pub fn plan(&mut self, action: &Action) -> Plan {
        self.job += 1;
        self.send(&ToCell::Plan { job: self.job, action: action.clone() });
        match self.receive() {
            FromCell::Planned { job, plan } if job == self.job => plan,
            other => panic!("{other:?}"),
        }
    }

    pub fn perform(&mut self, action: &Action, plan: &Plan) -> Outcome {
        self.job += 1;
        let (max_text, spill_to) = (self.max_text, SPILL.to_owned());
        self.send(&ToCell::Perform { job: self.job, action: action.clone(), plan: plan.clone(), max_text, spill_to });
        match self.receive() {
            FromCell::Performed { job, outcome } if job == self.job => outcome,
            other => panic!("{other:?}"),
        }
    }

    pub fn query(&mut self, action: &Action, plan: &Plan) -> (Happened, Outcome) {
        self.job += 1;
        self.send(&ToCell::Query { job: self.job, action: action.clone(), plan: plan.clone() });
        match self.receive() {
            FromCell::Answered { job, happened, outcome } if job == self.job => (happened, outcome),
            other => panic!("{other:?}"),
        }
    }

    /// Plans and performs.
    pub fn act(&mut self, tool: &str, args: Value) -> Outcome {
        let action = action(tool, args);
        let plan = self.plan(&action);
        self.perform(&action, &plan)
    }

    /// Plans what must be refused. Performing it all the same comes to the same, even when the plan is a forged one
    /// that says nothing against it.
    pub fn refused(&mut self, tool: &str, args: Value) -> Refusal {
        let action = action(tool, args);
        let refusal = self.plan(&action).refusal.unwrap_or_else(|| panic!("{action:?} is not refused"));
        let outcome = self.perform(&action, &Plan::default());
        assert_eq!((outcome.ending, &outcome.text), (refusal.ending, &refusal.words), "{action:?}");
        refusal
    }

    /// Hangs up, and says how the cell's loop ended.
    pub fn end(mut self) -> Result<(), CellError> {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
        self.cell.take().unwrap().join().expect("the cell does not panic")
    }
}

pub fn action(tool: &str, args: Value) -> Action {
    let args: BTreeMap<String, Value> = serde_json::from_value(args).unwrap();
    Action { tool: tool.to_owned(), args }
}
