//! Who is sent alerts: a queue and patience for each, so that one that is dead holds up no other, and nobody who serves.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use autoshare_broker::{Delivery, Retries, Webhook, new_message_id};
use hyper::body::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;

use super::alerts::AlertKind;
use super::ended;
use super::outbox::{Outbox, Sent, Tally};

/// How long a receiver may take for one.
const WITHIN: Duration = Duration::from_secs(15);
/// When one that was not taken is sent again.
const RETRIES: Retries = Retries {
    tries: u32::MAX,
    first_wait: Duration::from_secs(5),
    longest_wait: Duration::from_secs(900),
    longest_asked: Duration::from_secs(3_600),
};

/// What a receiver is sent, and for how long. Every bound has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverSettings {
    /// Of what it is told: of everything.
    pub kinds: BTreeSet<AlertKind>,
    /// Alerts that wait at most: 1,000. More are dropped and counted.
    pub queue: usize,
    /// How long it is tried to hand one over: six hours.
    pub retry_for: Duration,
}

impl Default for ReceiverSettings {
    fn default() -> Self {
        let kinds = AlertKind::ALL.into_iter().collect();
        Self { kinds, queue: 1_000, retry_for: Duration::from_secs(6 * 3_600) }
    }
}

/// An alert on its way.
#[derive(Debug)]
struct Message {
    /// The same for every try, so that whoever gets it twice knows.
    id: String,
    body: Bytes,
    since: Instant,
}

/// A receiver.
pub(super) struct Receiver {
    webhook: Webhook,
    settings: ReceiverSettings,
    /// It said that it is gone for good (410).
    is_gone: AtomicBool,
    messages: Outbox<Message>,
}

impl Receiver {
    pub(super) fn new(webhook: Webhook, settings: ReceiverSettings) -> Self {
        let messages = Outbox::new(settings.queue);
        Self { webhook, settings, is_gone: AtomicBool::new(false), messages }
    }

    pub(super) fn wants(&self, kind: AlertKind) -> bool {
        self.settings.kinds.contains(&kind) && !self.is_gone.load(Ordering::Relaxed)
    }

    /// Takes one for it, if fewer than `share` of a hundred places are taken.
    pub(super) fn take(&self, body: &str, share: usize) {
        match new_message_id() {
            Ok(id) => {
                let body = Bytes::copy_from_slice(body.as_bytes());
                self.messages.push(Message { id, body, since: Instant::now() }, share);
            }
            Err(error) => tracing::error!(%error, "an alert is not sent"),
        }
    }

    pub(super) fn sent(&self) -> Sent {
        self.messages.read()
    }

    /// Hands over what comes, until it is to end; then what waits, once.
    pub(super) async fn work(&self, mut ending: watch::Receiver<bool>) {
        let mut failed = 0;
        while !*ending.borrow() {
            let Some(message) = self.messages.take(1).pop() else {
                tokio::select! {
                    () = ended(&mut ending) => {}
                    () = self.messages.news() => {}
                }
                continue;
            };
            let Err(delivery) = self.hand_over(message).await else {
                if failed > 0 {
                    tracing::info!("a receiver of alerts takes them again");
                }
                failed = 0;
                continue;
            };
            let is_gone = self.is_gone.load(Ordering::Relaxed);
            // What is too old would only come between the receiver and what is new.
            self.messages.give_up(|message| is_gone || message.since.elapsed() >= self.settings.retry_for);
            failed += 1;
            if failed == 1 && !is_gone {
                tracing::warn!(why = %delivery, "a receiver of alerts took nothing, and is asked again");
            }
            let asked = delivery.after().map(|asked| asked.min(RETRIES.longest_asked));
            let pause = RETRIES.pause(failed, asked).unwrap_or(RETRIES.longest_wait);
            let _ = timeout(pause, ended(&mut ending)).await;
        }
        while let Some(message) = self.messages.take(1).pop() {
            if self.hand_over(message).await.is_err() {
                // Whoever takes no one takes no other now.
                break;
            }
        }
    }

    /// Sends one. If it was not taken it goes behind the others, and how that ended is told.
    async fn hand_over(&self, message: Message) -> Result<(), Delivery> {
        let delivery = self.webhook.deliver(&message.id, message.body.clone(), WITHIN).await;
        if delivery.is_taken() {
            Tally::add(&self.messages.tally.sent, 1);
            return Ok(());
        }
        self.messages.put_back(message);
        if matches!(delivery, Delivery::Answered { status: 410, .. }) && !self.is_gone.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "a receiver of alerts says that it is gone (410): it is sent nothing until this server starts anew"
            );
        }
        Err(delivery)
    }
}
