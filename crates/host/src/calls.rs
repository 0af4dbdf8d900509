//! Records of calls through the gateway: a journal for each token, so that they are listed, shown and summed up like all
//! that is used.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use autoshare_access::Access;
use autoshare_core::event::{AskMode, Event, Exchange, FinishReason, Goal, Thought};
use autoshare_core::usage::{Limits, Usage};
use autoshare_core::{BrainId, TenantName, TokenId, TurnNo};
use autoshare_store::{Durability, Lease, Store};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::HostError;

/// What stands where a brain's model does.
pub const GATEWAY: &str = "gateway";
/// Calls in one journal; the next ones go into another, as a journal is read as a whole.
const MAX_CALLS: usize = 10_000;
/// Calls of one token that are written together at most.
const BATCH: usize = 256;
/// Tokens whose calls are written together at most.
const MAX_TOGETHER: usize = 256;
/// All tokens' calls are written together, at the same moments: this far apart. One transaction for each token would cost
/// more than everything else that a call takes.
const GATHER: Duration = Duration::from_millis(50);
/// How long what waits may take to be written at the end.
const LAST: Duration = Duration::from_secs(30);
/// Calls that may wait to be written. With more, the disk does not keep up, and none is taken.
const MAX_WAITING: usize = 20_000;

/// The recorder of one tenant's gateway.
pub struct Calls {
    access: Access,
    store: Arc<Store>,
    tokens: Mutex<BTreeMap<TokenId, Recorder>>,
    /// Where batches go to be written; begun with the first token.
    clerk: OnceLock<UnboundedSender<Batch>>,
    state: Arc<State>,
    begun: Instant,
    most: usize,
}

/// Calls of one token on their way into its journal.
struct Batch {
    pages: Pages,
    calls: Vec<Event>,
    done: oneshot::Sender<(Pages, Result<(), Unwritten>)>,
}

struct Recorder {
    sender: UnboundedSender<Exchange>,
    writing: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    waiting: AtomicUsize,
    /// Why the last write failed; nothing since has succeeded.
    broken: Mutex<Option<String>>,
}

impl Calls {
    /// A recorder into the tenant's store.
    #[must_use]
    pub fn new(access: Access, store: Arc<Store>) -> Self {
        Self {
            access,
            store,
            tokens: Mutex::default(),
            clerk: OnceLock::new(),
            state: Arc::default(),
            begun: Instant::now(),
            most: MAX_CALLS,
        }
    }

    /// Whose calls are recorded.
    #[must_use]
    pub const fn tenant(&self) -> &TenantName {
        self.access.tenant()
    }

    /// Where calls of a token are told. Needs a runtime of tokio's around it.
    ///
    /// # Errors
    /// Why calls cannot be recorded now: nothing may pass unrecorded.
    pub fn of(&self, token: &TokenId, name: &str) -> Result<UnboundedSender<Exchange>, String> {
        if let Some(why) = self.state.broken.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            return Err(format!("calls cannot be recorded: {why}"));
        }
        if self.state.waiting.load(Ordering::Relaxed) > MAX_WAITING {
            return Err(format!("{MAX_WAITING} calls wait to be recorded: the disk does not keep up"));
        }
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let recorder = tokens.entry(token.clone()).or_insert_with(|| {
            let (sender, receiver) = unbounded_channel();
            let pages = Pages {
                access: self.access.clone(),
                store: Arc::clone(&self.store),
                goal: format!("calls of the token {name} ({token})"),
                open: None,
                begun: self.begun,
                most: self.most,
            };
            let clerk = self.clerk.get_or_init(|| {
                let (clerk, batches) = unbounded_channel();
                tokio::spawn(keep(batches));
                clerk
            });
            let writing = tokio::spawn(write(pages, receiver, clerk.clone(), Arc::clone(&self.state)));
            Recorder { sender, writing }
        });
        Ok(recorder.sender.clone())
    }

    /// Why calls cannot be recorded, if they cannot.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        self.state.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what waits, and closes the journals. Callers that are still served are not waited for.
    pub async fn finish(self) {
        let tokens = std::mem::take(&mut *self.tokens.lock().unwrap_or_else(PoisonError::into_inner));
        for (_, Recorder { sender, writing }) in tokens {
            drop(sender);
            // Whoever still holds a sender would hold this up.
            let _ = tokio::time::timeout(LAST, writing).await;
        }
    }
}

