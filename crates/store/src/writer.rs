//! The thread that writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use autoshare_core::BrainId;
use autoshare_vault::TenantKey;
use rusqlite::{Connection, TransactionBehavior};

use crate::record::{Draft, Journal};
use crate::{Durability, StoreError};

/// Jobs that wait before callers do.
const QUEUE: usize = 256;
/// Jobs in one transaction at most, so that the first does not wait long for the last.
const BATCH: usize = 64;

/// What is to be written.
#[derive(Debug)]
pub(crate) enum Work {
    /// A new brain.
    Create,
    /// A new lease of a brain; yields its epoch.
    Lease,
    /// Events under the lease of `epoch`; yields the first's number.
    Append {
        /// The lease's.
        epoch: u64,
        /// The events.
        drafts: Vec<Draft>,
    },
}

struct Job {
    brain: BrainId,
    work: Work,
    durability: Durability,
    done: SyncSender<Result<u64, StoreError>>,
}

/// The way to the writer thread.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, path: PathBuf, key: Arc<TenantKey>) -> Result<Self, StoreError> {
        let (jobs, queue) = sync_channel(QUEUE);
        let worker = Worker { connection, path, key, level: None, failed: false };
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || worker.run(&queue))
            .map_err(|_| StoreError::NoWriter)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has `work` done and waits for it. Returns what the work yields.
    pub(crate) fn perform(&self, brain: &BrainId, work: Work, durability: Durability) -> Result<u64, StoreError> {
        self.begin(brain, work, durability)?.end()
    }

    /// Has `work` done, soon. What was begun before its end is waited for comes into one transaction, as far as it fits.
    pub(crate) fn begin(&self, brain: &BrainId, work: Work, durability: Durability) -> Result<Begun, StoreError> {
        let (done, result) = sync_channel(1);
        let job = Job { brain: brain.clone(), work, durability, done };
        self.jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or(StoreError::NoWriter)?;
        Ok(Begun(result))
    }
}

/// Work that is under way.
pub(crate) struct Begun(Receiver<Result<u64, StoreError>>);

impl Begun {
    /// Waits for it. Returns what it yields.
    pub(crate) fn end(self) -> Result<u64, StoreError> {
        self.0.recv().map_err(|_| StoreError::NoWriter)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread ends when nobody can send any more, after what was sent.
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    connection: Connection,
    path: PathBuf,
    key: Arc<TenantKey>,
    /// What `PRAGMA synchronous` was last set for.
    level: Option<Durability>,
    /// An fsync failed. The kernel may have dropped the pages and call the next fsync a success (fsync(2), NOTES of
    /// Linux), so nothing could be promised any more.
    failed: bool,
}

impl Worker {
    fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            batch.extend(queue.try_iter().take(BATCH - 1));
            self.write(batch);
        }
    }

    /// Writes a batch and tells the callers. Where a batch fails as a whole, each job is tried on its own, so that one
    /// which cannot be written (too large for the room that is left) takes no other down.
    fn write(&mut self, batch: Vec<Job>) {
        match self.transact(&batch) {
            Ok(results) => {
                for (job, result) in batch.into_iter().zip(results) {
                    tell(&job, result);
                }
            }
            // Each on its own would wait as long again.
            Err(StoreError::Busy { path, seconds }) => {
                for job in batch {
                    tell(&job, Err(StoreError::Busy { path: path.clone(), seconds }));
                }
            }
            Err(error) => {
                self.failed |= matches!(error, StoreError::Failed { .. });
                match <[Job; 1]>::try_from(batch) {
                    Ok([job]) => tell(&job, Err(error)),
                    Err(batch) => batch.into_iter().for_each(|job| self.write(vec![job])),
                }
            }
        }
    }

    fn transact(&mut self, batch: &[Job]) -> Result<Vec<Result<u64, StoreError>>, StoreError> {
        if self.failed {
            return Err(StoreError::Failed { path: self.path.clone() });
        }
        let sqlite = StoreError::sqlite(&self.path);
        let level = batch.iter().map(|job| job.durability).max().unwrap_or(Durability::Synced);
        if self.level != Some(level) {
            // Has no effect within a transaction.
            let name = match level {
                Durability::Lazy => "NORMAL",
                Durability::Synced => "FULL",
            };
            self.connection.pragma_update(None, "synchronous", name).map_err(&sqlite)?;
            self.level = Some(level);
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sqlite)?;
        let now_ms = now_ms();
        let mut results = Vec::with_capacity(batch.len());
        for job in batch {
            match perform(&transaction, &self.path, &self.key, job, now_ms) {
                Err(error) if !error.is_refusal() => return Err(error),
                result => results.push(result),
            }
        }
        transaction.commit().map_err(&sqlite)?;
        Ok(results)
    }
}

fn perform(connection: &Connection, path: &Path, key: &TenantKey, job: &Job, now_ms: u64) -> Result<u64, StoreError> {
    let journal = Journal { connection, path, key, brain: &job.brain };
    match &job.work {
        Work::Create => journal.create(now_ms).map(|()| 0),
        Work::Lease => journal.next_epoch(),
        Work::Append { epoch, drafts } => journal.append(*epoch, drafts, now_ms).map(|seq| seq.0),
    }
}

fn tell(job: &Job, result: Result<u64, StoreError>) {
    // A caller that is gone needs no answer.
    let _ = job.done.send(result);
}

/// Milliseconds since 1970 (UTC); 0 before.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
