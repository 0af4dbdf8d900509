//! Whom the provider vouches for is let in, or not; either is written down.

use std::sync::Arc;

use autoshare_access::{Access, AccessError, LoginRefusal, Session, SignedIn};
use autoshare_core::audit::{Act, Actor, Entry};
use autoshare_core::{Digest, TenantName};
use autoshare_guard::encode;

use super::{Login, nobody};
use crate::api::problem::Problem;
use crate::api::{Faces, blocking};

/// Lets somebody in whom the provider vouches for, and writes it down: to the end, whether or not they wait for it.
pub(super) async fn enter(faces: &Arc<Faces>, tenant: &TenantName, who: SignedIn) -> Result<Session, Problem> {
    let (faces, tenant) = (Arc::clone(faces), tenant.clone());
    let entering = tokio::spawn(async move {
        let login = faces.login.as_ref().ok_or_else(nobody)?;
        entered(&faces, login, &tenant, who).await
    });
    entering.await.map_err(|error| Problem::trouble(&error))?
}

async fn entered(faces: &Arc<Faces>, login: &Login, tenant: &TenantName, who: SignedIn) -> Result<Session, Problem> {
    let (entering, of, length) = (Arc::clone(faces), tenant.clone(), login.session);
    let (done, who) = blocking(move || Ok((entering.tokens.log_in(&of, &who, length), who))).await?;
    match done {
        Ok(session) => {
            let actor = Actor::Person { name: session.person.as_str().into() };
            let entry = Entry::new(actor, Act::LoggedIn, session.minted.id.as_str());
            if let Err(problem) = note(faces, tenant, entry).await {
                // Nobody holds what the trail does not tell of.
                let (revoking, tenant, id) = (Arc::clone(faces), tenant.clone(), session.minted.id.clone());
                blocking(move || Ok(revoking.tokens.revoke(&access(&revoking, &tenant)?, &id)?)).await?;
                return Err(problem);
            }
            Ok(session)
        }
        Err(error @ AccessError::Login { why }) => {
            tracing::info!(why = %error.for_the_log(), tenant = faces.opaque(tenant), "nobody is signed in");
            if why != LoginRefusal::Tenant && login.is_to_be_noted(tenant, &who) {
                // Not before it is answered: how long that takes must not tell whether there is such a tenant.
                let (faces, tenant) = (Arc::clone(faces), tenant.clone());
                let actor = Actor::Person { name: format!("{} at {}", who.subject, who.issuer).into() };
                let entry = Entry::new(
                    actor,
                    Act::LoginRefused,
                    if why == LoginRefusal::Person { "nobody of this tenant" } else { "no role" },
                );
                tokio::spawn(async move {
                    if let Err(problem) = note(&faces, &tenant, entry).await {
                        tracing::error!(code = problem.code, "a refused login is not in the audit trail");
                    }
                });
            }
            Err(nobody())
        }
        Err(error) => {
            tracing::error!(why = %encode::log_line(&error.for_the_log()), "somebody who may cannot be signed in");
            Err(error.into())
        }
    }
}

impl Login {
    /// Whether a refusal is to be written down.
    fn is_to_be_noted(&self, tenant: &TenantName, who: &SignedIn) -> bool {
        let parts = [tenant.as_str(), &who.issuer, &who.subject].map(str::as_bytes);
        self.refusals.is_new(Digest::of_parts(&parts))
    }
}

fn access(faces: &Faces, tenant: &TenantName) -> Result<Access, AccessError> {
    faces.tenants.access(&faces.operator, tenant)
}

async fn note(faces: &Arc<Faces>, tenant: &TenantName, entry: Entry) -> Result<(), Problem> {
    let resident = faces.residents.of(&access(faces, tenant)?).await?;
    faces.note(&resident, entry).await
}
