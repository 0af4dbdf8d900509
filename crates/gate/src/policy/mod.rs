//! The written policy: what of an action that no hard rule denies is done unasked, asked for, or denied.
//!
//! A policy is text in Cedar's language, checked against `policies/schema.cedarschema` when it is read. Two requests are
//! put to it: may it be done at all (`act`), and may it be done without a person (`act_unasked`)? Every rule says in
//! `@because` what a person is told when it decides. What a rule may look at is [`Facts`], all lists of which are
//! reduced to sets here.
//!
//! **Invariants**
//! - A rule that cannot be evaluated denies, whatever the others say.
//! - What no rule permits is asked for, or denied where no rule lets a person allow it.
//! - A policy that was read once cannot be wrong in its form: names, words and types were checked, and its examples hold.

mod examples;
mod load;
mod notation;
mod request;
mod shape;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use autoshare_core::verdict::{Decision, Reason};

use crate::facts::Facts;

pub use notation::facts as read_facts;
use request::{Asker, Seen};
pub use shape::{MAX_NESTED, MAX_POLICY, MAX_RULE};
use words::Words;

/// Verdicts that are kept, so that the same facts are not judged twice.
const KEPT: usize = 4096;

/// The rule that is named where no rule permits an action.
pub const NOTHING_ALLOWS: &str = "nothing-allows-it";
/// The rule that is named where a rule could not be evaluated.
pub const POLICY_ERROR: &str = "policy-error";

/// Why a policy is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is too long.
    #[error("the policy has {bytes} bytes, at most {MAX_POLICY} are read: take out what is not needed")]
    TooLong {
        /// What it has.
        bytes: usize,
    },
    /// It is not written in Cedar's language.
    #[error("line {line}: {why}")]
    Text {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        why: String,
    },
    /// A rule of it cannot be used.
    #[error("line {line}, rule {id:?}: {why}")]
    Rule {
        /// The line, from 1.
        line: usize,
        /// The rule's id; its text's beginning where it has none.
        id: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// An example does not hold, or cannot be read.
    #[error("line {line}, example: {why}")]
    Example {
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The schema that comes with this program cannot be read: a fault of the program.
    #[error("the schema of policies cannot be read ({0}): this is a fault in AutoSHARE, please report it")]
    Schema(String),
}

/// A policy that comes with AutoSHARE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// Asks more: amounts, words of others, what is destroyed.
    Cautious,
    /// What the goal needs is done, if what it is done to comes from someone trusted.
    #[default]
    Default,
    /// Asks less: what the user named may be done to it, what can be taken back may be done.
    Trusting,
}

impl Profile {
    /// All of them, from the most to the least cautious.
    pub const ALL: [Self; 3] = [Self::Cautious, Self::Default, Self::Trusting];

    /// Its name in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cautious => "cautious",
            Self::Default => "default",
            Self::Trusting => "trusting",
        }
    }

    /// The profile of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Its files, the first beneath the others: name and text.
    #[must_use]
    pub const fn files(self) -> &'static [(&'static str, &'static str)] {
        const DEFAULT: (&str, &str) = ("default", include_str!("../../policies/default.cedar"));
        match self {
            Self::Default => &[DEFAULT],
            Self::Cautious => &[DEFAULT, ("cautious", include_str!("../../policies/cautious.cedar"))],
            Self::Trusting => &[DEFAULT, ("trusting", include_str!("../../policies/trusting.cedar"))],
        }
    }
}

/// What a rule does where it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Says {
    /// A person may allow the action.
    MayBeAsked,
    /// It is done without a question.
    Allow,
    /// A person is asked.
    Ask,
    /// It is denied.
    Deny,
}

/// A rule of a policy.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name, which stands in verdicts.
    pub id: String,
    /// What it does.
    pub says: Says,
    /// The file that it stands in, as [`Policy::add`] was told.
    pub file: String,
    /// Its line there, from 1.
    pub line: usize,
    words: Words,
}

impl Rule {
    /// What a person is told when it decides, with `{placeholders}`.
    #[must_use]
    pub fn because(&self) -> String {
        self.words.to_string()
    }
}

/// A policy, bound to the brain that it judges.
#[derive(Debug, Clone)]
pub struct Policy {
    asker: Arc<Asker>,
    rules: Arc<Vec<Rule>>,
    kept: Arc<Mutex<HashMap<Seen, Arc<Outcome>>>>,
}

/// What the rules say of facts.
#[derive(Debug)]
struct Outcome {
    decision: Decision,
    by: By,
}

