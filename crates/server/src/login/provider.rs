//! The provider: what it says of itself, where people are sent, and who came back.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use autoshare_access::SignedIn;
use autoshare_broker::{Credentials, Outbound};
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use hyper::{Method, Request, StatusCode};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClientAuthMethod,
    CoreErrorResponseType, CoreGenderClaim, CoreGrantType, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType, CoreRevocableToken,
    CoreRevocationErrorResponse, CoreSubjectIdentifierType, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessToken, AdditionalClaims, AdditionalProviderMetadata, AuthType, AuthorizationCode, ClaimsVerificationError,
    Client, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    IdToken, IdTokenClaims, IdTokenFields, IdTokenVerifier, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, ProviderMetadata, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, StandardErrorResponse, StandardTokenResponse, TokenResponse as _, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::way::{Way, WayError};
use super::{LoginError, LoginSettings};

/// Algorithms by which an ID token may be signed: those with a key of the provider's own. None by which whoever knows our
/// secret could sign, and not `none`.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];
/// How long what the provider says of itself is believed.
const BELIEVED: Duration = Duration::from_secs(3_600);
/// How long a provider that could not be asked is not asked again.
const RESTING: Duration = Duration::from_secs(2);
/// How far the provider's clock may be ahead, and how old an ID token may be that was just asked for.
const AHEAD_S: i64 = 60;
const MAX_AGE_S: i64 = 600;

/// Why nobody is signed in. For logs: whoever asked is told less.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProviderError {
    /// It cannot be asked now, or says what no provider says.
    #[error("the provider cannot be asked: {0}")]
    Out(String),
    /// Our side of it is not as it must be.
    #[error("{0}")]
    Ours(String),
    /// What came back proves nothing.
    #[error("{0}")]
    Unproven(String),
}

/// What the provider says beside what everybody says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct More {
    /// Whether its answers name it (RFC 9207).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for More {}

/// Claims beside the standard ones: groups may be among them, by whatever name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Rest {
    #[serde(flatten)]
    claims: Map<String, Value>,
}

impl AdditionalClaims for Rest {}

type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;
type Claims = IdTokenClaims<Rest, CoreGenderClaim>;
type Token = IdToken<Rest, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type Fields = IdTokenFields<
    Rest,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type OidcClient = Client<
    Rest,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What has to be known until somebody comes back.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
}

pub(super) struct Provider {
    issuer: IssuerUrl,
    client_id: ClientId,
    redirect: RedirectUrl,
    /// The name of the client's secret, and where it is found.
    secret: Option<(String, Box<dyn Credentials>)>,
    scopes: Vec<Scope>,
    groups_claim: Option<String>,
    keys_apart: Duration,
    way: Way,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    found: Option<Arc<Found>>,
    failed: Option<Instant>,
}

/// What the provider says of itself, its keys included.
struct Found {
    metadata: Metadata,
    at: Instant,
}

impl Provider {
    pub(super) fn new(settings: &LoginSettings, secrets: Box<dyn Credentials>) -> Result<Self, LoginError> {
        let wrong = |name: &'static str, why: String| LoginError { name, why };
        let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(|why| wrong("issuer", why.to_string()))?;
        let way = Way::new(&settings.issuer, settings.ca.clone(), settings.timeout);
        let way = way.map_err(|why| wrong("issuer", why.to_string()))?;
        if issuer.url().query().is_some() {
            return Err(wrong("issuer", "an issuer has no query ('?'): take the provider's own spelling".to_owned()));
        }
        let redirect = format!("{}{}", settings.base(), super::CALLBACK);
        Ok(Self {
            issuer,
            client_id: ClientId::new(settings.client_id.clone()),
            redirect: RedirectUrl::new(redirect).map_err(|why| wrong("origin", why.to_string()))?,
            secret: settings.client_secret.clone().map(|name| (name, secrets)),
            scopes: settings.scopes.iter().filter(|name| *name != "openid").cloned().map(Scope::new).collect(),
            groups_claim: settings.groups_claim.clone(),
            keys_apart: settings.keys_apart,
            way,
            known: Mutex::default(),
        })
    }

