//! `token`: what other programs show to use models here.

use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use autoshare_access::{AccessError, Grant, Minted, Scope, TokenRecord};
use autoshare_core::Digest;
use autoshare_core::audit::Act;
use autoshare_core::budget::{Budget, Cap, Caps, Measure, ModelPattern, Rate, Window};
use autoshare_core::day::Day;
use autoshare_core::usage::MicroUsd;
use autoshare_guard::encode;

use super::audit::note;
use crate::args::{NewToken, Token};
use crate::assemble;
use crate::exit::{FAILED, Failure, SETTINGS, UNKNOWN};
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::{Settings, read_text};

/// `autoshare token ...`.
pub(crate) fn token(settings: &Settings, command: &Token, look: Look) -> Result<ExitCode, Failure> {
    let (access, tokens) = assemble::tokens(settings)?;
    match command {
        Token::New(flags) => {
            let minted = tokens.mint(&access, grant(flags)?).map_err(failure)?;
            note(settings, Act::TokenMinted, minted.id.as_str())?;
            let asks = settings.serve.tls.as_ref().is_some_and(|tls| tls.clients.is_some());
            if flags.certificate.is_some() && !asks {
                err(
                    "warning: serve asks nobody for a certificate; name [serve] client_ca, or the token is good for nothing",
                );
            }
            show(&minted, "made", look);
        }
        Token::Rotate { id } => {
            let minted = tokens.rotate(&access, id).map_err(failure)?;
            note(settings, Act::TokenRotated, id.as_str())?;
            show(&minted, "has a new secret", look);
        }
        Token::Revoke { id } => {
            tokens.revoke(&access, id).map_err(failure)?;
            note(settings, Act::TokenRevoked, id.as_str())?;
            if look == Look::Json {
                out(&ascii_json(&serde_json::json!({"id": id, "revoked": true})));
            } else {
                err(&format!("token {id} is revoked, and so are those that it made"));
            }
        }
        Token::List => list(&tokens.list(&access).map_err(failure)?, look)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn failure(error: AccessError) -> Failure {
    let code = match error {
        AccessError::NoToken(_) => UNKNOWN,
        AccessError::Grant(_) | AccessError::Beyond(_) => SETTINGS,
        _ => FAILED,
    };
    Failure::new(code, error.to_string())
}

/// Prints a token, this once.
fn show(minted: &Minted, what: &str, look: Look) {
    let (id, token) = (&minted.id, minted.token.expose());
    if look == Look::Json {
        out(&ascii_json(&serde_json::json!({"id": id, "token": token})));
        return;
    }
    out(token);
    err(&format!(
        "token {id} {what}; keep what is printed, it is not shown again (`autoshare token revoke {id}` ends it)"
    ));
}

fn grant(flags: &NewToken) -> Result<Grant, Failure> {
    let models = flags.model.iter().map(|text| ModelPattern::parse(text));
    let models = models.collect::<Result<_, _>>().map_err(|why| Failure::new(SETTINGS, why))?;
    let expires_ms = flags.expires.as_deref().map(|text| Some(now_ms().saturating_add(span_ms(text)?)));
    let expires_ms = expires_ms.map(|at| at.ok_or_else(|| Failure::new(SETTINGS, EXPIRES))).transpose()?;
    let hard = Caps {
        call: Cap { cost: usd(flags.call_cost.as_deref())?, tokens: flags.call_tokens, ..Cap::NONE },
        day: Cap {
            cost: usd(flags.day_cost.as_deref())?,
            tokens: flags.day_tokens,
            requests: flags.day_requests,
            ..Cap::NONE
        },
        month: Cap {
            cost: usd(flags.month_cost.as_deref())?,
            tokens: flags.month_tokens,
            requests: flags.month_requests,
            ..Cap::NONE
        },
        ..Caps::NONE
    };
    let named = if flags.scope.is_empty() { vec![Scope::Gateway] } else { flags.scope.clone() };
    let mut scopes: Vec<Scope> = named.into_iter().chain(flags.may_make_tokens.then_some(Scope::Tokens)).collect();
    scopes.sort();
    scopes.dedup();
    let rate = Rate { requests: flags.requests_per_minute, tokens: flags.tokens_per_minute };
    let budget = Budget { hard, soft: Caps::NONE };
    let certificate = flags.certificate.as_deref().map(certificate).transpose()?;
    Ok(Grant { name: flags.name.clone(), expires_ms, scopes, models, budget, rate, certificate })
}

/// The digest of the first certificate in a file.
fn certificate(path: &Path) -> Result<Digest, Failure> {
    autoshare_server::http::certificate_digest(&path.display().to_string(), read_text(path)?.as_bytes())
        .map_err(|error| Failure::new(SETTINGS, error.to_string()))
}

fn usd(text: Option<&str>) -> Result<Option<MicroUsd>, Failure> {
    text.map(MicroUsd::parse_usd).transpose().map_err(|why| Failure::new(SETTINGS, why))
}

pub(super) const EXPIRES: &str = "--expires takes a number of hours, days or weeks, such as 12h, 30d or 52w";

/// A span of time in milliseconds.
pub(super) fn span_ms(text: &str) -> Option<u64> {
    let hours = [("h", 1), ("d", 24), ("w", 7 * 24)];
    let (number, hours) = hours.iter().find_map(|(unit, hours)| Some((text.strip_suffix(unit)?, hours)))?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|number| is_number && *number > 0)?;
    number.checked_mul(hours * 60 * 60 * 1000)
}

fn list(records: &[std::sync::Arc<TokenRecord>], look: Look) -> Result<(), Failure> {
    if look != Look::Json {
        out("TOKEN     STATE       MADE        ENDS        NAME                      MODELS AND LIMITS");
    }
    for record in records {
        let state = state(record);
        if look == Look::Json {
            let mut value = serde_json::to_value(&**record)?;
            if let Some(fields) = value.as_object_mut() {
                fields.insert("state".to_owned(), state.into());
            }
            out(&ascii_json(&value));
            continue;
        }
        let made = Day::of_ms(record.created_ms).to_string();
        let ends = record.expires_ms.map_or_else(|| "never".to_owned(), |ms| Day::of_ms(ms).to_string());
        let name = encode::terminal_line(&record.name, 24);
        out(&format!("{}  {state:<10}  {made}  {ends:<10}  {name:<24}  {}", record.id, limits(record)));
    }
    Ok(())
}

fn state(record: &TokenRecord) -> &'static str {
    match (record.revoked_ms, record.expires_ms) {
        (Some(_), _) => "revoked",
        (None, Some(ms)) if ms <= now_ms() => "expired",
        _ => "good",
    }
}

/// The models and limits of a token in words.
fn limits(record: &TokenRecord) -> String {
    let models = record.models.iter().map(ToString::to_string);
    let caps = Window::ALL.into_iter().flat_map(|window| {
        let cap = *record.budget.hard.of(window);
        Measure::ALL.into_iter().filter_map(move |m| Some(format!("{} a {window}", m.words(cap.of(m)?))))
    });
    let rate = [(Measure::Requests, record.rate.requests), (Measure::Tokens, record.rate.tokens)];
    let rate = rate.into_iter().filter_map(|(m, limit)| Some(format!("{} a minute", m.words(limit?))));
    let issuer = record.issuer.iter().map(|issuer| format!("below {issuer}"));
    let bound = record.certificate.iter().map(|digest| format!("with the certificate {}", digest.short()));
    let all: Vec<_> = models.chain(caps).chain(rate).chain(issuer).chain(bound).collect();
    if all.is_empty() { "all models, no limits of its own".to_owned() } else { all.join(", ") }
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
