//! A model that can be called: an endpoint's, or a stand-in.

use std::fmt;

use autoshare_core::chat::{Reply, Request};
use autoshare_core::usage::Usage;
use tokio::time::Instant;

use crate::client::Client;
use crate::error::{BrokerError, ModelError};
use crate::estimate;
use crate::prices::{Facts, Price};
use crate::standin::gullible;
use crate::standin::replay::Replay;

/// Bytes of a model's name at most.
const MAX_NAME: usize = 256;

/// A piece of a reply, as it comes. It is the model's: whoever shows it encodes it for where it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// More of its words.
    Text(String),
    /// It began to call a tool.
    CallStarted {
        /// The tool it names.
        name: String,
    },
}

/// What the text after `--model` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelRef {
    /// A provider's model: `NAME`, `PROVIDER/NAME`, or either with `@URL` for an endpoint other than the settings'.
    Named {
        /// The endpoint's base URL; `None` is the settings'.
        base_url: Option<String>,
        /// The name before it, the provider's included.
        model: String,
    },
    /// `replay:FILE`: the stand-in that plays a recorded conversation.
    Replay {
        /// The record.
        file: String,
    },
    /// `gullible`: the stand-in that obeys every instruction it reads.
    Gullible,
}

impl ModelRef {
    /// Reads the text after `--model`.
    ///
    /// # Errors
    /// [`BrokerError::ModelName`] for an empty, overlong or blank-ridden name.
    pub fn parse(text: &str) -> Result<Self, BrokerError> {
        let wrong = |why| Err(BrokerError::ModelName { given: text.chars().take(80).collect(), why });
        if text == "gullible" {
            return Ok(Self::Gullible);
        }
        if let Some(file) = text.strip_prefix("replay:") {
            return if file.is_empty() {
                wrong("name a file: replay:FILE")
            } else {
                Ok(Self::Replay { file: file.to_owned() })
            };
        }
        let at = ["@https://", "@http://"].iter().filter_map(|mark| text.find(mark)).min();
        let (model, base_url) = match at.and_then(|at| text.split_at_checked(at)) {
            Some((model, url)) => (model, url.strip_prefix('@').map(str::to_owned)),
            None => (text, None),
        };
        if model.is_empty() {
            return wrong("name one, such as gpt-5-mini, or gullible, which needs no key");
        }
        if model.len() > MAX_NAME {
            return wrong("a name has 256 bytes at most");
        }
        if model.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return wrong("a name has no blanks or control characters");
        }
        Ok(Self::Named { base_url, model: model.to_owned() })
    }
}

/// Where the figures of a [`Completion`] come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metered {
    /// The provider reported them.
    Reported,
    /// The provider reported none: they are an estimate, high rather than low.
    Estimated,
}

/// A reply, and what is known of how it was had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The reply.
    pub reply: Reply,
    /// Where `reply.usage` comes from.
    pub metered: Metered,
    /// Requests that it took, of the model that replied.
    pub tries: u32,
    /// The model that replied: the one that was asked for, or one that is called instead when it fails.
    pub model: String,
}

/// A model that can be called.
pub struct Model {
    pub(crate) name: String,
    pub(crate) facts: Facts,
    pub(crate) price: Price,
    pub(crate) engine: Engine,
}

pub(crate) enum Engine {
    /// A provider's, and what is called instead when it fails, in order.
    Called(Vec<Client>),
    Replay(Replay),
    Gullible,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = match &self.engine {
            Engine::Called(chain) => chain.first().map(|client| client.route.origin()).unwrap_or_default(),
            Engine::Replay(_) | Engine::Gullible => "this program".to_owned(),
        };
        f.debug_struct("Model").field("name", &self.name).field("at", &at).finish_non_exhaustive()
    }
}

