//! Training: the network of `src/verify/net.rs` in floating point, with its gradient.

use std::time::Instant;

use crate::data::{Example, Material};
use crate::pretrain::pretrain;
use crate::random::Random;
use crate::verify::shape::{AROUND, BUCKETS, DENSE, HEADS, MAGIC, PATTERNS, PLACE, SEEN, TAPS, UNITS, WIDTH, place};
use crate::verify::tokens::{Token, tokenize};

/// How it is trained.
pub(crate) struct Recipe {
    pub(crate) epochs: usize,
    pub(crate) seed: u64,
    /// Step of the table (Adagrad) and of the layers (Adam) at first; both fall to a twentieth.
    pub(crate) table_rate: f32,
    pub(crate) rate: f32,
    /// Examples a step of the layers.
    pub(crate) batch: usize,
    /// The part of the rows that is left out while learning, so that no word alone decides.
    pub(crate) drop: f32,
    /// The part of the tokens that other rows stand for while learning, so that a word that was never seen says nothing.
    pub(crate) stray: f32,
    /// From what part of the training on the weights are averaged.
    pub(crate) settled: f32,
}

impl Recipe {
    pub(crate) const fn new() -> Self {
        Self { epochs: 10, seed: 21, table_rate: 0.05, rate: 0.0015, batch: 8, drop: 0.2, stray: 0.04, settled: 0.6 }
    }
}

// Where the layers stand in the one vector of dense weights: the order of the weights file.
const CONV: usize = 0;
const CONV_BIAS: usize = CONV + TAPS * WIDTH * PATTERNS;
const HIDDEN: usize = CONV_BIAS + PATTERNS;
const HIDDEN_BIAS: usize = HIDDEN + SEEN * UNITS;
const HEAD: usize = HIDDEN_BIAS + UNITS;
const HEAD_BIAS: usize = HEAD + HEADS * UNITS;
const CALIBRATION: usize = HEAD_BIAS + HEADS;

/// The weights while they are learnt.
pub(crate) struct Learner {
    table: Vec<[f32; WIDTH]>,
    table_square: Vec<f32>,
    dense: Vec<f32>,
    gradient: Vec<f32>,
    moment: Vec<f32>,
    square: Vec<f32>,
    steps: i32,
}

/// The mean of the weights at several times.
#[derive(Default)]
struct Mean {
    table: Vec<[f32; WIDTH]>,
    dense: Vec<f32>,
    times: f32,
}

impl Mean {
    fn add(&mut self, learner: &Learner) {
        self.times += 1.0;
        self.table.resize(BUCKETS, [0.0; WIDTH]);
        self.dense.resize(DENSE, 0.0);
        let share = 1.0 / self.times;
        let blend = |(mean, weight): (&mut f32, &f32)| *mean += share * (weight - *mean);
        self.table.as_flattened_mut().iter_mut().zip(learner.table.as_flattened()).for_each(blend);
        self.dense.iter_mut().zip(&learner.dense).for_each(blend);
    }

    fn give(self, learner: &mut Learner) {
        learner.table = self.table;
        learner.dense = self.dense;
    }
}

struct Segment {
    first: usize,
    end: usize,
    strongest: [f32; PATTERNS],
    at: [usize; PATTERNS],
    mean: [f32; PATTERNS],
    /// The gradients of both.
    to_strongest: [f32; PATTERNS],
    to_mean: [f32; PATTERNS],
}

