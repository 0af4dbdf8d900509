//! The thread that writes.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, TransactionBehavior};

use crate::{Durability, StoreError};

/// Jobs that wait before callers do.
const QUEUE: usize = 256;
/// Jobs in one transaction at most, so that the first does not wait long for the last.
const BATCH: usize = 64;

/// What is written to: it knows what a piece of work means.
pub(crate) trait Book: Send + 'static {
    /// A piece of work.
    type Work: Send + 'static;

    /// Does it, within a transaction, and says what it yields.
    fn perform(&self, connection: &Connection, path: &Path, work: &Self::Work, now_ms: u64) -> Result<u64, StoreError>;

    /// Called at the start and after each batch, when the callers have been told. Says how long to wait at most until it
    /// is called again.
    fn after(&mut self, _disk: &mut Disk) -> Option<Duration> {
        None
    }

    /// Called at the end.
    fn close(&mut self, _disk: &mut Disk) {}
}

struct Job<W> {
    work: W,
    durability: Durability,
    done: SyncSender<Result<u64, StoreError>>,
}

/// The way to the writer thread.
#[derive(Debug)]
pub(crate) struct Writer<W> {
    jobs: Option<SyncSender<Job<W>>>,
    thread: Option<JoinHandle<()>>,
}

impl<W: Send + 'static> Writer<W> {
    pub(crate) fn start(
        name: &str,
        connection: Connection,
        path: PathBuf,
        book: impl Book<Work = W>,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = sync_channel(QUEUE);
        let worker = Worker { disk: Disk { connection, path, level: None, failed: false }, book };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || worker.run(&queue))
            .map_err(|_| StoreError::NoWriter)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has `work` done and waits for it. Returns what the work yields.
    pub(crate) fn perform(&self, work: W, durability: Durability) -> Result<u64, StoreError> {
        self.begin(work, durability)?.end()
    }

    /// Has `work` done, soon. What was begun before its end is waited for comes into one transaction, as far as it fits.
    pub(crate) fn begin(&self, work: W, durability: Durability) -> Result<Begun, StoreError> {
        let (done, result) = sync_channel(1);
        let job = Job { work, durability, done };
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

impl<W> Drop for Writer<W> {
    fn drop(&mut self) {
        // The thread ends when nobody can send any more, after what was sent.
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A file of SQLite and how far its writes have to reach.
#[derive(Debug)]
pub(crate) struct Disk {
    connection: Connection,
    path: PathBuf,
    /// What `PRAGMA synchronous` was last set for.
    level: Option<Durability>,
    /// An fsync failed. The kernel may have dropped the pages and call the next fsync a success (fsync(2), NOTES of
    /// Linux), so nothing could be promised any more.
    failed: bool,
}

impl Disk {
    /// Does `work` in one transaction that outlives what `level` says.
    pub(crate) fn transact<T>(
        &mut self,
        level: Durability,
        work: impl FnOnce(&Connection, &Path) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.failed {
            return Err(StoreError::Failed { path: self.path.clone() });
        }
        let result = self.attempt(level, work);
        self.failed |= matches!(result, Err(StoreError::Failed { .. }));
        result
    }

    fn attempt<T>(
        &mut self,
        level: Durability,
        work: impl FnOnce(&Connection, &Path) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let sqlite = StoreError::sqlite(&self.path);
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
        let result = work(&transaction, &self.path)?;
        transaction.commit().map_err(&sqlite)?;
        Ok(result)
    }

    /// The connection, to read with.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

struct Worker<B> {
    disk: Disk,
    book: B,
}

impl<B: Book> Worker<B> {
    fn run(mut self, queue: &Receiver<Job<B::Work>>) {
        loop {
            let first = match self.book.after(&mut self.disk) {
                Some(wait) => queue.recv_timeout(wait),
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match first {
                Ok(first) => {
                    let mut batch = vec![first];
                    batch.extend(queue.try_iter().take(BATCH - 1));
                    self.write(batch);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.book.close(&mut self.disk);
    }

    /// Writes a batch and tells the callers. Where a batch fails as a whole, each job is tried on its own, so that one
    /// which cannot be written (too large for the room that is left) takes no other down.
    fn write(&mut self, batch: Vec<Job<B::Work>>) {
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
            Err(error) => match <[Job<B::Work>; 1]>::try_from(batch) {
                Ok([job]) => tell(&job, Err(error)),
                Err(batch) => batch.into_iter().for_each(|job| self.write(vec![job])),
            },
        }
    }

    fn transact(&mut self, batch: &[Job<B::Work>]) -> Result<Vec<Result<u64, StoreError>>, StoreError> {
        let level = batch.iter().map(|job| job.durability).max().unwrap_or(Durability::Synced);
        let (book, now_ms) = (&self.book, now_ms());
        self.disk.transact(level, |connection, path| {
            let mut results = Vec::with_capacity(batch.len());
            for job in batch {
                match book.perform(connection, path, &job.work, now_ms) {
                    Err(error) if !error.is_refusal() => return Err(error),
                    result => results.push(result),
                }
            }
            Ok(results)
        })
    }
}

fn tell<W>(job: &Job<W>, result: Result<u64, StoreError>) {
    // A caller that is gone needs no answer.
    let _ = job.done.send(result);
}

/// Milliseconds since 1970 (UTC); 0 before.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