impl Model {
    /// Its name, as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The provider that is asked first; none where it only stands in for a language model.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        match &self.engine {
            Engine::Called(chain) => chain.first().map(|client| client.route.provider()),
            Engine::Replay(_) | Engine::Gullible => None,
        }
    }

    /// Tokens of context: the conversation and the reply together.
    #[must_use]
    pub const fn window(&self) -> u64 {
        self.facts.window
    }

    /// Tokens of one reply at most.
    #[must_use]
    pub const fn max_output(&self) -> u64 {
        self.facts.max_output
    }

    /// What its tokens cost, and how that is known.
    #[must_use]
    pub const fn price(&self) -> Price {
        self.price
    }

    /// Whether it only stands in for a language model.
    #[must_use]
    pub const fn is_stand_in(&self) -> bool {
        matches!(self.engine, Engine::Replay(_) | Engine::Gullible)
    }

    /// What a call may take, to be checked against a budget before it is made: an estimate that leans to the high side
    /// (ASCII bytes by three, other bytes whole, and the frames of messages and tools), and `request.max_output` in
    /// full, at the price of the dearest model that may come to answer.
    #[must_use]
    pub fn reserve(&self, request: &Request) -> Usage {
        let sent = estimate::request_tokens(request);
        let mut most = self.price.usage(sent, request.max_output);
        if let Engine::Called(chain) = &self.engine {
            for client in chain {
                most.cost = most.cost.max(client.route.price().usage(sent, request.max_output).cost);
            }
        }
        most
    }

    /// Calls the model. `deltas` hears the reply as it comes; what it heard of a call that fails is void.
    ///
    /// Dropping the future ends the call; the provider may charge for it all the same.
    ///
    /// # Errors
    /// Any [`ModelError`]. A call is repeated by itself (see [`crate::Retries`]) until `deltas` has heard of a reply.
    pub async fn complete(
        &self,
        request: &Request,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<Reply, ModelError> {
        self.complete_metered(request, deltas).await.map(|completion| completion.reply)
    }

    /// As [`Model::complete`], and says where the usage comes from.
    ///
    /// # Errors
    /// Any [`ModelError`].
    pub async fn complete_metered(
        &self,
        request: &Request,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<Completion, ModelError> {
        let reply = match &self.engine {
            Engine::Called(chain) => return call(chain, request, deltas).await,
            Engine::Replay(replay) => replay.reply(request)?,
            Engine::Gullible => gullible::reply(request)?,
        };
        if !reply.text.is_empty() {
            deltas(Delta::Text(reply.text.clone()));
        }
        for call in &reply.calls {
            deltas(Delta::CallStarted { name: call.name.clone() });
        }
        Ok(Completion { reply, metered: Metered::Estimated, tries: 1, model: self.name.clone() })
    }
}

/// Calls one after the other until one replies, all within one deadline. Once a part of a reply was heard, no other is
/// called: it would be the middle of one reply after the beginning of another.
async fn call(
    chain: &[Client],
    request: &Request,
    deltas: &mut (dyn FnMut(Delta) + Send),
) -> Result<Completion, ModelError> {
    let mut first_error = None;
    let total = chain.first().map(|client| client.timeouts.total).unwrap_or_default();
    let deadline = Instant::now() + total;
    for client in chain {
        let mut shown = false;
        let mut relay = |delta| {
            shown = true;
            deltas(delta);
        };
        match client.complete(request, deadline, &mut relay).await {
            Ok(completion) => return Ok(completion),
            Err(error) if shown || !error.may_fall_back() || Instant::now() >= deadline => {
                return Err(first_error.unwrap_or(error));
            }
            // What the person asked for is what failed, whatever came of the others.
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| ModelError::Malformed { who: String::new(), why: "no model".to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_after_model() {
        let open = |model: &str, base_url: Option<&str>| ModelRef::Named {
            model: model.into(),
            base_url: base_url.map(str::to_owned),
        };
        let cases = [
            ("gullible", Some(ModelRef::Gullible)),
            ("replay:a b.json", Some(ModelRef::Replay { file: "a b.json".into() })),
            ("gpt-5", Some(open("gpt-5", None))),
            ("qwen3:8b", Some(open("qwen3:8b", None))),
            ("maker/model@001", Some(open("maker/model@001", None))),
            ("m@http://127.0.0.1:1/v1", Some(open("m", Some("http://127.0.0.1:1/v1")))),
            ("m@v@https://h/v1", Some(open("m@v", Some("https://h/v1")))),
            ("", None),
            ("replay:", None),
            ("@https://h/v1", None),
            ("a b", None),
            ("a\n", None),
        ];
        for (text, expected) in cases {
            assert_eq!(ModelRef::parse(text).ok(), expected, "{text:?}");
        }
        assert!(ModelRef::parse(&"x".repeat(257)).is_err());
    }
}
