//! Identifiers. Each is parsed once and cannot be built malformed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a tenant's name.
    #[error("{0:?} is not a tenant name: 1 to 63 of a-z, 0-9 and '-', beginning with a letter")]
    Tenant(String),
    /// Not a brain's id.
    #[error("{0:?} is not a brain id: 8 of 0-9 and a-z without i, l, o, u")]
    Brain(String),
    /// Not a token's id.
    #[error("{0:?} is not a token id: 8 of 0-9 and a-z without i, l, o, u; `autoshare token list` shows them")]
    Token(String),
    /// Not a person's id.
    #[error("{0:?} is not a person's id: 8 of 0-9 and a-z without i, l, o, u; `autoshare person list` shows them")]
    Person(String),
    /// Not a share's id.
    #[error("{0:?} is not a share id: 8 of 0-9 and a-z without i, l, o, u; `autoshare share list` shows them")]
    Share(String),
}

/// A tenant's name, as people write it. A name is a claim: the right to act for a tenant is `autoshare_access::Access`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantName(String);

impl TenantName {
    /// Parses a name: 1 to 63 of `a-z`, `0-9`, `-`, beginning with a letter.
    ///
    /// # Errors
    /// [`IdError::Tenant`] for any other text.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let ok = (1..=63).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if ok { Ok(Self(text.to_owned())) } else { Err(IdError::Tenant(text.to_owned())) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A brain's id within its tenant: 40 random bits in Crockford's base 32, lower case, such as `7f2k9mqd`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BrainId(String);

const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Spells 40 bits in Crockford's base 32.
fn spell(bits: [u8; 5]) -> String {
    let value = bits.iter().fold(0u64, |acc, byte| (acc << 8) | u64::from(*byte));
    (0..8)
        .rev()
        .filter_map(|place| CROCKFORD.get(((value >> (place * 5)) & 31) as usize))
        .map(|byte| char::from(*byte))
        .collect()
}

fn is_spelt(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| CROCKFORD.contains(&b))
}

impl BrainId {
    /// The id that spells these 40 random bits.
    #[must_use]
    pub fn from_random(bits: [u8; 5]) -> Self {
        Self(spell(bits))
    }

    /// Parses an id.
    ///
    /// # Errors
    /// [`IdError::Brain`] unless it is 8 characters of the alphabet.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if is_spelt(text) { Ok(Self(text.to_owned())) } else { Err(IdError::Brain(text.to_owned())) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A token's id: 40 random bits, spelt like a [`BrainId`]. It names a token and is no secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenId(String);

impl TokenId {
    /// The id that spells these 40 random bits.
    #[must_use]
    pub fn from_random(bits: [u8; 5]) -> Self {
        Self(spell(bits))
    }

    /// Parses an id.
    ///
    /// # Errors
    /// [`IdError::Token`] unless it is 8 characters of the alphabet.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if is_spelt(text) { Ok(Self(text.to_owned())) } else { Err(IdError::Token(text.to_owned())) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A person's id: 40 random bits, spelt like a [`BrainId`]. It names a person and is no secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonId(String);

impl PersonId {
    /// The id that spells these 40 random bits.
    #[must_use]
    pub fn from_random(bits: [u8; 5]) -> Self {
        Self(spell(bits))
    }

    /// Parses an id.
    ///
    /// # Errors
    /// [`IdError::Person`] unless it is 8 characters of the alphabet.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if is_spelt(text) { Ok(Self(text.to_owned())) } else { Err(IdError::Person(text.to_owned())) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A share's id: 40 random bits, spelt like a [`BrainId`]. It names a share and is no secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShareId(String);

impl ShareId {
    /// The id that spells these 40 random bits.
    #[must_use]
    pub fn from_random(bits: [u8; 5]) -> Self {
        Self(spell(bits))
    }

    /// Parses an id.
    ///
    /// # Errors
    /// [`IdError::Share`] unless it is 8 characters of the alphabet.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if is_spelt(text) { Ok(Self(text.to_owned())) } else { Err(IdError::Share(text.to_owned())) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_id {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
    };
}
text_id!(TenantName);
text_id!(BrainId);
text_id!(TokenId);
text_id!(PersonId);
text_id!(ShareId);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one (saturating).
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
number!(
    /// A record's place in its brain's journal; the first is 1.
    Seq
);
number!(
    /// A proposed action's number within its brain; the first is 1.
    StepNo
);
number!(
    /// A model call's number within its brain; the first is 1. A repeated call keeps its number.
    TurnNo
);
