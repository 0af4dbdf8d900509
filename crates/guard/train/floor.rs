//! What any detector must beat: a bag of words with logistic regression, learnt from the same examples.

use crate::data::Example;
use crate::verify::Channel;

const BUCKETS: usize = 1 << 18;

/// One weight a word and channel.
pub(crate) struct Floor {
    weights: Vec<[f32; 2]>,
    bias: [f32; 2],
}

impl Floor {
    pub(crate) fn train(examples: &[Example]) -> Self {
        let mut floor = Self { weights: vec![[0.0; 2]; BUCKETS], bias: [0.0; 2] };
        let mut squares = vec![[1e-4_f32; 2]; BUCKETS];
        for _ in 0..3 {
            for example in examples {
                let (head, words) = (example.channel as usize, words(&example.text));
                let slope = floor.chance(&words, head) - if example.attack { 1.0 } else { 0.0 };
                let scale = 1.0 / (words.len().max(1) as f32).sqrt();
                for word in words {
                    squares[word][head] += (slope * scale).powi(2);
                    floor.weights[word][head] -= 0.3 * slope * scale / squares[word][head].sqrt();
                }
                floor.bias[head] -= 0.02 * slope;
            }
        }
        floor
    }

    pub(crate) fn score(&self, text: &str, channel: Channel) -> f32 {
        self.chance(&words(text), channel as usize)
    }

    fn chance(&self, words: &[usize], head: usize) -> f32 {
        let scale = 1.0 / (words.len().max(1) as f32).sqrt();
        let sum: f32 = words.iter().map(|word| self.weights[*word][head] * scale).sum();
        1.0 / (1.0 + (-(sum + self.bias[head])).exp())
    }
}

/// The words of a text, each once.
fn words(text: &str) -> Vec<usize> {
    let hash = |word: &str| {
        let lower = word.to_lowercase();
        let hash = lower
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 46) as usize
    };
    let mut list: Vec<usize> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(hash).collect();
    list.sort_unstable();
    list.dedup();
    list
}
