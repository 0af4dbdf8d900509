//! Figures of a detector on development sets.

use crate::data::{Example, Record, chunks};
use crate::documents::placed;
use crate::random::Random;
use crate::verify::Channel;

/// A set to measure on.
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) channel: Channel,
    /// Texts and whether each is an attack.
    pub(crate) texts: Vec<(String, bool)>,
}

/// What came out on one set. A figure that needs both kinds of texts is not there where one is missing.
pub(crate) struct Figures {
    pub(crate) area: Option<f64>,
    pub(crate) accuracy: f64,
    pub(crate) recall_at_one: Option<f64>,
    pub(crate) harmless_passed: Option<f64>,
    pub(crate) attacks_caught: Option<f64>,
}

impl Set {
    pub(crate) fn new(name: &str, channel: Channel, records: &[Record]) -> Self {
        let texts = records.iter().map(|record| (record.text.clone(), record.attack)).collect();
        Self { name: name.to_owned(), channel, texts }
    }

    pub(crate) fn of(name: &str, channel: Channel, examples: &[Example]) -> Self {
        let fits = examples.iter().filter(|example| example.channel == channel);
        Self {
            name: name.to_owned(),
            channel,
            texts: fits.map(|example| (example.text.clone(), example.attack)).collect(),
        }
    }

    /// Harmless documents as they are, and each again with one of `attacks` in it.
    pub(crate) fn placed(name: &str, documents: &[String], attacks: &[&str], seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let mut texts = Vec::new();
        for document in documents {
            texts.push((document.clone(), false));
            let attack = *random.pick(attacks);
            texts.push((placed(document, attack, random).text, true));
        }
        Self { name: name.to_owned(), channel: Channel::Content, texts }
    }

    pub(crate) fn figures(&self, threshold: f32, score: &mut dyn FnMut(&str) -> f32) -> Figures {
        let mut scores: Vec<(f32, bool)> = self.texts.iter().map(|(text, attack)| (score(text), *attack)).collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        let attacks = scores.iter().filter(|(_, attack)| *attack).count();
        let harmless = scores.len() - attacks;
        let both = attacks > 0 && harmless > 0;
        let caught = scores.iter().filter(|(score, attack)| *attack && *score >= threshold).count();
        let passed = scores.iter().filter(|(score, attack)| !*attack && *score < threshold).count();
        let of = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        Figures {
            area: both.then(|| area(&scores)),
            accuracy: (caught + passed) as f64 / scores.len() as f64,
            recall_at_one: both.then(|| recall_at(&scores, 0.01)),
            harmless_passed: of(passed, harmless),
            attacks_caught: of(caught, attacks),
        }
    }
}

/// The chance that an attack scores above a harmless text; ties count half. `scores` are in falling order.
fn area(scores: &[(f32, bool)]) -> f64 {
    let (mut caught, mut alarms, mut sum) = (0.0, 0.0, 0.0);
    for tie in scores.chunk_by(|a, b| a.0 == b.0) {
        let attacks = tie.iter().filter(|(_, attack)| *attack).count() as f64;
        let harmless = tie.len() as f64 - attacks;
        sum += harmless * (caught + attacks / 2.0);
        caught += attacks;
        alarms += harmless;
    }
    sum / (caught * alarms)
}

/// The part of the attacks that is caught when this part of the harmless texts is.
fn recall_at(scores: &[(f32, bool)], alarms: f64) -> f64 {
    let harmless = scores.iter().filter(|(_, attack)| !*attack).count();
    let allowed = (harmless as f64 * alarms) as usize;
    let (mut seen, mut caught, mut best) = (0, 0, 0);
    for tie in scores.chunk_by(|a, b| a.0 == b.0) {
        seen += tie.iter().filter(|(_, attack)| !*attack).count();
        caught += tie.iter().filter(|(_, attack)| *attack).count();
        if seen <= allowed {
            best = caught;
        }
    }
    best as f64 / (scores.len() - harmless) as f64
}

/// A line of the table.
pub(crate) fn line(set: &Set, ours: &Figures, floor: &Figures) -> String {
    let percent = |figure: Option<f64>| figure.map_or("".to_owned(), |figure| format!("{:.1}", 100.0 * figure));
    let area = |figure: Option<f64>| figure.map_or("".to_owned(), |figure| format!("{figure:.3}"));
    let attacks = set.texts.iter().filter(|(_, attack)| *attack).count();
    format!(
        "| {} | {} / {} | {} ({}) | {} ({}) | {} ({}) | {} ({}) | {} ({}) |",
        set.name,
        set.texts.len() - attacks,
        attacks,
        area(ours.area),
        area(floor.area),
        percent(ours.recall_at_one),
        percent(floor.recall_at_one),
        percent(Some(ours.accuracy)),
        percent(Some(floor.accuracy)),
        percent(ours.harmless_passed),
        percent(floor.harmless_passed),
        percent(ours.attacks_caught),
        percent(floor.attacks_caught),
    )
}

/// The head of the table.
pub(crate) const HEAD: &str = "\
| set | harmless / attacks | area under the curve | recall at 1 % false alarms | right | harmless that pass | attacks caught |
|---|---|---|---|---|---|---|";

/// Documents in pieces such as a tool would give back.
pub(crate) fn pieces(documents: &[(String, String)]) -> Vec<String> {
    documents.iter().flat_map(|(_, text)| chunks(text, 1500)).collect()
}

/// Slope and offset that make probabilities of logits (Platt), each kind of text having the same weight.
pub(crate) fn calibration(logits: &[(f32, bool)]) -> [f32; 2] {
    let attacks = logits.iter().filter(|(_, attack)| *attack).count().max(1) as f64;
    let harmless = logits.len() as f64 - attacks;
    let (mut slope, mut offset) = (1.0_f64, 0.0_f64);
    for _ in 0..3000 {
        let (mut to_slope, mut to_offset) = (0.0, 0.0);
        for (logit, attack) in logits {
            let logit = f64::from(*logit);
            let chance = 1.0 / (1.0 + (-(slope * logit + offset)).exp());
            let error = if *attack { (chance - 1.0) / attacks } else { chance / harmless };
            to_slope += error * logit;
            to_offset += error;
        }
        slope -= 0.05 * to_slope;
        offset -= 0.2 * to_offset;
    }
    [slope as f32, offset as f32]
}