    /// Whether an answer that names `issuer`, or nobody, may be this provider's (RFC 9207).
    pub(super) async fn is_its(&self, issuer: Option<&str>) -> Result<bool, ProviderError> {
        match issuer {
            Some(issuer) => Ok(issuer == self.issuer.as_str()),
            None => {
                let found = self.found(None).await?;
                Ok(!found.metadata.additional_metadata().authorization_response_iss_parameter_supported)
            }
        }
    }

    /// Where to send somebody who wants to sign in.
    pub(super) async fn begin(&self) -> Result<(String, Asked), ProviderError> {
        let client = self.client(&*self.found(None).await?)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new_random_len(super::RANDOM),
                || Nonce::new_random_len(super::RANDOM),
            )
            .add_scopes(self.scopes.iter().cloned())
            .set_pkce_challenge(challenge)
            .url();
        Ok((url.to_string(), Asked { state, nonce, verifier }))
    }

    /// Who came back with `code`.
    pub(super) async fn finish(&self, code: String, asked: Asked) -> Result<SignedIn, ProviderError> {
        let found = self.found(None).await?;
        let client = self.client(&found)?;
        let request = client.exchange_code(AuthorizationCode::new(code)).map_err(|error| out(&error))?;
        let reply = request.set_pkce_verifier(asked.verifier).request_async(&self.way).await;
        let reply = reply.map_err(|error| match error {
            RequestTokenError::ServerResponse(said) => {
                ProviderError::Unproven(format!("the provider takes no code for that: {said}"))
            }
            other => out(&other),
        })?;
        let no_token = || ProviderError::Unproven("the provider gave no ID token".to_owned());
        let token = reply.id_token().ok_or_else(no_token)?;
        let claims = match self.verified(&found, token, &asked.nonce) {
            // It may have a new key.
            Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) => {
                let found = self.found(Some(&found)).await?;
                self.verified(&found, token, &asked.nonce)
            }
            other => other,
        };
        let claims =
            claims.map_err(|error| ProviderError::Unproven(format!("an ID token is refused: {}", told(&error))))?;
        self.who(&found, claims, reply.access_token()).await
    }

    fn verified<'t>(
        &self,
        found: &Found,
        token: &'t Token,
        nonce: &Nonce,
    ) -> Result<&'t Claims, ClaimsVerificationError> {
        let (id, keys) = (self.client_id.clone(), found.metadata.jwks().clone());
        let told = found.metadata.id_token_signing_alg_values_supported();
        let algorithms = ALGORITHMS.into_iter().filter(|known| told.contains(known));
        // As for a client without a secret: then no secret is a key.
        let verifier = IdTokenVerifier::new_public_client(id, self.issuer.clone(), keys)
            .set_allowed_algs(algorithms)
            .set_issue_time_verifier_fn(|at| is_recent(at.timestamp()));
        let claims = token.claims(&verifier, nonce)?;
        match claims.authorized_party() {
            Some(party) if *party != self.client_id => {
                let words = format!("it was made for another client ({})", party.as_str());
                Err(ClaimsVerificationError::InvalidAudience(words))
            }
            _ => Ok(claims),
        }
    }

    /// Whom verified claims are about. What they do not tell of mail and groups, the provider is asked for.
    async fn who(&self, found: &Found, claims: &Claims, access: &AccessToken) -> Result<SignedIn, ProviderError> {
        let email = |email: Option<&openidconnect::EndUserEmail>, is_verified| {
            email.filter(|_| is_verified == Some(true)).map(|email| email.as_str().to_owned())
        };
        let mut who = SignedIn {
            issuer: self.issuer.as_str().to_owned(),
            subject: claims.subject().as_str().to_owned(),
            verified_email: email(claims.email(), claims.email_verified()),
            groups: self.groups(claims.additional_claims()).unwrap_or_default(),
        };
        let lacks_groups = self.groups_claim.is_some() && self.groups(claims.additional_claims()).is_none();
        let Some(url) = found.metadata.userinfo_endpoint().filter(|_| claims.email().is_none() || lacks_groups) else {
            return Ok(who);
        };
        let bearer = HeaderValue::from_str(&format!("Bearer {}", access.secret()));
        let bearer = bearer.map_err(|_| ProviderError::Out("its access token is no text for a header".to_owned()))?;
        let request = Request::builder().method(Method::GET).uri(url.as_str());
        let request = request.header(ACCEPT, "application/json").header(AUTHORIZATION, bearer).body(Vec::new());
        let answer = self.way.send(request.map_err(|error| out(&error))?).await.map_err(|error| out(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(ProviderError::Out(format!("its userinfo endpoint answers {}", answer.status())));
        }
        let more: Result<UserInfoClaims<Rest, CoreGenderClaim>, _> =
            UserInfoClaims::from_json::<WayError>(answer.body(), Some(claims.subject()));
        let more = more.map_err(|error| ProviderError::Unproven(format!("userinfo is refused: {}", told(&error))))?;
        if claims.email().is_none() {
            who.verified_email = email(more.email(), more.email_verified());
        }
        if lacks_groups {
            who.groups = self.groups(more.additional_claims()).unwrap_or_default();
        }
        Ok(who)
    }

    /// The groups that claims tell of: a list of texts, or one.
    fn groups(&self, claims: &Rest) -> Option<Vec<String>> {
        match claims.claims.get(self.groups_claim.as_ref()?)? {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(all) => Some(all.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            _ => None,
        }
    }

    fn client(&self, found: &Found) -> Result<OidcClient, ProviderError> {
        let metadata = &found.metadata;
        let client = OidcClient::from_provider_metadata(metadata.clone(), self.client_id.clone(), None)
            .set_redirect_uri(self.redirect.clone());
        let Some((name, secrets)) = &self.secret else { return Ok(client) };
        let url = metadata.token_endpoint().map(|url| url.as_str()).unwrap_or_default();
        let secret = secrets.find(name, url).ok_or_else(|| {
            let of = Outbound::origin_of(url).map(|origin| origin.to_string()).unwrap_or_default();
            ProviderError::Ours(format!("there is no secret {name} for {of}: autoshare secret set {name} --host {of}"))
        })?;
        // What is not said is client_secret_basic (OpenID Connect Discovery 1.0, 3).
        let ways = metadata.token_endpoint_auth_methods_supported();
        let takes = |method| ways.is_none_or(|ways| ways.contains(&method));
        let is_basic = takes(CoreClientAuthMethod::ClientSecretBasic);
        let auth = if is_basic { AuthType::BasicAuth } else { AuthType::RequestBody };
        Ok(client.set_client_secret(ClientSecret::new(secret.expose().to_owned())).set_auth_type(auth))
    }

    /// What the provider says of itself: what is known, or newer than `stale`, which may be too old.
    async fn found(&self, stale: Option<&Arc<Found>>) -> Result<Arc<Found>, ProviderError> {
        // One asks, and the others wait for what it is told.
        let mut known = self.known.lock().await;
        if let Some(found) = &known.found {
            let (age, is_stale) = (found.at.elapsed(), stale.is_some_and(|stale| Arc::ptr_eq(stale, found)));
            if age < BELIEVED && (!is_stale || age < self.keys_apart) {
                return Ok(Arc::clone(found));
            }
        }
        if known.failed.is_some_and(|at| at.elapsed() < RESTING) {
            return Err(ProviderError::Out("it could not be a moment ago".to_owned()));
        }
        match self.discover().await {
            Ok(metadata) => {
                let found = Arc::new(Found { metadata, at: Instant::now() });
                *known = Known { found: Some(Arc::clone(&found)), failed: None };
                Ok(found)
            }
            Err(error) => {
                known.failed = Some(Instant::now());
                Err(error)
            }
        }
    }

    async fn discover(&self) -> Result<Metadata, ProviderError> {
        let metadata = Metadata::discover_async(self.issuer.clone(), &self.way).await.map_err(|error| out(&error))?;
        // Here a browser is sent; the way itself looks at the others.
        self.way.check(metadata.authorization_endpoint().as_str()).map_err(|error| out(&error))?;
        if metadata.token_endpoint().is_none() {
            return Err(ProviderError::Out("it names no token endpoint".to_owned()));
        }
        Ok(metadata)
    }
}

fn is_recent(at: i64) -> Result<(), String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
    let is_recent = (now.saturating_sub(MAX_AGE_S)..=now.saturating_add(AHEAD_S)).contains(&at);
    if is_recent { Ok(()) } else { Err("it was not made just now: check this machine's clock".to_owned()) }
}

fn out(error: &dyn Error) -> ProviderError {
    ProviderError::Out(told(error))
}

/// An error with what is behind it.
fn told(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        words = format!("{words}: {error}");
        behind = error.source();
    }
    words
}
