//! Requests that are sent twice and done once: `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).
//!
//! What a request with a key was answered is kept for a day, by tenant, in memory. A brain's id is made of its key as well, so
//! that a brain is begun once even where the host was killed between. An answer with a secret in it is not kept.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use autoshare_core::{Digest, TenantName};
use hyper::StatusCode;

use super::Done;
use super::problem::Problem;

/// The header.
pub(crate) const HEADER: &str = "idempotency-key";
/// Bytes of a key at most.
const MAX_KEY: usize = 255;
/// Keys that are kept at most, of one tenant and of all; the oldest are forgotten first.
const MAX_EACH: usize = 1_000;
const MAX_ALL: usize = 50_000;
/// Bytes of answers that are kept of one tenant.
const MAX_BYTES_EACH: usize = 8 << 20;
/// For how long.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

type Key = (TenantName, String);

/// The requests that were done.
#[derive(Debug, Default)]
pub(crate) struct Once(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_key: HashMap<Key, Known>,
    order: VecDeque<(Instant, Key)>,
    each: HashMap<TenantName, Own>,
}

/// What is kept of one tenant.
#[derive(Debug, Default)]
struct Own {
    keys: usize,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Known {
    asked: Digest,
    /// `None` while it is being done, or where the answer is not kept.
    answer: Option<Done>,
    is_done: bool,
}

/// A request that is done now; what became of it is to be told.
pub(crate) struct Doing {
    once: Arc<Once>,
    key: Option<Key>,
}

fn held(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Once {
    /// Begins a request, or gives what it was answered.
    pub(crate) fn begin(
        self: &Arc<Self>,
        tenant: &TenantName,
        key: &str,
        asked: Digest,
    ) -> Result<Result<Doing, Done>, Problem> {
        if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Problem::bad(format!("Idempotency-Key has 1 to {MAX_KEY} visible characters of ASCII")));
        }
        let key = (tenant.clone(), key.to_owned());
        let mut kept = held(&self.0);
        kept.forget_old();
        match kept.by_key.get(&key) {
            Some(known) if known.asked != asked => {
                let words = "this Idempotency-Key was used for another request: use a new one";
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", words))
            }
            Some(Known { answer: Some(answer), .. }) => Ok(Err(answer.clone())),
            Some(Known { is_done: true, .. }) => {
                Err(Problem::conflict("this request was done already, and its answer is not shown again"))
            }
            Some(_) => Err(Problem::conflict("this request is being done").later(1)),
            None => {
                kept.make_room(tenant);
                kept.by_key.insert(key.clone(), Known { asked, answer: None, is_done: false });
                kept.order.push_back((Instant::now(), key.clone()));
                kept.each.entry(tenant.clone()).or_default().keys += 1;
                Ok(Ok(Doing { once: Arc::clone(self), key: Some(key) }))
            }
        }
    }
}

impl Doing {
    /// What it was answered. A request that failed for a reason of this machine's may be tried again.
    pub(crate) fn end(mut self, answered: &Result<Done, Problem>) {
        let Some(key) = self.key.take() else { return };
        let mut kept = held(&self.once.0);
        match answered {
            Ok(done) => {
                if let Some(known) = kept.by_key.get_mut(&key) {
                    known.is_done = true;
                    known.answer = done.is_kept.then(|| done.clone());
                    kept.grow(&key.0, if done.is_kept { done.body.len() } else { 0 });
                }
            }
            Err(_) => kept.forget(&key),
        }
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        // It came to no end.
        if let Some(key) = self.key.take() {
            held(&self.once.0).forget(&key);
        }
    }
}

impl Kept {
    fn forget(&mut self, key: &Key) {
        if let Some(known) = self.by_key.remove(key)
            && let Some(own) = self.each.get_mut(&key.0)
        {
            own.keys -= 1;
            own.bytes -= known.answer.map_or(0, |done| done.body.len());
            if own.keys == 0 {
                self.each.remove(&key.0);
            }
        }
    }

    fn forget_old(&mut self) {
        while let Some((at, key)) = self.order.front().cloned() {
            if at.elapsed() < KEPT && self.by_key.contains_key(&key) {
                break;
            }
            self.order.pop_front();
            self.forget(&key);
        }
    }