/// Writes what comes from all tokens, as much at once as is there.
async fn keep(mut batches: UnboundedReceiver<Batch>) {
    let mut all = Vec::new();
    while batches.recv_many(&mut all, MAX_TOGETHER).await > 0 {
        let together = std::mem::take(&mut all);
        if tokio::task::spawn_blocking(move || append(together)).await.is_err() {
            return;
        }
    }
}

fn append(batches: Vec<Batch>) {
    let Some(first) = batches.first() else { return };
    let (access, store) = (first.pages.access.clone(), Arc::clone(&first.pages.store));
    let mut batches: Vec<(Batch, Result<(), HostError>)> = batches
        .into_iter()
        .map(|mut batch| {
            let opened = batch.pages.make_room();
            (batch, opened)
        })
        .collect();
    let ready = batches.iter_mut().filter(|(_, result)| result.is_ok());
    let (leased, results): (Vec<_>, Vec<_>) = ready
        .filter_map(|(batch, result)| Some(((&batch.pages.open.as_ref()?.lease, batch.calls.as_slice()), result)))
        .unzip();
    let written = store.append_each(&access, &leased, Durability::Lazy);
    for (result, written) in results.into_iter().zip(written) {
        *result = written.map_err(HostError::from);
    }
    for (Batch { mut pages, calls, done }, result) in batches {
        if let (Ok(()), Some(page)) = (&result, &mut pages.open) {
            page.calls += calls.len();
        }
        let told = result.map_err(|error| (calls, error));
        // Whoever waited is gone: the process ends.
        let _ = done.send((pages, told));
    }
}

