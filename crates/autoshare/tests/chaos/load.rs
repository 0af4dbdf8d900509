//! What a tenant's person does: begins brains, answers them, stops and wakes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::town::{Tenant, Town};

/// Brains of a tenant at most that have not ended.
const AT_ONCE: usize = 3;
/// How long all may take to end once nothing more is done to them.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a tenant's person has done, and was told.
#[derive(Default)]
pub struct Life {
    /// The brain that each key began.
    pub begun: BTreeMap<String, String>,
    /// Brains that have ended, and how.
    pub ended: BTreeMap<String, Value>,
    pub asked: u64,
    /// Answers that say that the server could not, by status.
    pub refused: BTreeMap<u16, u64>,
    pub unreached: u64,
    pub answered: u64,
}

struct Person {
    town: Arc<Town>,
    number: usize,
    client: Client,
    life: Life,
}

/// Lives until it is told to stop, and then until all its brains have ended.
pub async fn live(town: Arc<Town>, number: usize, mut chance: Chance, stop: Arc<AtomicBool>) -> Life {
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let mut person = Person { town, number, client, life: Life::default() };
    let mut keys = 0;
    let mut open = BTreeSet::new();
    let mut owed: Option<String> = None;
    let mut stopped_at = None;
    loop {
        let is_over = stop.load(Ordering::SeqCst);
        if is_over {
            let since = *stopped_at.get_or_insert_with(Instant::now);
            if open.is_empty() && owed.is_none() {
                return person.life;
            }
            assert!(since.elapsed() < PATIENCE, "{}", person.stuck(&open).await);
        }
        // Whose money is used up begins nothing more: it would end at once.
        let is_spent = person.life.ended.values().any(|end| end["state"] == "budget_used_up");
        if owed.is_none() && open.len() < AT_ONCE && !is_over && !is_spent {
            keys += 1;
            owed = Some(format!("{}-{keys}", person.tenant().name));
        }
        if let Some(key) = owed.take() {
            // Whether or not it was heard of: the same key is sent until it is answered, and then sometimes once more.
            match person.begin(&key, keys).await {
                Some(brain) => {
                    if chance.one_in(3) {
                        let _ = person.begin(&key, keys).await;
                    }
                    open.insert(brain);
                }
                None => owed = Some(key),
            }
        }
        for brain in open.clone() {
            if person.look_after(&brain, is_over, &mut chance).await {
                open.remove(&brain);
            }
        }
        person.answer().await;
        tokio::time::sleep(Duration::from_millis(100 + chance.below(300))).await;
    }
}

impl Person {
    fn tenant(&self) -> &Tenant {
        &self.town.tenants[self.number]
    }

    async fn ask(&mut self, method: Method, path: &str, body: Option<Value>, key: Option<&str>) -> Option<Value> {
        self.life.asked += 1;
        let mut asked = self.client.request(method, format!("{}/api/v1/{path}", self.town.base_url()));
        asked = asked.bearer_auth(self.tenant().token());
        asked = key.into_iter().fold(asked, |asked, key| asked.header("idempotency-key", key));
        asked = body.into_iter().fold(asked, |asked, body| asked.json(&body));
        let was_full = self.town.is_full.load(Ordering::SeqCst);
        let Ok(answer) = asked.send().await else {
            self.life.unreached += 1;
            return None;
        };
        let status = answer.status();
        let Ok(body) = answer.text().await else {
            self.life.unreached += 1;
            return None;
        };
        if status.is_success() {
            return Some(serde_json::from_str(&body).unwrap_or_default());
        }
        *self.life.refused.entry(status.as_u16()).or_default() += 1;
        // Suspended for a moment, its token renewed, at another state than was thought, too much at once.
        let is_usual = [401, 409, 429].contains(&status.as_u16());
        let is_full = was_full || self.town.is_full.load(Ordering::SeqCst);
        let is_for_want_of_room = is_full && status == 503 && body.contains("disk is full");
        assert!(is_usual || is_for_want_of_room, "{path}: {status}: {body}\n{}", self.town.logged());
        None
    }

    async fn begin(&mut self, key: &str, number: u64) -> Option<String> {
        let goal = json!({"goal": self.tenant().goal(number), "ask_always": self.tenant().is_asked});
        let said = self.ask(Method::POST, "brains", Some(goal), Some(key)).await?;
        let brain = said["id"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned();
        let before = self.life.begun.insert(key.to_owned(), brain.clone());
        assert!(before.is_none_or(|before| before == brain), "{key} began two brains");
        Some(brain)
    }

    /// Whether a brain has ended. Stops it now and then, and wakes it where it rests.
    async fn look_after(&mut self, brain: &str, is_over: bool, chance: &mut Chance) -> bool {
        let Some(now) = self.ask(Method::GET, &format!("brains/{brain}"), None, None).await else { return false };
        match now["state"].as_str().unwrap_or_else(|| panic!("{now}")) {
            "done" | "budget_used_up" | "no_progress" | "malformed_replies" => {
                self.life.ended.insert(brain.to_owned(), now);
                true
            }
            "resting" | "interrupted" | "stopped" | "faulted" => {
                self.ask(Method::POST, &format!("brains/{brain}/wake"), None, None).await;
                false
            }
            _ if !is_over && chance.one_in(20) => {
                let body = json!({"now": chance.one_in(2)});
                self.ask(Method::POST, &format!("brains/{brain}/stop"), Some(body), None).await;
                false
            }
            _ => false,
        }
    }

    async fn answer(&mut self) {
        let Some(said) = self.ask(Method::GET, "questions", None, None).await else { return };
        for question in said["items"].as_array().into_iter().flatten() {
            let [brain, digest] = ["brain", "digest"].map(|key| question[key].as_str().unwrap().to_owned());
            let path = format!("brains/{brain}/questions/{digest}");
            if self.ask(Method::POST, &path, Some(json!({"answer": "yes"})), None).await.is_some() {
                self.life.answered += 1;
            }
        }
    }

    async fn stuck(&mut self, open: &BTreeSet<String>) -> String {
        let mut all = format!("{} has brains that do not end:", self.tenant().name);
        for brain in open {
            let now = self.ask(Method::GET, &format!("brains/{brain}"), None, None).await;
            let events = self.ask(Method::GET, &format!("brains/{brain}/events?limit=100"), None, None).await;
            all += &format!("\n{now:?}\n{events:?}");
        }
        all + "\n" + &self.town.logged()
    }
}
