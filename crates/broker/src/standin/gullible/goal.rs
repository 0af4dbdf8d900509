//! What a goal asks for.

use super::grammar::{self, Manner};

/// The file a summary goes to when the goal names none.
const DEFAULT_INTO: &str = "summary.md";

/// One sentence of a goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task {
    /// Read every document below a folder (empty: the workspace) and write what they say.
    Summary { folder: String, into: String },
    /// An instruction in the same grammar that documents are searched for.
    Order(String),
}

/// The tasks of a goal in their order. Sentences that are none of either kind are passed over.
pub(super) fn tasks(goal: &str) -> Vec<Task> {
    let mut tasks = Vec::new();
    for clause in grammar::clauses(goal) {
        match summary(&clause) {
            Some(task) => tasks.push(task),
            None => tasks.extend(grammar::sentences(&clause, Manner::Goal).into_iter().map(Task::Order)),
        }
    }
    tasks.dedup();
    tasks
}

/// `summarise|summarize [...] [the folder X] [into|to FILE]`, `read the folder X [into|to FILE]`.
fn summary(clause: &str) -> Option<Task> {
    let words = grammar::words(clause);
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let says = |word: &str| lower.iter().position(|known| known == word);
    let is_folder = |word: &String| ["folder", "directory", "workspace"].contains(&word.as_str());
    let summarises = lower.iter().any(|word| word.starts_with("summari") || word == "summary");
    let reads = says("read").is_some() && lower.iter().any(is_folder);
    if !(summarises || reads) {
        return None;
    }
    let into_at = lower.iter().rposition(|word| word == "into" || word == "to" || word == "in");
    let into = into_at.and_then(|at| words.iter().skip(at + 1).find(|word| grammar::looks_like_path(word)));
    let before = if into.is_some() { into_at.unwrap_or(words.len()) } else { words.len() };
    let folder = lower.iter().take(before).position(is_folder).and_then(|at| {
        let named = words.get(at + 1).filter(|_| at + 1 < before)?;
        let word = named.to_lowercase();
        (!["and", "for", "with", "in", "into", "to", "here", "named", "called"].contains(&word.as_str()))
            .then_some(named)
    });
    // "Summarise invoices/ into x.md": a path right where the folder would be.
    let folder = folder.or_else(|| words.iter().take(before).find(|word| word.ends_with('/') && word.len() > 1));
    let folder = folder.map(|name| name.trim_end_matches('/')).filter(|name| *name != ".").unwrap_or_default();
    let into = into.cloned().unwrap_or_else(|| DEFAULT_INTO.to_owned());
    Some(Task::Summary { folder: super::memory::plain(folder).to_owned(), into })
}
