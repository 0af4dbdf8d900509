//! Webhooks as Standard Webhooks 1.0 has them: a POST whose id, time and body are signed with a secret that the receiver has.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use autoshare_vault::{Sensitive, SharedKey, Zeroizing};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::delivery::Delivery;
use crate::egress::base64;
use crate::outbound::Outbound;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret, by the specification.
const SECRET: std::ops::RangeInclusive<usize> = 24..=64;
/// Secrets of one receiver at most.
const MAX_SECRETS: usize = 4;

/// Why a webhook cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The secret is none.
    #[error(
        "the secret is not whsec_ and 24 to 64 bytes in base64: make one with `echo whsec_$(head -c 32 /dev/urandom | base64)`"
    )]
    Secret,
    /// There is none, or there are too many.
    #[error("a receiver has 1 to {MAX_SECRETS} secrets")]
    Secrets,
    /// There is no randomness.
    #[error("the kernel gives no random bytes")]
    Randomness,
}

/// The way to one receiver.
#[derive(Debug)]
pub struct Webhook {
    outbound: Outbound,
    keys: Vec<SharedKey>,
}

impl Webhook {
    /// To an address, signed with each of these secrets, so that one can be replaced while the receiver still knows the other.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub fn new(outbound: Outbound, secrets: &[Sensitive]) -> Result<Self, WebhookError> {
        if secrets.is_empty() || secrets.len() > MAX_SECRETS {
            return Err(WebhookError::Secrets);
        }
        let keys = secrets.iter().map(key).collect::<Result<_, _>>()?;
        Ok(Self { outbound, keys })
    }

    /// Sends `body`, which is JSON, as the message `id`: the same for every try. It is signed with the time of this one.
    pub async fn deliver(&self, id: &str, body: Bytes, within: Duration) -> Delivery {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let Some(headers) = self.headers(id, now, &body) else {
            return Delivery::Failed("its id can be no header".to_owned());
        };
        self.outbound.deliver(headers, body, within).await
    }

    fn headers(&self, id: &str, now: u64, body: &[u8]) -> Option<HeaderMap> {
        let now = now.to_string();
        let sign = |key: &SharedKey| {
            let tag = key.tag(&[id.as_bytes(), b".", now.as_bytes(), b".", body]);
            format!("v1,{}", base64::encode(&tag))
        };
        let signatures: Vec<String> = self.keys.iter().map(sign).collect();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ID, HeaderValue::from_str(id).ok()?);
        headers.insert(TIMESTAMP, HeaderValue::from_str(&now).ok()?);
        headers.insert(SIGNATURE, HeaderValue::from_str(&signatures.join(" ")).ok()?);
        Some(headers)
    }
}

fn key(secret: &Sensitive) -> Result<SharedKey, WebhookError> {
    let text = secret.expose().trim().strip_prefix(PREFIX).ok_or(WebhookError::Secret)?;
    let bytes = Zeroizing::new(base64::decode(text).ok_or(WebhookError::Secret)?);
    SECRET.contains(&bytes.len()).then(|| SharedKey::new(&bytes)).ok_or(WebhookError::Secret)
}

/// An id that no other message has: `msg_` and 128 random bits.
///
/// # Errors
/// [`WebhookError::Randomness`].
pub fn new_message_id() -> Result<String, WebhookError> {
    let mut bits = [0u8; 16];
    getrandom::fill(&mut bits).map_err(|_| WebhookError::Randomness)?;
    Ok(format!("msg_{}", bits.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Timeouts;

    fn webhook(secrets: &[&str]) -> Result<Webhook, WebhookError> {
        let secrets: Vec<_> = secrets.iter().map(|secret| Sensitive::new((*secret).to_owned())).collect();
        let outbound = Outbound::new("http://127.0.0.1:1/hook", None, None, &Timeouts::default()).unwrap();
        Webhook::new(outbound, &secrets)
    }

    /// The vector of the specification's own libraries.
    #[test]
    fn it_is_signed_as_the_specification_says() {
        let known = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let signed = |secrets: &[&str]| {
            let headers = webhook(secrets).unwrap();
            let headers = headers.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
            headers.unwrap()["webhook-signature"].to_str().unwrap().to_owned()
        };
        let wanted = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed(&[known]), wanted);
        let both = signed(&[other, known]);
        assert!(both.ends_with(&format!(" {wanted}")) && both.split(' ').count() == 2, "{both}");
    }

    #[test]
    fn a_secret_is_as_the_specification_says_or_none() {
        let short = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";
        let long = format!("whsec_{}", "A".repeat(88));
        for bad in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8G", "whsec_Mf KQ", short, &long] {
            let error = webhook(&[bad]).unwrap_err();
            assert_eq!(error, WebhookError::Secret, "{bad}");
        }
        assert!(webhook(&["\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"]).is_ok());
        assert_eq!(webhook(&[]).unwrap_err(), WebhookError::Secrets);
        assert_eq!(webhook(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"; 5]).unwrap_err(), WebhookError::Secrets);
    }

    #[test]
    fn ids_differ_and_hold_no_full_stop() {
        let ids: std::collections::BTreeSet<String> = (0..100).map(|_| new_message_id().unwrap()).collect();
        assert!(ids.len() == 100 && ids.iter().all(|id| id.len() == 36 && !id.contains('.')));
    }
}