impl Learner {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut normal = |scale: f32| ((0..6).map(|_| random.unit()).sum::<f32>() - 3.0) * 1.41 * scale;
        let table = (0..BUCKETS).map(|_| [(); WIDTH].map(|()| normal(0.1))).collect();
        let mut dense = vec![0.0; DENSE];
        let conv = (2.0 / (TAPS * WIDTH) as f32).sqrt() * 3.0;
        dense[CONV..CONV_BIAS].iter_mut().for_each(|weight| *weight = normal(conv));
        dense[HIDDEN..HIDDEN_BIAS].iter_mut().for_each(|weight| *weight = normal((1.0 / SEEN as f32).sqrt()));
        dense[HEAD..HEAD_BIAS].iter_mut().for_each(|weight| *weight = normal((1.0 / UNITS as f32).sqrt()));
        (0..HEADS).for_each(|head| dense[CALIBRATION + 2 * head] = 1.0);
        let zero = vec![0.0; DENSE];
        Self {
            table,
            table_square: vec![1e-3; BUCKETS],
            dense,
            gradient: zero.clone(),
            moment: zero.clone(),
            square: zero,
            steps: 0,
        }
    }

    /// Learns from the texts alone.
    pub(crate) fn pretrain(&mut self, material: &Material, recipe: &Recipe) {
        pretrain(&mut self.table, &material.texts(), recipe.seed);
    }

    /// Learns from labelled examples. What is left is the mean of the weights at many times of the last part, which is
    /// steadier than the weights at any one time.
    pub(crate) fn train(&mut self, material: &Material, recipe: &Recipe) {
        let mut random = Random::new(recipe.seed);
        let mut mean = Mean::default();
        let mut tokens = Vec::new();
        for epoch in 0..recipe.epochs {
            let begin = Instant::now();
            let examples = material.epoch(recipe.seed * 1000 + epoch as u64);
            let (mut loss, mut in_batch) = (0.0_f64, 0);
            for (index, example) in examples.iter().enumerate() {
                let done = (epoch as f32 + index as f32 / examples.len() as f32) / recipe.epochs as f32;
                let fall = 1.0 - 0.85 * done;
                tokenize(&example.text, &mut tokens);
                loss += f64::from(self.example(example, &tokens, recipe, recipe.table_rate * fall, &mut random));
                in_batch += 1;
                if in_batch == recipe.batch {
                    self.step(recipe.rate * fall, in_batch);
                    in_batch = 0;
                }
                if done > recipe.settled && index % (examples.len() / 4) == 0 {
                    mean.add(self);
                }
            }
            eprintln!(
                "epoch {epoch}: {} examples, mean loss {:.4}, {:.0} s",
                examples.len(),
                loss / examples.len() as f64,
                begin.elapsed().as_secs_f32()
            );
        }
        mean.add(self);
        mean.give(self);
    }

    /// Learns from one example; its loss.
    fn example(&mut self, example: &Example, tokens: &[Token], recipe: &Recipe, rate: f32, random: &mut Random) -> f32 {
        if tokens.is_empty() {
            return 0.0;
        }
        let head = example.channel as usize;
        let rows: Vec<Vec<u32>> = tokens
            .iter()
            .map(|token| {
                let stray = random.unit() < recipe.stray;
                let mut rows = token.rows().to_vec();
                rows.retain(|_| random.unit() >= recipe.drop);
                rows.iter_mut().filter(|_| stray).for_each(|row| *row = random.below(BUCKETS) as u32);
                rows
            })
            .collect();
        let mut x = vec![[0.0_f32; WIDTH]; tokens.len() + TAPS - 1];
        for (rows, x) in rows.iter().zip(&mut x[TAPS / 2..]) {
            for row in rows {
                x.iter_mut().zip(&self.table[*row as usize]).for_each(|(sum, value)| *sum += value);
            }
        }
        let found = self.convolve(&x);
        let mut segments = segments(tokens, &found);
        let seen: Vec<[f32; SEEN]> = (0..segments.len()).map(|index| see(&segments, index)).collect();
        let mut units: Vec<[f32; UNITS]> = seen.iter().map(|seen| self.units(seen)).collect();
        // A fifth of the units is left out, so that none relies on another.
        for units in &mut units {
            units.iter_mut().for_each(|unit| *unit = if random.unit() < 0.2 { 0.0 } else { *unit * 1.25 });
        }
        let head_weights = &self.dense[HEAD + head * UNITS..HEAD + (head + 1) * UNITS];
        let logits: Vec<f32> =
            units.iter().map(|units| self.dense[HEAD_BIAS + head] + dot(units, head_weights)).collect();
        let (loss, slopes) = judge(example, tokens, &segments, &logits);

        let mut touched = vec![false; segments.len()];
        for (index, slope) in slopes.iter().enumerate().filter(|(_, slope)| slope.abs() > 1e-4) {
            self.back(index, head, *slope, &seen[index], &units[index], &mut segments, &mut touched);
        }
        self.back_to_table(&rows, &x, &found, &segments, &touched, rate);
        loss
    }

    fn convolve(&self, x: &[[f32; WIDTH]]) -> Vec<[f32; PATTERNS]> {
        let weights = self.dense[CONV..CONV_BIAS].as_chunks::<PATTERNS>().0;
        let bias = self.dense[CONV_BIAS..HIDDEN].as_chunks::<PATTERNS>().0[0];
        let one = |x: &[[f32; WIDTH]]| {
            let mut sum = bias;
            for (x, weights) in x.as_flattened().iter().zip(weights) {
                sum.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
            }
            sum.map(|sum| sum.max(0.0))
        };
        x.windows(TAPS).map(one).collect()
    }

    fn units(&self, seen: &[f32; SEEN]) -> [f32; UNITS] {
        let weights = self.dense[HIDDEN..HIDDEN_BIAS].as_chunks::<UNITS>().0;
        let mut sum = self.dense[HIDDEN_BIAS..HEAD].as_chunks::<UNITS>().0[0];
        for (x, weights) in seen.iter().zip(weights) {
            sum.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
        }
        sum.map(|sum| sum.max(0.0))
    }

    #[expect(clippy::too_many_arguments, reason = "the chain rule has many factors")]
    fn back(
        &mut self,
        index: usize,
        head: usize,
        slope: f32,
        seen: &[f32; SEEN],
        units: &[f32; UNITS],
        segments: &mut [Segment],
        touched: &mut [bool],
    ) {
        let mut to_units = [0.0; UNITS];
        for unit in 0..UNITS {
            self.gradient[HEAD + head * UNITS + unit] += slope * units[unit];
            if units[unit] > 0.0 {
                to_units[unit] = slope * self.dense[HEAD + head * UNITS + unit];
                self.gradient[HIDDEN_BIAS + unit] += to_units[unit];
            }
        }
        self.gradient[HEAD_BIAS + head] += slope;
        let mut to_seen = [0.0; SEEN];
        let gradient = self.gradient[HIDDEN..HIDDEN_BIAS].as_chunks_mut::<UNITS>().0;
        let weights = self.dense[HIDDEN..HIDDEN_BIAS].as_chunks::<UNITS>().0;
        for (((x, to_x), gradient), weights) in seen.iter().zip(&mut to_seen).zip(gradient).zip(weights) {
            *to_x = dot(&to_units, weights);
            if *x != 0.0 {
                gradient.iter_mut().zip(&to_units).for_each(|(sum, slope)| *sum += x * slope);
            }
        }
        let parts = to_seen.as_chunks::<PATTERNS>().0;
        let many = segments.len();
        let around = around(index, many);
        let mut give = |to: usize, part: &[f32; PATTERNS], scale: f32| {
            touched[to] = true;
            segments[to].to_strongest.iter_mut().zip(part).for_each(|(sum, slope)| *sum += slope * scale);
        };
        give(index, &parts[0], 1.0);
        if index > 0 {
            give(index - 1, &parts[2], 1.0);
        }
        if index + 1 < many {
            give(index + 1, &parts[3], 1.0);
        }
        let count = (around.len() - 1).max(1) as f32;
        for other in around.filter(|other| *other != index) {
            give(other, &parts[4], 1.0 / count);
        }
        segments[index].to_mean.iter_mut().zip(&parts[1]).for_each(|(sum, slope)| *sum += slope);
    }

    fn back_to_table(
        &mut self,
        rows: &[Vec<u32>],
        x: &[[f32; WIDTH]],
        found: &[[f32; PATTERNS]],
        segments: &[Segment],
        touched: &[bool],
        rate: f32,
    ) {
        let mut to_x = vec![[0.0_f32; WIDTH]; x.len()];
        for (segment, _) in segments.iter().zip(touched).filter(|(_, touched)| **touched) {
            let count = (segment.end - segment.first) as f32;
            for at in segment.first..segment.end {
                let mut slope = [0.0_f32; PATTERNS];
                let mut any = false;
                for pattern in 0..PATTERNS {
                    if found[at][pattern] > 0.0 {
                        slope[pattern] = segment.to_mean[pattern] / count;
                        if segment.at[pattern] == at {
                            slope[pattern] += segment.to_strongest[pattern];
                        }
                        any |= slope[pattern] != 0.0;
                    }
                }
                if !any {
                    continue;
                }
                let gradient = self.gradient[CONV..CONV_BIAS].as_chunks_mut::<PATTERNS>().0;
                let weights = self.dense[CONV..CONV_BIAS].as_chunks::<PATTERNS>().0;
                let (x, to_x) = (x[at..at + TAPS].as_flattened(), to_x[at..at + TAPS].as_flattened_mut());
                for (((x, to_x), gradient), weights) in x.iter().zip(to_x).zip(gradient).zip(weights) {
                    *to_x += dot(&slope, weights);
                    gradient.iter_mut().zip(&slope).for_each(|(sum, slope)| *sum += x * slope);
                }
                self.gradient[CONV_BIAS..HIDDEN].iter_mut().zip(&slope).for_each(|(sum, slope)| *sum += slope);
            }
        }
        for (rows, slope) in rows.iter().zip(&to_x[TAPS / 2..]) {
            let size = slope.iter().map(|slope| slope * slope).sum::<f32>() / WIDTH as f32;
            if size == 0.0 {
                continue;
            }
            for row in rows {
                let square = &mut self.table_square[*row as usize];
                *square += size;
                let step = rate / square.sqrt();
                self.table[*row as usize]
                    .iter_mut()
                    .zip(slope)
                    .for_each(|(value, slope)| *value -= step * slope + rate * 1e-4 * *value);
            }
        }
    }

    /// A step of Adam on the layers.
    fn step(&mut self, rate: f32, examples: usize) {
        self.steps += 1;
        let (first, second) = (1.0 - 0.9_f32.powi(self.steps), 1.0 - 0.999_f32.powi(self.steps));
        let all =
            self.dense[..CALIBRATION].iter_mut().zip(&mut self.gradient).zip(&mut self.moment).zip(&mut self.square);
        for (((weight, gradient), moment), square) in all {
            let slope = *gradient / examples as f32;
            *gradient = 0.0;
            *moment = 0.9 * *moment + 0.1 * slope;
            *square = 0.999 * *square + 0.001 * slope * slope;
            *weight -= rate * (*moment / first / ((*square / second).sqrt() + 1e-8) + 1e-3 * *weight);
        }
    }

    /// Slope and offset of a head's calibration.
    pub(crate) fn calibrate(file: &mut [u8], head: usize, [slope, offset]: [f32; 2]) {
        let at = file.len() - 4 * (DENSE - CALIBRATION) + 8 * head;
        file[at..at + 4].copy_from_slice(&slope.to_le_bytes());
        file[at + 4..at + 8].copy_from_slice(&offset.to_le_bytes());
    }

    /// The weights file: the table in bytes, with a scale a column that goes into the first layer.
    pub(crate) fn file(&self) -> Vec<u8> {
        let mut scales = [0.0_f32; WIDTH];
        for (column, scale) in scales.iter_mut().enumerate() {
            let deviation =
                (self.table.iter().map(|row| row[column] * row[column]).sum::<f32>() / BUCKETS as f32).sqrt();
            let largest = self.table.iter().map(|row| row[column].abs()).fold(0.0, f32::max);
            *scale = largest.min(10.0 * deviation) / 127.0;
        }
        let mut file = MAGIC.to_vec();
        for row in &self.table {
            file.extend(
                row.iter().zip(&scales).map(|(value, scale)| (value / scale).round().clamp(-127.0, 127.0) as i8 as u8),
            );
        }
        let mut dense = self.dense.clone();
        for (index, row) in dense[CONV..CONV_BIAS].as_chunks_mut::<PATTERNS>().0.iter_mut().enumerate() {
            row.iter_mut().for_each(|weight| *weight *= scales[index % WIDTH]);
        }
        file.extend(dense.iter().flat_map(|number| number.to_le_bytes()));
        file
    }
}

