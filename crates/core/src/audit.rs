//! What an audit trail tells: who did what, to what.
//!
//! An [`Entry`] holds names, ids and digests, never the content that an act was about.

use serde::{Deserialize, Serialize};

use crate::verdict::Decision;
use crate::{BrainId, Digest, TokenId};

/// The version of [`Entry`] that is written now.
pub const VERSION: u32 = 1;
/// Bytes of one [`Words`] at most.
pub const MAX_WORDS: usize = 1024;

/// A short text of somebody else's making, such as a name: at most [`MAX_WORDS`] bytes. What is longer is cut at a
/// character and ends in `…`, since an act is never left out of the trail for the length of its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Words(String);

impl Words {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Words {
    fn from(mut text: String) -> Self {
        const CUT: char = '…';
        if text.len() > MAX_WORDS {
            text.truncate(text.floor_char_boundary(MAX_WORDS - CUT.len_utf8()));
            text.push(CUT);
        }
        Self(text)
    }
}

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<Words> for String {
    fn from(words: Words) -> Self {
        words.0
    }
}

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Actor {
    /// Whoever owns the data directory, at this machine.
    Local {
        /// The name of the account.
        login: Words,
    },
    /// Whoever held this token.
    Token {
        /// Which.
        id: TokenId,
    },
    /// A person who signed in.
    Person {
        /// As whom.
        name: Words,
    },
    /// A brain of this tenant's.
    Brain {
        /// Which.
        id: BrainId,
    },
    /// The host by itself.
    Host,
}

impl std::fmt::Display for Actor {
    /// The kind, and which of it after a colon.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local { login } => write!(f, "local:{login}"),
            Self::Token { id } => write!(f, "token:{id}"),
            Self::Person { name } => write!(f, "person:{name}"),
            Self::Brain { id } => write!(f, "brain:{id}"),
            Self::Host => f.write_str("host"),
        }
    }
}

