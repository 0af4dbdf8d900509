//! The table of routes: who asks for what, and who may.

use autoshare_access::Scope;
use hyper::Method;

use super::route::{Route, Takes};
use super::{artifacts, audit, brains, events, people, shares, tenants, tokens, usage, words};

/// All routes.
pub(super) fn routes() -> Vec<Route> {
    let mut all = native();
    all.extend(crate::ap::routes());
    all
}

fn native() -> Vec<Route> {
    use words::{ArtifactWords, BrainWords, Page, QuestionWords, StepWords};
    const PAGE: &[(&str, &str)] = &[("limit", "items at most: 1 to 100; 20"), ("cursor", "`next` of the page before")];
    vec![
        Route::new(Method::GET, "/api/v1/me", "me", usage::me).gives::<usage::MeWords>(200).says("Who this token is"),
        Route::new(Method::DELETE, "/api/v1/me", "sign_out", tokens::sign_out)
            .gives_nothing()
            .says("Sign out: end this token"),
        Route::new(Method::POST, "/api/v1/brains", "create_brain", brains::create)
            .needs(Scope::Brains)
            .asks::<brains::NewBrainWords>()
            .gives::<BrainWords>(201)
            .says("Begin a brain"),
        Route::new(Method::GET, "/api/v1/brains", "list_brains", brains::list)
            .needs(Scope::Read)
            .query(PAGE)
            .gives::<Page<BrainWords>>(200)
            .says("The brains, newest first"),
        Route::new(Method::GET, "/api/v1/brains/{brain}", "show_brain", brains::show)
            .needs(Scope::Read)
            .gives::<BrainWords>(200)
            .says("A brain"),
        Route::new(Method::POST, "/api/v1/brains/{brain}/say", "say", brains::say)
            .needs(Scope::Brains)
            .asks::<brains::SayWords>()
            .gives_nothing()
            .says("Tell a brain something; it hears it before its next command, or when it is woken"),
        Route::new(Method::POST, "/api/v1/brains/{brain}/stop", "stop_brain", brains::stop)
            .needs(Scope::Brains)
            .may_ask::<brains::StopWords>()
            .gives_nothing()
            .says("Stop a brain; it can be woken again"),
        Route::new(Method::POST, "/api/v1/brains/{brain}/wake", "wake_brain", brains::wake)
            .needs(Scope::Brains)
            .takes(Takes::Nothing)
            .gives_status(202)
            .says("Wake a brain that rests"),
        Route::new(Method::GET, "/api/v1/brains/{brain}/steps", "list_steps", brains::steps)
            .needs(Scope::Read)
            .query(PAGE)
            .gives::<Page<StepWords>>(200)
            .says("Its actions, the first first"),
        Route::new(Method::GET, "/api/v1/brains/{brain}/steps/{step}", "show_step", brains::step)
            .needs(Scope::Read)
            .gives::<StepWords>(200)
            .says("An action"),
        Route::new(Method::GET, "/api/v1/brains/{brain}/events", "list_events", brains::events)
            .needs(Scope::Read)
            .query(PAGE)
            .gives::<Page<serde_json::Value>>(200)
            .says("What its journal says, as it is written; the form of an event may grow"),
        Route::new(Method::GET, "/api/v1/brains/{brain}/stream", "stream_events", events::stream)
            .needs(Scope::Read)
            .gives_stream("text/event-stream")
            .says("The same as server-sent events, until the brain rests; `Last-Event-ID` goes on after that event"),
        Route::new(Method::GET, "/api/v1/questions", "list_questions", brains::questions)
            .needs(Scope::Read)
            .query(&[("brain", "of this brain alone")])
            .gives::<Page<QuestionWords>>(200)
            .says("The questions that wait for a person"),
        Route::new(Method::POST, "/api/v1/brains/{brain}/questions/{digest}", "answer", brains::answer)
            .needs(Scope::Approve)
            .asks::<brains::AnswerWords>()
            .gives_nothing()
            .says("Answer the question about exactly the action of this digest"),
        Route::new(Method::GET, "/api/v1/brains/{brain}/artifacts", "list_artifacts", artifacts::list)
            .needs(Scope::Read)
            .query(PAGE)
            .gives::<Page<ArtifactWords>>(200)
            .says("The files of its workspace, by path"),
        Route::new(Method::POST, "/api/v1/brains/{brain}/artifacts", "upload_artifact", artifacts::upload)
            .needs(Scope::Brains)
            .takes(Takes::File)
            .query(&[("path", "where it is put, below the workspace")])
            .gives::<ArtifactWords>(201)
            .says("Put a file into its workspace, in place of one that is there"),
        Route::new(
            Method::GET,
            "/api/v1/brains/{brain}/artifacts/{artifact}",
            "download_artifact",
            artifacts::download,
        )
        .needs(Scope::Read)
        .gives_stream("application/octet-stream")
        .says("What a file holds"),
        Route::new(Method::POST, "/api/v1/shares", "offer_share", shares::offer)
            .needs(Scope::Shares)
            .asks::<shares::OfferWords>()
            .gives::<shares::ShareWords>(201)
            .says("Offer another tenant a copy of a file or a folder, to be read"),
        Route::new(Method::GET, "/api/v1/shares", "list_shares", shares::list)
            .needs(Scope::Read)
            .gives::<Page<shares::ShareWords>>(200)
            .says("What this tenant shares, and what is shared with it"),
        Route::new(Method::GET, "/api/v1/shares/{share}", "show_share", shares::show)
            .needs(Scope::Read)
            .gives::<shares::ShownWords>(200)
            .says("A share, with its files and the risk of it"),
        Route::new(Method::POST, "/api/v1/shares/{share}/accept", "accept_share", shares::accept)
            .needs(Scope::Shares)
            .asks::<shares::AcceptWords>()
            .gives::<shares::ShareWords>(200)
            .says("Accept what is offered, as it was shown"),
        Route::new(Method::DELETE, "/api/v1/shares/{share}", "end_share", shares::end)
            .needs(Scope::Shares)
            .gives_nothing()
            .says("End a share: take it back, decline it, or give it back; no brain can read it any more"),
        Route::new(Method::GET, "/api/v1/usage", "usage", usage::usage)
            .needs(Scope::Read)
            .query(&[
                ("by", "what a line stands for: day, model, brain or token; day"),
                ("since", "the first day (UTC), such as 2026-11-01; 30 days ago"),
            ])
            .gives::<Page<usage::LineWords>>(200)
            .says("What was used"),
        Route::new(Method::GET, "/api/v1/audit", "list_audit", audit::list)
            .needs(Scope::Audit)
            .query(PAGE)
            .gives::<Page<audit::EntryWords>>(200)
            .says("The audit trail, the first entry first; `autoshare audit export` gives what others can check"),
        Route::new(Method::GET, "/api/v1/tokens", "list_tokens", tokens::list)
            .needs(Scope::Tokens)
            .gives::<Page<tokens::TokenWords>>(200)
            .says("This token and those that it made"),
        Route::new(Method::POST, "/api/v1/tokens", "create_token", tokens::create)
            .needs(Scope::Tokens)
            .asks::<tokens::NewTokenWords>()
            .gives::<tokens::MintedWords>(201)
            .says("Make a token that may have no more than this one; it is shown once"),
        Route::new(Method::DELETE, "/api/v1/tokens/{token}", "revoke_token", tokens::revoke)
            .needs(Scope::Tokens)
            .gives_nothing()
            .says("End a token and those that it made"),
        Route::new(Method::POST, "/api/v1/tokens/{token}/rotate", "rotate_token", tokens::rotate)
            .needs(Scope::Tokens)
            .gives::<tokens::MintedWords>(200)
            .says("Give a token a new secret"),
        Route::new(Method::GET, "/api/v1/people", "list_people", people::list)
            .needs(Scope::People)
            .gives::<Page<people::PersonWords>>(200)
            .says("The people of this tenant"),
        Route::new(Method::POST, "/api/v1/people", "add_person", people::add)
            .needs(Scope::People)
            .asks::<people::NewPersonWords>()
            .gives::<people::PersonWords>(201)
            .says("Add a person, or invite one, with roles that come to no more than this token has"),
        Route::new(Method::GET, "/api/v1/people/{person}", "show_person", people::show)
            .needs(Scope::People)
            .gives::<people::PersonWords>(200)
            .says("A person"),
        Route::new(Method::PATCH, "/api/v1/people/{person}", "change_person", people::change)
            .needs(Scope::People)
            .asks::<people::RolesWords>()
            .gives::<people::PersonWords>(200)
            .says("Give a person these roles, and no others"),
        Route::new(Method::DELETE, "/api/v1/people/{person}", "remove_person", people::remove)
            .needs(Scope::People)
            .gives_nothing()
            .says("Remove a person, and end what they hold"),
        Route::new(Method::GET, "/api/v1/tenants", "list_tenants", tenants::list)
            .needs(Scope::Operator)
            .query(PAGE)
            .gives::<Page<tenants::TenantWords>>(200)
            .says("The tenants, by name"),
        Route::new(Method::POST, "/api/v1/tenants", "create_tenant", tenants::create)
            .needs(Scope::Operator)
            .asks::<tenants::NewTenantWords>()
            .gives::<tenants::TenantWords>(201)
            .says("Make a tenant"),
        Route::new(Method::GET, "/api/v1/tenants/{tenant}", "show_tenant", tenants::show)
            .needs(Scope::Operator)
            .gives::<tenants::TenantWords>(200)
            .says("A tenant"),
        Route::new(Method::PATCH, "/api/v1/tenants/{tenant}", "change_tenant", tenants::change)
            .needs(Scope::Operator)
            .asks::<tenants::ChangeTenantWords>()
            .gives::<tenants::TenantWords>(200)
            .says("Change a tenant's terms, suspend it, or have it served again"),
        Route::new(Method::DELETE, "/api/v1/tenants/{tenant}", "remove_tenant", tenants::remove)
            .needs(Scope::Operator)
            .gives::<tenants::RemovedWords>(200)
            .says("Remove a tenant with its key and all that it has"),
        Route::new(Method::POST, "/api/v1/tenants/{tenant}/tokens", "create_tenant_token", tenants::create_token)
            .needs(Scope::Operator)
            .asks::<tokens::NewTokenWords>()
            .gives::<tokens::MintedWords>(201)
            .says("Make a token of a tenant; it is shown once"),
        Route::new(Method::GET, "/metrics", "metrics", crate::health::metrics).gives_stream("text/plain").says(
            "Figures as Prometheus reads them: of all for the operator, of its own tenant for a token with `read`",
        ),
    ]
}
