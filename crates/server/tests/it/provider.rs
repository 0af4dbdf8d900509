//! A provider of identities that lies as it is told to. It holds to the protocol otherwise: a code is good once, for the
//! client, the address and the verifier that it was given for.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use autoshare_core::Digest;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const CLIENT: &str = "autoshare";
pub(crate) const SECRET: &str = "s3cret:/of the client";

/// How an ID token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signing {
    Rs256,
    Es256,
    EdDsa,
    /// With a key that it publishes from now on.
    NewKey,
    /// As one of its own, by a key that it never published.
    Strange,
    /// Not at all.
    None,
    /// Not at all, and says that it is RS256.
    Stripped,
    /// HS256, with what is public of its RSA key.
    PublicAsSecret,
    /// HS256, with the client's secret, as the specification lets a client ask for.
    ClientSecret,
}

/// What is answered at a path in place of the truth.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Json(Value),
    Raw(String),
    /// So many bytes of JSON's white space.
    Huge(usize),
    Silence,
}

struct Keys {
    rsa: KeyPair,
    ec: KeyPair,
    ed: KeyPair,
    new: KeyPair,
    strange: KeyPair,
}

/// Of all providers: those of RSA take long to make.
static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let key = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    Keys {
        rsa: key(&PKCS_RSA_SHA256),
        ec: key(&PKCS_ECDSA_P256_SHA256),
        ed: key(&PKCS_ED25519),
        new: key(&PKCS_ECDSA_P256_SHA256),
        strange: key(&PKCS_RSA_SHA256),
    }
});

struct Granted {
    challenge: String,
    redirect: String,
    token: String,
}

struct State {
    has_new_key: bool,
    codes: HashMap<String, Granted>,
    answers: HashMap<&'static str, Answer>,
    /// What it tells of whoever has its access token; `None`: who that is.
    userinfo: Option<Value>,
    subject: &'static str,
    asked: Vec<String>,
}

pub(crate) struct Provider {
    pub(crate) issuer: String,
    state: Arc<Mutex<State>>,
}

/// What it says to somebody who asks to sign in, as `sub`.
pub(crate) struct Saying {
    pub(crate) subject: &'static str,
    pub(crate) claims: fn(&mut Value),
    pub(crate) signing: Signing,
}

impl Saying {
    pub(crate) fn truth(subject: &'static str) -> Self {
        Self { subject, claims: |_| (), signing: Signing::Rs256 }
    }
}

/// Parameters of a query, in order.
pub(crate) type Query = Vec<(String, String)>;

pub(crate) fn query_of(url: &str) -> Query {
    reqwest::Url::parse(url).unwrap().query_pairs().map(|(name, value)| (name.into(), value.into())).collect()
}

pub(crate) fn of<'q>(query: &'q [(String, String)], name: &str) -> &'q str {
    query.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

impl Provider {
    pub(crate) async fn start() -> Self {
        // Before anybody waits for an answer.
        tokio::task::spawn_blocking(|| LazyLock::force(&KEYS)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            has_new_key: false,
            codes: HashMap::new(),
            answers: HashMap::new(),
            userinfo: None,
            subject: "",
            asked: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let served = (issuer.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (issuer, state) = served.clone();
                tokio::spawn(async move { serve(stream, &issuer, &KEYS, &state).await });
            }
        });
        Self { issuer, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on it answers so at this path.
    pub(crate) fn answer(&self, path: &'static str, answer: Answer) {
        self.state().answers.insert(path, answer);
    }

    /// From now on it tells the truth again.
    pub(crate) fn repent(&self) {
        self.state().answers.clear();
    }

    pub(crate) fn userinfo(&self, told: Value) {
        self.state().userinfo = Some(told);
    }

    /// What it was asked for so far.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.state().asked.iter().filter(|asked| *asked == path).count()
    }

    pub(crate) fn discovery(&self) -> Value {
        discovery(&self.issuer)
    }