macro_rules! acts {
    ($($(#[$doc:meta])* $code:literal $name:literal $act:ident $({ $($(#[$field_doc:meta])* $field:ident: $type:ty),* })?;)*) => {
        /// What was done. Each act has a number and a name; neither is ever given to another act.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(tag = "name")]
        pub enum Act {
            $($(#[$doc])* #[serde(rename = $name)] $act $({ $($(#[$field_doc])* $field: $type),* })?,)*
        }

        impl Act {
            /// The names of all acts with their numbers.
            pub const ALL: &[(u16, &str)] = &[$(($code, $name)),*];

            /// Its number.
            #[must_use]
            pub const fn code(&self) -> u16 {
                match self { $(Self::$act { .. } => $code,)* }
            }

            /// Its name.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$act { .. } => $name,)* }
            }
        }
    };
}
acts! {
    /// A tenant was made.
    1 "tenant.created" TenantCreated;
    /// What a tenant may do was changed.
    2 "tenant.changed" TenantChanged;
    /// A tenant may do nothing until further notice.
    3 "tenant.suspended" TenantSuspended;
    /// A tenant's key and data were destroyed.
    4 "tenant.deleted" TenantDeleted;
    /// A suspended tenant may act again.
    5 "tenant.resumed" TenantResumed;
    /// A token was made.
    10 "token.minted" TokenMinted;
    /// A token got another secret.
    11 "token.rotated" TokenRotated;
    /// A token was ended.
    12 "token.revoked" TokenRevoked;
    /// A person was added to a tenant, or invited.
    13 "person.added" PersonAdded;
    /// A person got other roles.
    14 "person.changed" PersonChanged;
    /// A person was removed, and may do nothing here any more.
    15 "person.removed" PersonRemoved;
    /// A person signed in, and got a token.
    16 "login" LoggedIn;
    /// Somebody signed in who may not.
    17 "login.refused" LoginRefused;
    /// A brain was given its goal.
    20 "brain.admitted" BrainAdmitted;
    /// A brain went on.
    21 "brain.resumed" BrainResumed;
    /// A brain was stopped.
    22 "brain.stopped" BrainStopped;
    /// A brain came to its end.
    23 "brain.ended" BrainEnded;
    /// The gate asked about an action, or denied it.
    30 "verdict" Verdict {
        /// What it said.
        decision: Decision,
        /// The action's tool.
        tool: Words,
        /// Of the tool and its arguments.
        digest: Digest
    };
    /// A person answered a question of the gate.
    31 "approval" Approval {
        /// Whether the answer was yes.
        granted: bool,
        /// Of the action that was asked about.
        digest: Digest
    };
    /// A credential was kept.
    40 "secret.set" SecretSet;
    /// A credential was removed.
    41 "secret.removed" SecretRemoved;
    /// A credential was shown to a host.
    42 "secret.used" SecretUsed;
    /// Something was offered to another tenant.
    50 "share.offered" ShareOffered;
    /// An offer was accepted.
    51 "share.accepted" ShareAccepted;
    /// An offer was taken back.
    52 "share.revoked" ShareRevoked;
    /// A brain was begun with what was shared.
    53 "share.read" ShareRead;
    /// An offer was not accepted: its receiver declined it, or its time was over.
    54 "share.declined" ShareDeclined;
    /// What was accepted is shared no more, for another reason than that its owner took it back.
    55 "share.ended" ShareEnded;
    /// A limit kept something from being done.
    60 "limit.hit" LimitHit;
    /// New keys are in use.
    70 "key.rotated" KeyRotated;
    /// A backup was made, of data or of keys.
    71 "backup.made" BackupMade;
    /// A backup was restored, of data or of keys.
    72 "backup.restored" BackupRestored;
    /// Somebody asked for what they have no access to.
    80 "refused" Refused;
}

/// One line of a trail.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The version it was written in.
    #[serde(rename = "v")]
    version: u32,
    /// Who acted.
    pub actor: Actor,
    /// What was done.
    pub act: Act,
    /// The brain concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brain: Option<BrainId>,
    /// To what it was done: an id, a name, a number, in a form that the act decides.
    #[serde(default)]
    pub about: Words,
}

impl Entry {
    /// One that concerns no brain.
    #[must_use]
    pub fn new(actor: Actor, act: Act, about: &str) -> Self {
        Self { version: VERSION, actor, act, brain: None, about: about.into() }
    }

    /// The same, of this brain.
    #[must_use]
    pub fn of_brain(self, brain: &BrainId) -> Self {
        Self { brain: Some(brain.clone()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_and_names_of_acts_are_each_given_once() {
        let codes: BTreeSet<_> = Act::ALL.iter().map(|(code, _)| code).collect();
        let names: BTreeSet<_> = Act::ALL.iter().map(|(_, name)| name).collect();
        assert_eq!((codes.len(), names.len()), (Act::ALL.len(), Act::ALL.len()));
    }

    #[test]
    fn an_entry_reads_back_as_it_was_written_and_this_is_how() {
        let digest = Digest::of(b"x");
        let entry = Entry::new(
            Actor::Local { login: "ann".into() },
            Act::Verdict { decision: Decision::Deny, tool: "write_file".into(), digest },
            "outside",
        )
        .of_brain(&BrainId::from_random([0; 5]));
        let text = serde_json::to_string(&entry).unwrap();
        let expected = format!(
            r#"{{"v":1,"actor":{{"kind":"local","login":"ann"}},"act":{{"name":"verdict","decision":"deny","tool":"write_file","digest":"{digest}"}},"brain":"00000000","about":"outside"}}"#
        );
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
        assert_eq!((entry.act.code(), entry.act.name()), (30, "verdict"));
    }

    #[test]
    fn long_words_are_cut_at_a_character_wherever_they_come_from() {
        for (text, len) in [("é".repeat(512), 1024), ("é".repeat(513), 1023), ("x".repeat(5000), 1024)] {
            let words = Words::from(text.as_str());
            let read: Words = serde_json::from_str(&serde_json::to_string(&text).unwrap()).unwrap();
            assert_eq!((words.as_str().len(), &words), (len, &read));
            assert_eq!(words.as_str().ends_with('…'), text.len() > MAX_WORDS);
        }
    }
}
