//! The other side: a program that has somebody sign in in their browser, and gets the token.

use std::io;
use std::time::Duration;

use autoshare_broker::{Outbound, OutboundError, Timeouts};
use autoshare_core::TenantName;
use http_body_util::{BodyExt as _, Limited};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use openidconnect::PkceCodeChallenge;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Bytes of a server's answer at most.
const MAX_ANSWER: usize = 64 * 1_024;
/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a program gets no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The server's address is none.
    #[error(transparent)]
    Address(#[from] OutboundError),
    /// The server does not answer, or as no AutoSHARE does.
    #[error("{0}: check the server's address")]
    Server(String),
    /// It gives none; in its words.
    #[error("{0}")]
    Refused(String),
}

/// What a program gets. Nothing prints it by mistake.
#[derive(Serialize, Deserialize)]
pub struct SignedInWords {
    /// The token, which is shown this once.
    pub token: String,
    /// Its id.
    pub id: String,
    /// The tenant for which it acts.
    pub tenant: String,
    /// The id of whoever signed in.
    pub person: String,
    /// What they are called.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// When it ends (RFC 3339).
    pub expires_at: String,
}

/// A login of a program's that is under way.
#[derive(Debug)]
pub struct ProgramLogin {
    server: String,
    url: String,
    verifier: String,
}

impl ProgramLogin {
    /// Begins one at a server: `https://HOST[:PORT]`, or http on this machine. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ProgramError::Address`].
    pub fn new(server: &str, tenant: &TenantName) -> Result<Self, ProgramError> {
        let server = server.trim().trim_end_matches('/').to_owned();
        Outbound::origin_of(&server)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let url = format!("{server}/login?tenant={tenant}&code_challenge={}", challenge.as_str());
        Ok(Self { server, url, verifier: verifier.into_secret() })
    }

    /// Where the person is to sign in, in a browser; it shows them a code afterwards.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Gets the token for that code. It is good once, for this login.
    ///
    /// # Errors
    /// [`ProgramError`].
    pub async fn redeem(self, code: &str) -> Result<SignedInWords, ProgramError> {
        let failed = |error: &dyn std::error::Error| ProgramError::Server(error.to_string());
        let timeouts = Timeouts { connect: TIMEOUT, first_byte: TIMEOUT, idle: TIMEOUT, total: TIMEOUT };
        let out = Outbound::new(&format!("{}/login/token", self.server), None, None, &timeouts)?;
        let body = json!({"code": code.trim(), "code_verifier": self.verifier}).to_string();
        let mut request = Request::new(body.into());
        *request.method_mut() = Method::POST;
        for name in [CONTENT_TYPE, ACCEPT] {
            request.headers_mut().insert(name, HeaderValue::from_static("application/json"));
        }
        let answer = async {
            let answer = out.send(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((status, body.to_bytes()))
        };
        let late = |_| ProgramError::Server("it does not answer".to_owned());
        let answer = tokio::time::timeout(TIMEOUT, answer).await.map_err(late)?;
        let (status, body) = answer.map_err(|error| failed(&error))?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|error| failed(&error));
        }
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        match told.get("detail").and_then(Value::as_str) {
            Some(detail) => Err(ProgramError::Refused(detail.to_owned())),
            None => Err(ProgramError::Server(format!("it answers {status}"))),
        }
    }
}