/// What gave a decision.
#[derive(Debug)]
enum By {
    /// Rules, by their place.
    Rules(Vec<usize>),
    /// No rule.
    Nothing,
    /// Rules that could not be evaluated, in words.
    Error(String),
}

impl Policy {
    /// A profile.
    ///
    /// # Errors
    /// [`PolicyError`], which would be a fault of this program.
    pub fn builtin(profile: Profile) -> Result<Self, PolicyError> {
        profile.files().iter().try_fold(Self::empty()?, |policy, (name, text)| policy.add(name, text))
    }

    /// A policy that stands by itself.
    ///
    /// # Errors
    /// [`PolicyError`] names the line, the rule, and what is wrong.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Self::empty()?.add("policy", text)
    }

    /// A policy without a rule: it denies everything.
    ///
    /// # Errors
    /// [`PolicyError::Schema`], which would be a fault of this program.
    pub fn empty() -> Result<Self, PolicyError> {
        Ok(Self::of(Asker::new()?, Vec::new()))
    }

    /// This policy with the rules of another text added. A rule of the text may replace rules of this policy by naming
    /// them in `@replaces`. The examples of the text must hold for the whole.
    ///
    /// # Errors
    /// [`PolicyError`] names the line, the rule, and what is wrong.
    pub fn add(&self, file: &str, text: &str) -> Result<Self, PolicyError> {
        let (asker, rules) = load::add(&self.asker, &self.rules, file, text)?;
        let policy = Self::of(asker, rules);
        examples::check(&policy, text)?;
        Ok(policy)
    }

    /// The same policy for the actions of one brain of a tenant, so that rules about either apply.
    #[must_use]
    pub fn for_brain(&self, tenant: &str, brain: &str) -> Self {
        let asker = self.asker.for_brain(tenant, brain);
        Self { asker: Arc::new(asker), rules: Arc::clone(&self.rules), kept: Arc::default() }
    }

    /// The decision about an action that words describe, as [`read_facts`] reads them; `tenant=NAME` and `brain=ID` among
    /// them say who acts.
    ///
    /// # Errors
    /// What is not understood, and what is.
    pub fn try_out(&self, words: &str) -> Result<(Decision, Vec<Reason>), String> {
        let (who, facts) = notation::described(words)?;
        Ok(match who {
            Some((tenant, brain)) => self.for_brain(&tenant, &brain).decide(&facts),
            None => self.decide(&facts),
        })
    }

    /// Its rules, in the order of its text.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The decision, and the reasons of the rules that gave it.
    #[must_use]
    pub fn decide(&self, facts: &Facts) -> (Decision, Vec<Reason>) {
        let outcome = self.outcome(Seen::of(facts));
        let reasons = match &outcome.by {
            By::Rules(places) => {
                let rules = places.iter().filter_map(|place| self.rules.get(*place));
                rules.map(|rule| Reason { rule: rule.id.clone(), words: rule.words.fill(facts) }).collect()
            }
            By::Nothing => {
                let words = format!("no rule allows {} by itself", facts.tool);
                vec![Reason { rule: NOTHING_ALLOWS.to_owned(), words }]
            }
            By::Error(why) => {
                let words = format!("a rule of the policy cannot be evaluated, so nothing is done: {why}");
                vec![Reason { rule: POLICY_ERROR.to_owned(), words }]
            }
        };
        (outcome.decision, reasons)
    }

    fn of(asker: Asker, rules: Vec<Rule>) -> Self {
        Self { asker: Arc::new(asker), rules: Arc::new(rules), kept: Arc::default() }
    }

    /// What the rules say, looked up where the same was asked before: it depends on `seen` and the policy alone.
    fn outcome(&self, seen: Seen) -> Arc<Outcome> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = kept().get(&seen) {
            return Arc::clone(outcome);
        }
        let outcome = Arc::new(self.judge(&seen));
        let mut kept = kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(seen, Arc::clone(&outcome));
        outcome
    }

    fn judge(&self, seen: &Seen) -> Outcome {
        let answers = match self.asker.ask(seen) {
            Ok(answers) => answers,
            Err(why) => return Outcome { decision: Decision::Deny, by: By::Error(why) },
        };
        let (decision, ids) = match (answers.act, answers.act_unasked) {
            (Err(forbids), _) => (Decision::Deny, forbids),
            (Ok(_), Err(forbids)) => (Decision::Ask, forbids),
            (Ok(_), Ok(permits)) => (Decision::Allow, permits),
        };
        let places = (0..).zip(self.rules.iter()).filter(|(_, rule)| ids.contains(&rule.id));
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        let by = if places.is_empty() { By::Nothing } else { By::Rules(places) };
        Outcome { decision, by }
    }
}