    /// Lets whoever was sent to `location` in, and gives what it sends back with them.
    pub(crate) fn let_in(&self, location: &str, saying: &Saying) -> Query {
        let asked = query_of(location);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": self.issuer, "sub": saying.subject, "aud": CLIENT, "iat": now, "exp": now + 300,
            "nonce": of(&asked, "nonce"), "email": format!("{}@example.org", saying.subject), "email_verified": true,
            "groups": [],
        });
        (saying.claims)(&mut claims);
        self.state().subject = saying.subject;
        if saying.signing == Signing::NewKey {
            self.state().has_new_key = true;
        }
        let token = signed(&KEYS, saying.signing, &claims);
        let code = format!("code-{}", Digest::of(token.as_bytes()).short());
        let (challenge, redirect) = (of(&asked, "code_challenge").to_owned(), of(&asked, "redirect_uri").to_owned());
        self.state().codes.insert(code.clone(), Granted { challenge, redirect, token });
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![pair("code", &code), pair("state", of(&asked, "state")), pair("iss", &self.issuer)]
    }
}

fn discovery(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA", "HS256", "none"],
        "authorization_response_iss_parameter_supported": true,
    })
}

fn jwks(keys: &Keys, has_new_key: bool) -> Value {
    let ec = |kid: &str, key: &KeyPair| {
        let point = key.public_key_raw();
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": base64url(&point[1..33]), "y": base64url(&point[33..65])})
    };
    let (n, e) = rsa_numbers(&keys.rsa);
    let mut all = vec![
        json!({"kty": "RSA", "use": "sig", "kid": "rsa", "alg": "RS256", "n": base64url(&n), "e": base64url(&e)}),
        ec("ec", &keys.ec),
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "ed", "x": base64url(keys.ed.public_key_raw())}),
    ];
    if has_new_key {
        all.push(ec("new", &keys.new));
    }
    json!({"keys": all})
}

fn signed(keys: &Keys, signing: Signing, claims: &Value) -> String {
    let (algorithm, kid) = match signing {
        Signing::Rs256 | Signing::Strange | Signing::Stripped => ("RS256", "rsa"),
        Signing::Es256 => ("ES256", "ec"),
        Signing::EdDsa => ("EdDSA", "ed"),
        Signing::NewKey => ("ES256", "new"),
        Signing::None => ("none", "rsa"),
        Signing::PublicAsSecret | Signing::ClientSecret => ("HS256", "rsa"),
    };
    let header = json!({"alg": algorithm, "kid": kid, "typ": "JWT"});
    let text = [header, claims.clone()].map(|part| base64url(part.to_string().as_bytes())).join(".");
    let signature = match signing {
        Signing::Rs256 => keys.rsa.sign(text.as_bytes()).unwrap(),
        Signing::Strange => keys.strange.sign(text.as_bytes()).unwrap(),
        Signing::Es256 => fixed(&keys.ec.sign(text.as_bytes()).unwrap()),
        Signing::NewKey => fixed(&keys.new.sign(text.as_bytes()).unwrap()),
        Signing::EdDsa => keys.ed.sign(text.as_bytes()).unwrap(),
        Signing::None | Signing::Stripped => Vec::new(),
        Signing::PublicAsSecret => hmac(keys.rsa.public_key_pem().as_bytes(), text.as_bytes()),
        Signing::ClientSecret => hmac(SECRET.as_bytes(), text.as_bytes()),
    };
    format!("{text}.{}", base64url(&signature))
}

async fn serve(mut stream: TcpStream, issuer: &str, keys: &Keys, state: &Mutex<State>) -> Option<()> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let field = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let length: usize = field("content-length").and_then(|text| text.parse().ok()).unwrap_or_default();
    while bytes.len() < head_end + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    let body = String::from_utf8_lossy(&bytes[head_end..]).into_owned();
    let path = head.split(' ').nth(1)?.to_owned();
    let lie = {
        let mut state = state.lock().unwrap();
        state.asked.push(path.clone());
        state.answers.get(path.as_str()).cloned()
    };
    let (status, told) = match lie {
        Some(Answer::Silence) => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return None;
        }
        Some(Answer::Raw(text)) => {
            let _ = stream.write_all(text.as_bytes()).await;
            return None;
        }
        Some(Answer::Json(value)) => (200, value.to_string()),
        Some(Answer::Huge(bytes)) => (200, " ".repeat(bytes)),
        None => told(&path, issuer, keys, state, field("authorization"), &body),
    };
    let head =
        format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", told.len());
    let _ = stream.write_all(format!("{head}{told}").as_bytes()).await;
    Some(())
}