    /// A tenant that has as many as it may have loses its own oldest, never another's.
    fn make_room(&mut self, tenant: &TenantName) {
        let is_full = self.by_key.len() >= MAX_ALL;
        if self.each.get(tenant).is_some_and(|own| own.keys >= MAX_EACH) || is_full {
            let at = self.oldest(tenant).or(is_full.then_some(0));
            if let Some((_, key)) = at.and_then(|at| self.order.remove(at)) {
                self.forget(&key);
            }
        }
    }

    /// An answer is kept, in place of the tenant's oldest ones.
    fn grow(&mut self, tenant: &TenantName, bytes: usize) {
        if let Some(own) = self.each.get_mut(tenant) {
            own.bytes += bytes;
        }
        while self.each.get(tenant).is_some_and(|own| own.bytes > MAX_BYTES_EACH)
            && let Some((_, key)) = self.oldest(tenant).and_then(|at| self.order.remove(at))
        {
            self.forget(&key);
        }
    }

    fn oldest(&self, tenant: &TenantName) -> Option<usize> {
        self.order.iter().position(|(_, key)| key.0 == *tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantName {
        TenantName::parse(name).unwrap()
    }

    #[test]
    fn a_request_is_done_once_by_tenant_and_another_with_its_key_is_refused() {
        let once = Arc::<Once>::default();
        let (acme, bolt, asked) = (tenant("acme"), tenant("bolt"), Digest::of(b"asked"));
        let doing = once.begin(&acme, "k", asked).unwrap().ok().unwrap();
        assert_eq!(once.begin(&acme, "k", asked).err().unwrap().status, StatusCode::CONFLICT, "while it is done");
        let done = Done::json(&1);
        doing.end(&Ok(done.clone()));
        assert_eq!(once.begin(&acme, "k", asked).unwrap().err().unwrap().body, done.body);
        let other = once.begin(&acme, "k", Digest::of(b"other")).err().unwrap();
        assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(once.begin(&bolt, "k", asked).unwrap().is_ok(), "another tenant's key is another key");
    }

    #[test]
    fn what_failed_or_was_given_up_may_be_tried_again_and_secrets_are_not_kept() {
        let once = Arc::<Once>::default();
        let (acme, asked) = (tenant("acme"), Digest::of(b"asked"));
        once.begin(&acme, "k", asked).unwrap().ok().unwrap().end(&Err(Problem::nothing()));
        drop(once.begin(&acme, "k", asked).unwrap().ok().unwrap());
        once.begin(&acme, "k", asked).unwrap().ok().unwrap().end(&Ok(Done::json(&1).secret()));
        assert!(once.begin(&acme, "k", asked).err().unwrap().detail.contains("not shown again"));
    }

    #[test]
    fn e7_one_tenants_keys_displace_its_own_alone() {
        let once = Arc::<Once>::default();
        let (acme, bolt, asked) = (tenant("acme"), tenant("bolt"), Digest::of(b"asked"));
        once.begin(&bolt, "mine", asked).unwrap().ok().unwrap().end(&Ok(Done::json(&1)));
        for n in 0..MAX_EACH + 10 {
            once.begin(&acme, &n.to_string(), asked).unwrap().ok().unwrap().end(&Ok(Done::json(&n)));
        }
        assert_eq!(held(&once.0).by_key.len(), MAX_EACH + 1);
        assert!(once.begin(&bolt, "mine", asked).unwrap().is_err(), "it is known still");
        let large = "x".repeat(MAX_BYTES_EACH / 3);
        for n in 0..9 {
            once.begin(&acme, &format!("large-{n}"), asked).unwrap().ok().unwrap().end(&Ok(Done::json(&large)));
        }
        assert!(held(&once.0).each[&acme].bytes <= MAX_BYTES_EACH);
        assert!(
            once.begin(&acme, "large-8", asked).unwrap().is_err()
                && once.begin(&acme, "large-0", asked).unwrap().is_ok()
        );
        assert!(once.begin(&bolt, "mine", asked).unwrap().is_err(), "it is known still");
    }
}
