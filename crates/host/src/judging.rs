//! How the gate is asked, about what a brain wants now and about what it wanted before.

use autoshare_brain::Brain;
use autoshare_core::event::{Event, Goal, PolicyInForce};
use autoshare_core::outcome::Plan;
use autoshare_core::tool::{Action, Effect, ToolSpec};
use autoshare_core::verdict::Verdict;
use autoshare_core::{Seq, StepNo};
use autoshare_gate as gate;

use crate::Reading;

/// Whether a cell says before an action what it would do: what a program or a server would do, nobody can.
pub(crate) fn is_planned(spec: &ToolSpec) -> bool {
    spec.effect != Effect::RunInside && spec.served.is_none()
}

/// What a brain's actions are judged by, beside the policy.
#[derive(Clone, Copy)]
pub(crate) struct Judging<'j> {
    pub(crate) goal: &'j Goal,
    pub(crate) brain: &'j Brain,
    pub(crate) reading: &'j Reading,
    pub(crate) protected: &'j [String],
    pub(crate) commands: &'j gate::Commands,
    pub(crate) allowed_hosts: &'j [String],
}

impl Judging<'_> {
    /// What the gate says of an action.
    pub(crate) fn verdict(&self, policy: &gate::Policy, action: &Action, spec: &ToolSpec, plan: &Plan) -> Verdict {
        gate::decide(&gate::Case {
            action,
            spec,
            plan,
            roots: &self.goal.roots,
            protected: self.protected,
            ask: self.goal.ask,
            history: self.reading.history(),
            warrant: self.brain.warrant(),
            policy,
            allowed_hosts: self.allowed_hosts,
            grants: self.brain.grants(),
            commands: self.commands,
            own_files: self.brain.own_files(),
        })
    }
}

/// Why it cannot be said what another policy had said of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// An earlier version journaled neither policies nor plans.
    #[error("an earlier version of AutoSHARE did not journal by which policy it was judged")]
    Policy,
    /// The same, of the plan alone.
    #[error("what it would have done is not in the journal")]
    Plan,
    /// The journal, these settings and this version do not give the verdict that was given.
    #[error("the verdict then does not follow from the journal: settings or AutoSHARE's own rules have changed since")]
    Differs,
}

/// An action that was judged, with all that it was judged by.
pub struct Judged<'j> {
    /// Its number.
    pub step: StepNo,
    /// The record of its verdict.
    pub at: Seq,
    /// The action.
    pub action: &'j Action,
    /// What the gate said.
    pub verdict: &'j Verdict,
    /// The policy in force then.
    pub policy: Option<&'j PolicyInForce>,
    spec: &'j ToolSpec,
    plan: Option<&'j Plan>,
    judging: Judging<'j>,
}

impl Judged<'_> {
    /// What a policy says of it, by what stands in the journal.
    ///
    /// # Errors
    /// [`Unknown::Plan`].
    pub fn verdict_by(&self, policy: &gate::Policy) -> Result<Verdict, Unknown> {
        let none = Plan::default();
        let plan = if is_planned(self.spec) { self.plan.ok_or(Unknown::Plan)? } else { &none };
        Ok(self.judging.verdict(policy, self.action, self.spec, plan))
    }

    /// What `other` says of it, if `then`, the policy in force then, says of it what was said.
    ///
    /// # Errors
    /// [`Unknown`], where the facts of then are not to be had again.
    pub fn again(&self, then: &gate::Policy, other: &gate::Policy) -> Result<Verdict, Unknown> {
        if self.verdict_by(then)? == *self.verdict { self.verdict_by(other) } else { Err(Unknown::Differs) }
    }
}

/// Goes through a journal, and gives each action that was judged with what stood in the journal before its verdict.
/// Protected paths and
/// lists of commands are in no journal; where those that are given say otherwise, that is found out
/// ([`Unknown::Differs`]).
pub fn rejudge<'e>(
    events: impl IntoIterator<Item = &'e Event>,
    protected: &[String],
    commands: &gate::Commands,
    mut each: impl FnMut(&Judged<'_>),
) {
    let (mut brain, mut reading) = (Brain::new(), Reading::default());
    let (mut policy, mut proposed): (Option<&PolicyInForce>, Option<&Action>) = (None, None);
    for (event, at) in events.into_iter().zip(1..) {
        match event {
            Event::Policy(in_force) => policy = Some(in_force),
            Event::Proposal { action, .. } => proposed = Some(action),
            Event::Verdict { step, verdict, plan } => {
                let action = proposed.filter(|action| action.digest() == verdict.digest);
                let goal = brain.goal();
                let spec =
                    action.zip(goal).and_then(|(action, goal)| goal.tools.iter().find(|tool| tool.name == action.tool));
                if let (Some(action), Some(goal), Some(spec)) = (action, goal, spec) {
                    let allowed_hosts = policy.map_or(&[][..], |policy| &policy.allowed_hosts);
                    let judging =
                        Judging { goal, brain: &brain, reading: &reading, protected, commands, allowed_hosts };
                    let (step, at, plan) = (*step, Seq(at), plan.as_ref());
                    each(&Judged { step, at, action, verdict, policy, spec, plan, judging });
                }
            }
            _ => {}
        }
        brain.apply(event);
        reading.take(Seq(at), event);
    }
}
