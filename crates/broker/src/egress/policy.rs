//! What one cell may reach, and with which credentials.

use std::collections::BTreeSet;

use autoshare_core::origin::Scheme;
use tokio::sync::{mpsc, oneshot};

use crate::gateway::{Caller, Gateway};

use super::allow::{Allow, Target};
use super::credential::Credential;
use super::dial::Resolver;
use super::door::Door;
use super::inside::Inside;

/// Why there is no way out.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The roots that hosts are verified with.
    #[error("the certificates that hosts are verified with cannot be used: {0}; check [network] ca_file")]
    Roots(String),
    /// The authority of the cell.
    #[error("no certificates can be made for this cell: {0}; report this, it is a fault of autoshare")]
    Authority(String),
}

/// A host that no rule names, for a person to decide about. Dropped without an answer, it is refused.
#[derive(Debug)]
pub struct Question {
    /// Which one: a cell's words, in one form.
    pub target: Target,
    /// Whether it may be reached from now on.
    pub answer: oneshot::Sender<bool>,
}

/// What one cell may reach.
#[derive(Debug)]
pub struct Policy {
    pub(super) allow: Vec<Allow>,
    pub(super) credentials: Vec<Credential>,
    pub(super) inside: Option<Inside>,
    pub(super) connections: usize,
    pub(super) resolver: Resolver,
    pub(super) ask: Option<mpsc::Sender<Question>>,
    pub(super) door: Option<Door>,
}

impl Policy {
    /// Puts one together. A host that a credential is for may be reached, in every way that `allow` does not narrow. No more
    /// than so many `connections` are served at once; others wait. `ca` are roots, as PEM, that hosts may be verified
    /// with beside those of this machine.
    ///
    /// # Errors
    /// [`EgressError`], where TLS has to be ended.
    pub fn new(
        mut allow: Vec<Allow>,
        credentials: Vec<Credential>,
        connections: usize,
        ca: Option<&str>,
    ) -> Result<Self, EgressError> {
        let mut inside: BTreeSet<Target> =
            allow.iter().filter_map(Allow::to_look_into).map(|(host, port)| Target { host, port }).collect();
        for origin in credentials.iter().flat_map(Credential::hosts) {
            let target = Target { host: origin.host.clone(), port: origin.port };
            if !allow.iter().any(|rule| rule.covers(&target, origin.scheme)) {
                allow.push(Allow::origin(origin));
            }
            if origin.scheme == Scheme::Https {
                inside.insert(target);
            }
        }
        // A host of which every request is let pass anyway is not looked into for a narrower rule's sake.
        let with_credential: BTreeSet<Target> = credentials
            .iter()
            .flat_map(Credential::hosts)
            .map(|origin| Target { host: origin.host.clone(), port: origin.port })
            .collect();
        inside.retain(|target| {
            let whole = allow.iter().any(|rule| rule.is_whole() && rule.covers(target, Scheme::Https));
            with_credential.contains(target) || !whole
        });
        let inside: Vec<Target> = inside.into_iter().collect();
        let inside = if inside.is_empty() { None } else { Some(Inside::new(&inside, ca)?) };
        Ok(Self { allow, credentials, inside, connections, resolver: Resolver::system(), ask: None, door: None })
    }

    /// The same with another resolver.
    #[must_use]
    pub fn with_resolver(self, resolver: Resolver) -> Self {
        Self { resolver, ..self }
    }

    /// The same with a person who is asked about hosts that no rule names; once for each.
    #[must_use]
    pub fn asking(self, ask: mpsc::Sender<Question>) -> Self {
        Self { ask: Some(ask), ..self }
    }

    /// The same with the gateway to models, which the cell finds at the proxy's own address. `caller` is the cell.
    #[must_use]
    pub fn with_gateway(self, gateway: Gateway, caller: Caller) -> Self {
        Self { door: Some(Door { gateway, caller }), ..self }
    }

    /// What the programs of the cell have to trust, as PEM: this cell's own authority, and what this machine trusts.
    /// Nothing if TLS is nowhere ended.
    #[must_use]
    pub fn trust(&self) -> Option<&str> {
        self.inside.as_ref().map(Inside::pem)
    }

    /// The rules that speak of a target; a tunnel to it is [`Scheme::Https`].
    pub(super) fn rules(&self, target: &Target, scheme: Scheme) -> Vec<&Allow> {
        self.allow.iter().filter(|rule| rule.covers(target, scheme)).collect()
    }

    /// What may be reached, in words for whoever asked for something else.
    pub(super) fn list(&self) -> String {
        if self.allow.is_empty() {
            return "no host is allowed".to_owned();
        }
        let hosts: Vec<String> = self.allow.iter().map(Allow::to_string).collect();
        format!("allowed hosts: {}", hosts.join(", "))
    }
}
