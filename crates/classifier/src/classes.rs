//! What a model's numbers mean.

use std::collections::BTreeMap;

use autoshare_guard::verify::Channel;
use serde::Deserialize;

/// Names, in small letters, of what is no attack.
const HARMLESS: [&str; 8] = ["safe", "benign", "label_0", "legit", "legitimate", "harmless", "negative", "normal"];
/// Names of what is an attack in a text from elsewhere and none in a person's words: to give orders is what these are for.
const ORDERS: [&str; 2] = ["injection", "indirect_injection"];

/// Tokens of a window below which a model is none.
const LEAST: usize = 128;

/// The classes of a model, from its `config.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Classes {
    names: Vec<String>,
    /// Tokens that it takes at most.
    pub(crate) tokens: Option<usize>,
}

#[derive(Deserialize)]
struct Config {
    id2label: BTreeMap<String, String>,
    max_position_embeddings: Option<usize>,
}

impl Classes {
    pub(crate) fn parse(config: &[u8]) -> Result<Self, String> {
        let config: Config = serde_json::from_slice(config).map_err(|error| error.to_string())?;
        let count = config.id2label.len();
        let names: Option<Vec<String>> =
            (0..count).map(|id| config.id2label.get(&id.to_string()).map(|name| name.to_lowercase())).collect();
        let names = names.ok_or("id2label does not number its classes from 0")?;
        let harmless = names.iter().filter(|name| HARMLESS.contains(&name.as_str())).count();
        if harmless != 1 || count < 2 {
            let known = HARMLESS.join(", ");
            return Err(format!("id2label has to name one class of what is harmless ({known}) and one more at least"));
        }
        Ok(Self { names, tokens: config.max_position_embeddings.filter(|tokens| *tokens >= LEAST) })
    }

    /// The probability of an attack (softmax of the model's outputs).
    pub(crate) fn attack(&self, logits: &[f32], channel: Channel) -> Result<f32, String> {
        if logits.len() != self.names.len() || logits.iter().any(|logit| !logit.is_finite()) {
            return Err(format!("it does not give {} numbers", self.names.len()));
        }
        let most = logits.iter().copied().fold(f32::MIN, f32::max);
        let weights: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
        // Where a model tells two kinds of attack apart, one of them is none in a person's own words.
        let tells = self.names.len() > 2;
        let is_attack = |name: &str| {
            let orders = tells && channel == Channel::User && ORDERS.contains(&name);
            !HARMLESS.contains(&name) && !orders
        };
        let attack: f32 =
            self.names.iter().zip(&weights).filter(|(name, _)| is_attack(name)).map(|(_, weight)| weight).sum();
        Ok(attack / weights.iter().sum::<f32>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_the_common_models() {
        let protectai = br#"{"id2label": {"0": "SAFE", "1": "INJECTION"}, "max_position_embeddings": 512}"#;
        let piguard = br#"{"id2label": {"0": "benign", "1": "injection"}}"#;
        let promptguard = br#"{"id2label": {"0": "BENIGN", "1": "INJECTION", "2": "JAILBREAK"}}"#;
        let promptguard_2 = br#"{"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}"#;
        let two = [&protectai[..], piguard, promptguard_2];
        for config in two {
            let classes = Classes::parse(config).unwrap();
            for channel in [Channel::Content, Channel::User] {
                assert!(classes.attack(&[-4.0, 4.0], channel).unwrap() > 0.99);
                assert!(classes.attack(&[4.0, -4.0], channel).unwrap() < 0.01);
            }
        }
        let three = Classes::parse(promptguard).unwrap();
        assert!(three.attack(&[-4.0, 4.0, -4.0], Channel::Content).unwrap() > 0.99);
        assert!(three.attack(&[-4.0, 4.0, -4.0], Channel::User).unwrap() < 0.01, "an order is no attack of a user");
        assert!(three.attack(&[-4.0, -4.0, 4.0], Channel::User).unwrap() > 0.99);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let classes = Classes::parse(br#"{"id2label": {"0": "SAFE", "1": "INJECTION"}}"#).unwrap();
        for logits in [&[][..], &[1.0], &[1.0, 2.0, 3.0], &[f32::NAN, 0.0], &[f32::INFINITY, 0.0]] {
            assert!(classes.attack(logits, Channel::Content).is_err(), "{logits:?}");
        }
        for config in ["{}", "[]", r#"{"id2label": {"0": "a", "1": "b"}}"#, r#"{"id2label": {"1": "SAFE", "2": "X"}}"#]
        {
            assert!(Classes::parse(config.as_bytes()).is_err(), "{config}");
        }
    }
}
