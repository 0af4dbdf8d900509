//! A question that the host itself asks a model, beside the conversation: what a goal needs, whether a passage is an attack.

use std::time::{Duration, Instant};

use autoshare_broker::Model;
use autoshare_core::Digest;
use autoshare_core::chat::Request;
use autoshare_core::event::{Event, Exchange};
use autoshare_core::fair::Flow;
use autoshare_core::usage::Usage;
use autoshare_store::Durability;
use autoshare_store::ledger::Settled;

use crate::HostError;
use crate::drive::Driver;
use crate::places::enter_for_call;
use crate::switchboard::Stop;

const STOPPED: &str = "stopped on request";

impl Driver<'_> {
    /// Asks `model`, at the cost of the brain, and journals the exchange under `path`. The inner error says in words why
    /// there is no answer: a budget, a stop, the time, the model.
    pub(crate) async fn ask_aside(
        &mut self,
        model: &Model,
        request: &Request,
        path: &str,
        within: Option<Duration>,
    ) -> Result<Result<String, String>, HostError> {
        let reserved = model.reserve(request);
        if let Err(over) = self.goal.limits.check(self.brain.used(), reserved) {
            return Ok(Err(over.to_string()));
        }
        let (switchboard, id) = (self.host.switchboard(), self.id.clone());
        let aside = tokio::select! {
            aside = self.set_aside(model.name(), reserved) => aside?,
            () = switchboard.stopped(&id, Stop::AfterStep) => {
                switchboard.withdraw(&id);
                return Ok(Err(STOPPED.to_owned()));
            }
        };
        let Some(aside) = aside else { return Ok(Err("its budget is used up".to_owned())) };
        let (place, aside) = tokio::select! {
            turn = enter_for_call(&self.host.model_calls, Flow::Brain(id.clone()), aside) => turn,
            () = switchboard.stopped(&id, Stop::AfterStep) => return Ok(Err(STOPPED.to_owned())),
        };
        let began = Instant::now();
        let mut unheard = |_| {};
        let time = within.unwrap_or(Duration::MAX);
        let reply = tokio::select! {
            reply = model.complete(request, &mut unheard) => reply.map_err(|error| (error.may_have_been_billed(), error.to_string())),
            () = switchboard.stopped(&id, Stop::AfterStep) => Err((true, STOPPED.to_owned())),
            () = tokio::time::sleep(time) => Err((true, format!("no answer within {} s", time.as_secs()))),
        };
        let (usage, answer) = match reply {
            Ok(reply) => {
                aside.settle(reply.usage, Settled::Done);
                (reply.usage, Ok(reply.text))
            }
            Err((true, why)) => {
                aside.settle(reserved, Settled::Failed);
                (reserved, Err(why))
            }
            Err((false, why)) => {
                aside.release();
                (Usage::ZERO, Err(why))
            }
        };
        place.charge(usage.tokens());
        drop(place);
        let said = answer.as_deref().unwrap_or_default().as_bytes();
        let exchange = Exchange {
            path: path.to_owned(),
            model: model.name().to_owned(),
            upstream: String::new(),
            status: if answer.is_ok() { 200 } else { 502 },
            usage,
            tries: 1,
            millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            asked: Digest::of(&serde_json::to_vec(&request.messages).unwrap_or_default()),
            received: Digest::of(said),
            answered: Digest::of(said),
            error: answer.as_ref().err().cloned(),
            suspicious: 0,
        };
        self.record(vec![Event::Exchange(exchange)], Durability::Lazy).await?;
        Ok(answer)
    }
}
