//! What is asked of a provider beside conversations: one JSON question, one JSON answer.

use serde_json::Value;
use tokio::time::Instant;

use super::Client;
use super::body::Body;
use super::refusal::Failure;
use crate::breaker::Blame;
use crate::error::{ModelError, quoted};
use crate::extras::{Embeddings, ImageWish, Pictures, embeddings_body, embeddings_of, image_body, pictures_of};
use crate::provider::Operation;

impl Client {
    /// Vectors of texts.
    pub(crate) async fn embed(&self, texts: &[&str]) -> Result<Embeddings, ModelError> {
        let body = embeddings_body(self.route.dialect(), self.route.model(), texts);
        let answer = self.ask(Operation::Embeddings, &body).await?;
        embeddings_of(&answer, texts, self.route.price()).map_err(|why| self.senseless(why))
    }

    /// Images of a description.
    pub(crate) async fn image(&self, prompt: &str, wish: &ImageWish) -> Result<Pictures, ModelError> {
        let body = image_body(self.route.model(), prompt, wish);
        let answer = self.ask(Operation::Images, &body).await?;
        pictures_of(&answer, self.route.price()).map_err(|why| self.senseless(why))
    }

    fn senseless(&self, why: String) -> ModelError {
        ModelError::Malformed { who: self.route.origin(), why: quoted(&why) }
    }

    /// Asks again and again if need be, as a conversation is.
    async fn ask(&self, operation: Operation, body: &Value) -> Result<Value, ModelError> {
        let limit = self.timeouts.total;
        let deadline = Instant::now() + limit;
        let what = "the whole call did not end";
        let late = || ModelError::TimedOut { who: self.route.origin(), what, limit };
        tokio::time::timeout_at(deadline, self.ask_until(operation, body, deadline))
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn ask_until(&self, operation: Operation, body: &Value, deadline: Instant) -> Result<Value, ModelError> {
        let (mut tries, mut last) = (0, None);
        loop {
            let permit = match self.route.breaker().ask() {
                Ok(permit) => permit,
                Err(wait) => {
                    return Err(last.unwrap_or_else(|| ModelError::Resting { who: self.route.origin(), wait }));
                }
            };
            tries += 1;
            let failure = match self.ask_once(operation, body, tries).await {
                Ok(answer) => {
                    permit.end(Blame::None);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            permit.end(failure.error.blame());
            last = Some(self.pause(failure, tries, deadline).await?);
        }
    }

    async fn ask_once(&self, operation: Operation, body: &Value, tries: u32) -> Result<Value, Failure> {
        let who = self.route.origin();
        let asked = self.asked(&who, tries);
        let sent = Instant::now();
        let response = self.send(operation, body.to_string(), asked).await?;
        let mut body = Body { response, who: &who, sent, timeouts: self.timeouts, begun: false };
        let text = self.read_text(&mut body, asked, crate::extras::MAX_ANSWER).await?;
        serde_json::from_str(&text).map_err(|error| self.senseless(error.to_string()).into())
    }
}