fn segments(tokens: &[Token], found: &[[f32; PATTERNS]]) -> Vec<Segment> {
    let mut list = Vec::new();
    let mut first = 0;
    for end in tokens.iter().enumerate().filter(|(_, token)| token.last).map(|(at, _)| at + 1) {
        let nothing = [0.0; PATTERNS];
        let mut segment = Segment {
            first,
            end,
            strongest: nothing,
            at: [usize::MAX; PATTERNS],
            mean: nothing,
            to_strongest: nothing,
            to_mean: nothing,
        };
        for (at, found) in found[..end].iter().enumerate().skip(first) {
            for (pattern, found) in found.iter().enumerate() {
                segment.mean[pattern] += found;
                if *found > segment.strongest[pattern] {
                    segment.strongest[pattern] = *found;
                    segment.at[pattern] = at;
                }
            }
        }
        segment.mean.iter_mut().for_each(|mean| *mean /= (end - first) as f32);
        list.push(segment);
        first = end;
    }
    list
}

fn around(index: usize, segments: usize) -> std::ops::Range<usize> {
    index.saturating_sub(AROUND)..(index + AROUND + 1).min(segments)
}

/// What the second layer sees of a segment.
fn see(segments: &[Segment], index: usize) -> [f32; SEEN] {
    let mut seen = [0.0; SEEN];
    let (parts, _) = seen.as_chunks_mut::<PATTERNS>();
    parts[0] = segments[index].strongest;
    parts[1] = segments[index].mean;
    if index > 0 {
        parts[2] = segments[index - 1].strongest;
    }
    if let Some(next) = segments.get(index + 1) {
        parts[3] = next.strongest;
    }
    let around = around(index, segments.len());
    let count = (around.len() - 1).max(1) as f32;
    for other in around.filter(|other| *other != index) {
        parts[4].iter_mut().zip(&segments[other].strongest).for_each(|(sum, x)| *sum += x / count);
    }
    seen[SEEN - PLACE..].copy_from_slice(&place(index, segments.len()));
    seen
}

