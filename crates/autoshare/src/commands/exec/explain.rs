//! `--explain`: which system calls the cell's filter refused to the program.

use std::collections::BTreeMap;
use std::thread::JoinHandle;

use autoshare_guard::encode;
use autoshare_sandbox::{Refusals, Refused};

/// Kinds of refused calls that are told apart; each has a program's name in it, which is of the program's choosing.
const MOST: usize = 1000;

/// Answers for the filter in the background, from when it is made until the last process of the cell is gone.
pub(super) struct Explained {
    counting: JoinHandle<(BTreeMap<Refused, u64>, u64)>,
}

impl Explained {
    pub(super) fn begin(refusals: Refusals) -> Self {
        let counting = std::thread::spawn(move || {
            let (mut counts, mut others) = (BTreeMap::new(), 0u64);
            while let Ok(Some(refused)) = refusals.next() {
                if counts.len() < MOST || counts.contains_key(&refused) {
                    *counts.entry(refused).or_insert(0) += 1;
                } else {
                    others += 1;
                }
            }
            (counts, others)
        });
        Self { counting }
    }

    /// One line for each kind of call. Waits until the cell is gone.
    pub(super) fn lines(self) -> Vec<String> {
        let Ok((counts, others)) = self.counting.join() else {
            return vec!["what was refused is not known: whoever counted has failed".to_owned()];
        };
        if counts.is_empty() {
            return vec!["the filter refused no system call".to_owned()];
        }
        let mut counts: Vec<(Refused, u64)> = counts.into_iter().collect();
        counts.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
        let mut lines = vec!["system calls that the filter refused (EPERM):".to_owned()];
        lines.extend(counts.iter().map(|(refused, count)| {
            let arguments: Vec<String> =
                refused.arguments.iter().map(|(number, value)| format!("argument {number}: {value:#x}")).collect();
            format!(
                "{count:>6} x {}({}) by {}",
                refused.call,
                arguments.join(", "),
                encode::terminal_line(&refused.program, 16)
            )
        }));
        if others > 0 {
            lines.push(format!("{others:>6} x others; {MOST} kinds are told apart"));
        }
        lines
    }
}