fn told(
    path: &str,
    issuer: &str,
    keys: &Keys,
    state: &Mutex<State>,
    authorization: Option<String>,
    body: &str,
) -> (u16, String) {
    let mut state = state.lock().unwrap();
    match path {
        "/.well-known/openid-configuration" => (200, discovery(issuer).to_string()),
        "/jwks" => (200, jwks(keys, state.has_new_key).to_string()),
        "/userinfo" if authorization.as_deref() == Some("Bearer the-access-token") => {
            let told = state.userinfo.clone().unwrap_or_else(|| json!({"sub": state.subject}));
            (200, told.to_string())
        }
        "/token" => {
            let form = query_of(&format!("http://x/?{body}"));
            let granted = state.codes.remove(of(&form, "code"));
            let challenge = base64url(Digest::of(of(&form, "code_verifier").as_bytes()).as_bytes());
            // "autoshare:s3cret%3A%2Fof+the+client", each part form-encoded (RFC 6749, 2.3.1).
            let is_client = authorization.as_deref() == Some("Basic YXV0b3NoYXJlOnMzY3JldCUzQSUyRm9mK3RoZStjbGllbnQ=");
            match granted {
                Some(granted)
                    if is_client && challenge == granted.challenge && of(&form, "redirect_uri") == granted.redirect =>
                {
                    let told =
                        json!({"access_token": "the-access-token", "token_type": "Bearer", "id_token": granted.token});
                    (200, told.to_string())
                }
                _ => (400, json!({"error": "invalid_grant"}).to_string()),
            }
        }
        _ => (404, json!({"error": "nothing here"}).to_string()),
    }
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        text.extend((0..=chunk.len()).map(|n| char::from(ALPHABET[(bits >> (18 - 6 * n)) as usize & 63])));
    }
    text
}

/// HMAC with SHA-256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let key = if key.len() > 64 { Digest::of(key).as_bytes().to_vec() } else { key.to_vec() };
    let pad = |with: u8| (0..64).map(|n| key.get(n).copied().unwrap_or(0) ^ with).collect::<Vec<u8>>();
    let inner = Digest::of(&[pad(0x36), text.to_vec()].concat());
    Digest::of(&[pad(0x5c), inner.as_bytes().to_vec()].concat()).as_bytes().to_vec()
}

/// The two integers of a DER sequence, without leading zeros.
fn integers(der: &[u8]) -> [Vec<u8>; 2] {
    fn value(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, rest) = match der[1] {
            short @ ..=0x7f => (usize::from(short), &der[2..]),
            0x81 => (usize::from(der[2]), &der[3..]),
            _ => (usize::from(der[2]) << 8 | usize::from(der[3]), &der[4..]),
        };
        rest.split_at(length)
    }
    let (first, rest) = value(value(der).0);
    [first, value(rest).0].map(|number| number.iter().copied().skip_while(|byte| *byte == 0).collect())
}

/// An ECDSA signature in the form that JWS has it in (RFC 7518, 3.4).
fn fixed(der: &[u8]) -> Vec<u8> {
    integers(der).iter().flat_map(|number| [vec![0; 32 - number.len()], number.clone()].concat()).collect()
}

fn rsa_numbers(key: &KeyPair) -> (Vec<u8>, Vec<u8>) {
    let [n, e] = integers(key.der_bytes());
    (n, e)
}

#[test]
fn what_it_signs_with_is_what_it_says() {
    assert_eq!(base64url(b"autoshare:s3cret%3A%2Fof+the+client"), "YXV0b3NoYXJlOnMzY3JldCUzQSUyRm9mK3RoZStjbGllbnQ");
    // RFC 4231, test case 2.
    let mac = Digest::from_bytes(hmac(b"Jefe", b"what do ya want for nothing?").try_into().unwrap());
    assert_eq!(mac.to_string(), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}
