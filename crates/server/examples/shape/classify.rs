//! A classifier that anybody could write in an afternoon.

use super::stage::Seen;

const STEPS: usize = 1_500;
const RATE: f64 = 0.3;
/// Keeps it from learning single streams by heart.
const RIDGE: f64 = 0.003;

/// What sizes and times come to.
pub(crate) fn features(seen: &Seen) -> Vec<f64> {
    let sizes: Vec<f64> = seen.records.iter().map(|(_, bytes)| *bytes as f64).collect();
    let gaps: Vec<f64> = seen.records.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs_f64() * 1e3).collect();
    let mut all = vec![sizes.len() as f64, seen.bytes(), seen.seconds()];
    for mut list in [sizes.clone(), gaps] {
        let count = list.len() as f64;
        let mean = list.iter().sum::<f64>() / count;
        let spread = (list.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / count).sqrt();
        list.sort_unstable_by(f64::total_cmp);
        let at = |place: f64| list[(count * place) as usize];
        all.extend([mean, spread, at(0.1), at(0.25), at(0.5), at(0.75), at(0.9)]);
    }
    // How often each size came, beside the most common one: what tokens of a kind of text have in common.
    let mut sorted = sizes.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted[sorted.len() / 2];
    for off in -6..=6 {
        let place = middle + f64::from(off);
        all.push(sizes.iter().filter(|size| (**size - place).abs() < 0.5).count() as f64 / sizes.len() as f64);
    }
    all
}

/// The area under the curve over streams of which every second is of the second kind: each half is judged by what was
/// learnt on the other one, and the two areas are averaged.
pub(crate) fn area(features: &[Vec<f64>]) -> f64 {
    let half = |from: usize| -> Vec<(&[f64], bool)> {
        // Pairs of one of each kind go to the halves in turns.
        let all = features.iter().enumerate().filter(|(n, _)| n / 2 % 2 == from);
        all.map(|(n, row)| (row.as_slice(), n % 2 == 1)).collect()
    };
    let (one, other) = (half(0), half(1));
    (tried(&one, &other) + tried(&other, &one)) / 2.0
}

fn tried(learn: &[(&[f64], bool)], on: &[(&[f64], bool)]) -> f64 {
    let width = learn[0].0.len();
    let count = learn.len() as f64;
    let mean: Vec<f64> = (0..width).map(|i| learn.iter().map(|(row, _)| row[i]).sum::<f64>() / count).collect();
    let spread = |i: usize| (learn.iter().map(|(row, _)| (row[i] - mean[i]).powi(2)).sum::<f64>() / count).sqrt();
    let spread: Vec<f64> = (0..width).map(spread).collect();
    let scaled = |row: &[f64]| -> Vec<f64> {
        (0..width).map(|i| if spread[i] > 1e-9 { (row[i] - mean[i]) / spread[i] } else { 0.0 }).collect()
    };
    let rows: Vec<(Vec<f64>, f64)> = learn.iter().map(|(row, is)| (scaled(row), f64::from(u8::from(*is)))).collect();
    let mut weights = vec![0.0; width];
    for _ in 0..STEPS {
        let mut slope: Vec<f64> = weights.iter().map(|weight| weight * RIDGE).collect();
        for (row, is) in &rows {
            let off = 1.0 / (1.0 + (-dot(&weights, row)).exp()) - is;
            slope.iter_mut().zip(row).for_each(|(slope, value)| *slope += off * value / count);
        }
        weights.iter_mut().zip(&slope).for_each(|(weight, slope)| *weight -= RATE * slope);
    }
    let scores: Vec<(f64, bool)> = on.iter().map(|(row, is)| (dot(&weights, &scaled(row)), *is)).collect();
    // How often one of the second kind scores higher than one of the first.
    let (mut right, mut pairs) = (0.0, 0.0);
    for (high, _) in scores.iter().filter(|(_, is)| *is) {
        for (low, _) in scores.iter().filter(|(_, is)| !*is) {
            right += if high > low {
                1.0
            } else if high < low {
                0.0
            } else {
                0.5
            };
            pairs += 1.0;
        }
    }
    right / pairs
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