async fn write(
    mut pages: Pages,
    mut receiver: UnboundedReceiver<Exchange>,
    clerk: UnboundedSender<Batch>,
    state: Arc<State>,
) {
    let mut calls = Vec::new();
    loop {
        let count = receiver.recv_many(&mut calls, BATCH).await;
        if count == 0 {
            break;
        }
        tokio::time::sleep_until(pages.next_moment()).await;
        while calls.len() < BATCH
            && let Ok(more) = receiver.try_recv()
        {
            calls.push(more);
        }
        state.waiting.store(receiver.len(), Ordering::Relaxed);
        let events: Vec<Event> = calls.drain(..).map(Event::Exchange).collect();
        let mut left = Some((pages, events));
        // What cannot be written is tried until it can, so that a full disk that is emptied has lost nothing.
        loop {
            let Some((at, events)) = left.take() else { return };
            let (done, result) = oneshot::channel();
            if clerk.send(Batch { pages: at, calls: events, done }).is_err() {
                return;
            }
            let Ok((at, result)) = result.await else { return };
            let told = match &result {
                Ok(()) => None,
                Err((_, error)) => Some(error.to_string()),
            };
            *state.broken.lock().unwrap_or_else(PoisonError::into_inner) = told;
            match result {
                Ok(()) => {
                    pages = at;
                    break;
                }
                Err((events, _)) => {
                    if receiver.is_closed() && receiver.is_empty() {
                        return;
                    }
                    left = Some((at, events));
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
    let _ = tokio::task::spawn_blocking(move || pages.close()).await;
}

/// The journals of one token, one after another.
struct Pages {
    access: Access,
    store: Arc<Store>,
    goal: String,
    open: Option<Page>,
    /// From when on the moments of writing are counted.
    begun: Instant,
    /// Calls in one journal.
    most: usize,
}

struct Page {
    lease: Lease,
    calls: usize,
}

type Unwritten = (Vec<Event>, HostError);

impl Pages {
    /// The next of the moments at which all tokens' calls are written.
    fn next_moment(&self) -> Instant {
        let gone = self.begun.elapsed().as_millis() / GATHER.as_millis();
        self.begun + GATHER * u32::try_from(gone + 1).unwrap_or(u32::MAX)
    }

    /// Opens a journal with room for more.
    fn make_room(&mut self) -> Result<(), HostError> {
        if self.open.as_ref().is_some_and(|page| page.calls >= self.most) {
            self.end()?;
        }
        if self.open.is_some() {
            return Ok(());
        }
        let mut bits = [0u8; 5];
        getrandom::fill(&mut bits).map_err(|e| HostError::Randomness(e.to_string()))?;
        let brain = BrainId::from_random(bits);
        self.store.create(&self.access, &brain)?;
        let lease = self.store.lease(&self.access, &brain)?;
        let goal = Event::Goal(Goal {
            text: self.goal.clone(),
            model: GATEWAY.to_owned(),
            tools: Vec::new(),
            limits: Limits::default(),
            roots: Vec::new(),
            ask: AskMode::Default,
            trusted: Vec::new(),
            attached: Vec::new(),
            token: None,
        });
        self.store.append(&self.access, &lease, &[goal], Durability::Lazy)?;
        self.open = Some(Page { lease, calls: 0 });
        Ok(())
    }

    /// Ends the journal that is open, as one that did what it was for.
    fn end(&mut self) -> Result<(), HostError> {
        let Some(page) = self.open.take() else { return Ok(()) };
        let text = format!("{} calls", page.calls);
        let thought = Thought {
            turn: TurnNo(1),
            text: text.clone(),
            calls: Vec::new(),
            usage: Usage::default(),
            truncated: false,
        };
        let events = [
            Event::Thought(thought),
            Event::Answer { text: text.clone() },
            Event::Finish { reason: FinishReason::Done, text },
        ];
        self.store.append(&self.access, &page.lease, &events, Durability::Synced)?;
        Ok(())
    }

    fn close(mut self) {
        // A journal without its end is one whose host was killed: nothing of the calls is missing.
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use autoshare_brain::{Brain, Status};
    use autoshare_core::{Digest, Seq};
    use autoshare_vault::Vault;

    use super::*;

    fn exchange(tokens: u64) -> Exchange {
        Exchange {
            path: "/gateway/openai/v1/chat/completions".to_owned(),
            model: "m".to_owned(),
            upstream: "https://u".to_owned(),
            status: 200,
            usage: Usage { input_tokens: tokens, ..Usage::ZERO },
            tries: 1,
            millis: 1,
            asked: Digest::of(b"a"),
            received: Digest::of(b"b"),
            answered: Digest::of(b"b"),
            error: None,
            suspicious: 0,
        }
    }

    #[tokio::test]
    async fn every_call_stands_in_the_journal_of_its_token() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path()).unwrap();
        let access = Access::local(dir.path()).unwrap();
        let store = Arc::new(Store::open(dir.path(), &access, &vault).unwrap());
        let mut calls = Calls::new(access.clone(), Arc::clone(&store));
        calls.most = 1_000;
        let tokens = [TokenId::from_random([1; 5]), TokenId::from_random([2; 5])];
        for i in 0..2_500u64 {
            let token = &tokens[usize::from(i % 5 == 0)];
            calls.of(token, "ci").unwrap().send(exchange(1)).unwrap();
            if i % 100 == 0 {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        }
        calls.finish().await;
        let mut used = BTreeMap::<String, u64>::new();
        let rows = store.brains(&access).unwrap();
        assert_eq!(rows.len(), 3, "2,000 calls of one are two journals, 500 of the other one");
        for row in rows {
            let events: Vec<Event> =
                store.read(&access, &row.id, Seq(1)).unwrap().into_iter().map(|record| record.event).collect();
            let brain = Brain::fold(&events);
            assert_eq!((brain.ignored(), brain.status()), (0, Status::Finished(FinishReason::Done)));
            *used.entry(brain.goal().unwrap().text.clone()).or_default() += brain.used().input_tokens;
        }
        assert_eq!(used.into_values().collect::<Vec<_>>(), [2_000, 500]);
    }
}
