//! Before any judgement is learnt: which words stand where other words stand, from texts without labels. So a verb that no
//! order was ever made with is near the verbs that orders are made with.
//!
//! A skip-gram with negative sampling that tells places apart: the two tokens before and the two after are each guessed
//! by weights of their own, which makes words alike that are used alike and not only what they are about.

use crate::random::Random;
use crate::verify::shape::{BUCKETS, WIDTH};
use crate::verify::tokens::{Token, tokenize};

/// Where the neighbours stand that are guessed.
const PLACES: [isize; 4] = [-2, -1, 1, 2];
/// Wrong guesses beside each right one.
const WRONG: usize = 4;
/// Times that the texts are read.
const ROUNDS: usize = 5;
/// Mean square of what stands for a token when it is done.
const SIZE: f32 = 0.06;

/// A table in which words that stand in the same places have rows alike.
pub(crate) fn pretrain(table: &mut [[f32; WIDTH]], texts: &[&str], seed: u64) {
    let mut random = Random::new(seed);
    let mut guesses = vec![[[0.0_f32; WIDTH]; PLACES.len()]; BUCKETS];
    let mut tokens = Vec::new();
    let mut counts = vec![0_u32; BUCKETS];
    let mut total = 0_u32;
    for text in texts {
        tokenize(text, &mut tokens);
        for token in &tokens {
            counts[name(token)] += 1;
            total += 1;
        }
    }
    // Wrong guesses are drawn from the words read last.
    let mut recent: Vec<usize> = (0..50_000).map(|_| random.below(BUCKETS)).collect();
    let mut done = 0;
    for _ in 0..ROUNDS {
        for text in texts {
            tokenize(text, &mut tokens);
            for at in 0..tokens.len() {
                done += 1;
                let word = name(&tokens[at]);
                // The commonest words are read now and then only.
                let share = counts[word] as f32 / total as f32;
                if random.unit() > (3e-4 / share).sqrt() {
                    continue;
                }
                let slot = random.below(recent.len());
                recent[slot] = word;
                let rate = 0.03 * (1.0 - 0.95 * done as f32 / (ROUNDS as f32 * total as f32));
                let rows = tokens[at].rows();
                let x = embedded(table, &tokens[at]);
                let mut to_x = [0.0_f32; WIDTH];
                for (place, offset) in PLACES.iter().enumerate() {
                    let Some(neighbour) = at.checked_add_signed(*offset).and_then(|at| tokens.get(at)) else {
                        continue;
                    };
                    for guess in 0..=WRONG {
                        let (target, right) =
                            if guess == 0 { (name(neighbour), 1.0) } else { (*random.pick(&recent), 0.0) };
                        let weights = &mut guesses[target][place];
                        let logit: f32 = x.iter().zip(weights.iter()).map(|(x, weight)| x * weight).sum();
                        let slope = rate * (1.0 / (1.0 + (-logit).exp()) - right);
                        for ((to_x, weight), x) in to_x.iter_mut().zip(weights.iter_mut()).zip(&x) {
                            *to_x -= slope * *weight;
                            *weight -= slope * x;
                        }
                    }
                }
                for row in rows {
                    table[*row as usize].iter_mut().zip(&to_x).for_each(|(value, step)| *value += step);
                }
            }
        }
    }
    scale(table, texts);
}

/// What stands for a token.
fn embedded(table: &[[f32; WIDTH]], token: &Token) -> [f32; WIDTH] {
    let mut x = [0.0_f32; WIDTH];
    for row in token.rows() {
        x.iter_mut().zip(&table[*row as usize]).for_each(|(sum, value)| *sum += value);
    }
    x
}

/// The row that is a token's own.
fn name(token: &Token) -> usize {
    token.rows().first().map_or(0, |row| *row as usize)
}

/// Makes the mean square of a token's numbers [`SIZE`].
fn scale(table: &mut [[f32; WIDTH]], texts: &[&str]) {
    let (mut sum, mut count, mut tokens) = (0.0_f64, 0.0_f64, Vec::new());
    for text in texts.iter().step_by(10) {
        tokenize(text, &mut tokens);
        for token in &tokens {
            let x = embedded(table, token);
            sum = x.iter().fold(sum, |sum, x| sum + f64::from(x * x));
            count += WIDTH as f64;
        }
    }
    let factor = (f64::from(SIZE) * count / sum).sqrt() as f32;
    eprintln!("pretrained: scaled by {factor:.3}");
    table.as_flattened_mut().iter_mut().for_each(|value| *value *= factor);
}
