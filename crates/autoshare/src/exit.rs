//! Exit codes, and the one place where an error is printed.

use std::process::ExitCode;

use autoshare_guard::encode;

/// The goal is reached.
pub(crate) const DONE: u8 = 0;
/// Something went wrong; the message says what to do.
pub(crate) const FAILED: u8 = 1;
// 2 is clap's code for a command line it does not understand; settings that cannot be used share it.
pub(crate) const SETTINGS: u8 = 2;
/// The brain ended without reaching its goal: budget, loop guard, malformed replies.
pub(crate) const UNFINISHED: u8 = 3;
/// The brain stopped or could not go on, and can be resumed.
pub(crate) const RESUMABLE: u8 = 4;
/// Another process drives the brain.
pub(crate) const DRIVEN: u8 = 5;
/// `scan` found something.
pub(crate) const FOUND: u8 = 7;
/// No such brain.
pub(crate) const UNKNOWN: u8 = 6;

/// An error at the edge: its exit code and its words.
pub(crate) struct Failure {
    code: u8,
    words: String,
}

impl Failure {
    pub(crate) fn new(code: u8, words: impl Into<String>) -> Self {
        Self { code, words: words.into() }
    }

    /// What it says.
    pub(crate) fn into_words(self) -> String {
        self.words
    }

    /// The same words under another exit code.
    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// Prints the words, neutralised, and gives the exit code.
    #[expect(clippy::print_stderr, reason = "the edge of the program")]
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("autoshare: {}", encode::terminal(&self.words));
        ExitCode::from(self.code)
    }
}

/// The chain of an error as one text, each cause once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

macro_rules! fails_with {
    ($($error:ty => $code:expr;)*) => { $(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new($code, chain(&error))
            }
        }
    )* };
}
fails_with! {
    crate::settings::SettingsError => SETTINGS;
    autoshare_sandbox::SandboxError => FAILED;
    autoshare_vault::VaultError => FAILED;
    autoshare_host::mcp::ServerError => FAILED;
    autoshare_access::AccessError => FAILED;
    autoshare_broker::BrokerError => SETTINGS;
    autoshare_gate::contract::ContractError => SETTINGS;
    autoshare_server::control::ControlError => FAILED;
    autoshare_server::http::HttpError => SETTINGS;
    std::io::Error => FAILED;
    serde_json::Error => FAILED;
}

impl From<autoshare_store::StoreError> for Failure {
    fn from(error: autoshare_store::StoreError) -> Self {
        use autoshare_store::StoreError as E;
        let code = match &error {
            E::Driven { .. } | E::Ending { .. } => DRIVEN,
            E::Unknown { .. } | E::Ambiguous { .. } => UNKNOWN,
            _ => FAILED,
        };
        Self::new(code, chain(&error))
    }
}

impl From<autoshare_host::HostError> for Failure {
    fn from(error: autoshare_host::HostError) -> Self {
        match error {
            autoshare_host::HostError::Store(error @ autoshare_store::StoreError::Full { .. }) => {
                Self::new(RESUMABLE, chain(&error))
            }
            autoshare_host::HostError::Store(error) => error.into(),
            autoshare_host::HostError::Broker(error) => error.into(),
            other => Self::new(FAILED, chain(&other)),
        }
    }
}