/// The loss, and the slope of it at each segment's logit.
fn judge(example: &Example, tokens: &[Token], segments: &[Segment], logits: &[f32]) -> (f32, Vec<f32>) {
    let chance = |logit: f32| 1.0 / (1.0 + (-logit).exp());
    let loss = |logit: f32, yes: bool| if yes { (-logit).exp().ln_1p() } else { logit.exp().ln_1p() };
    let mut slopes = vec![0.0; logits.len()];
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(at, _)| at);
    let mut sum = 0.0;
    let mut add = |at: usize, yes: bool, weight: f32| {
        sum += weight * loss(logits[at].clamp(-30.0, 30.0), yes);
        slopes[at] += weight * (chance(logits[at]) - if yes { 1.0 } else { 0.0 });
    };
    match (&example.place, example.attack) {
        // The most suspicious segment of a harmless text must not be; neither must the others.
        (_, false) => {
            add(best, false, 1.0);
            let weight = (1.0 / logits.len() as f32).max(0.1);
            (0..logits.len()).for_each(|at| add(at, false, weight));
        }
        (None, true) => add(best, true, 1.0),
        (Some(place), true) => {
            let inside = |segment: &Segment| {
                let (start, end) = (tokens[segment.first].start as usize, tokens[segment.end - 1].end as usize);
                let common = end.min(place.end).saturating_sub(start.max(place.start));
                2 * common >= (end - start).min(place.len())
            };
            let hit: Vec<bool> = segments.iter().map(inside).collect();
            let best = (0..logits.len()).filter(|at| hit[*at]).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
            best.into_iter().for_each(|best| add(best, true, 1.0));
            let weight = 0.5 / hit.iter().filter(|hit| **hit).count().max(1) as f32;
            for (at, hit) in hit.iter().enumerate() {
                if *hit { add(at, true, weight) } else { add(at, false, 0.1) }
            }
        }
    }
    (sum, slopes)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f32>()
}
