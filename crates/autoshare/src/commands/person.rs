//! `person`: who may sign in to a tenant, and as what.

use std::process::ExitCode;

use autoshare_access::{AccessError, Identity, NewPerson, Person};
use autoshare_core::audit::Act;
use autoshare_guard::encode;

use super::audit::note;
use crate::assemble;
use crate::exit::{FAILED, Failure, SETTINGS, UNKNOWN};
use crate::people::{AddPerson, PersonCommand};
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::Settings;

/// `autoshare person ...`.
pub(crate) fn person(settings: &Settings, command: &PersonCommand, look: Look) -> Result<ExitCode, Failure> {
    let (access, tokens) = assemble::tokens(settings)?;
    let people = tokens.people();
    match command {
        PersonCommand::Add(flags) => {
            let person = people.add(&access, new(flags)?).map_err(failure)?;
            note(settings, Act::PersonAdded, &person.in_trail())?;
            told(&person, "is added", look)?;
        }
        PersonCommand::Role { id, roles } => {
            let person = people.set_roles(&access, id, roles.clone()).map_err(failure)?;
            note(settings, Act::PersonChanged, &person.in_trail())?;
            told(&person, "has these roles now", look)?;
        }
        PersonCommand::Remove { id } => {
            people.remove(&access, id).map_err(failure)?;
            note(settings, Act::PersonRemoved, id.as_str())?;
            match look {
                Look::Json => out(&ascii_json(&serde_json::json!({"id": id, "removed": true}))),
                _ => err(&format!("person {id} is removed, and so is what they held")),
            }
        }
        PersonCommand::List => {
            if look != Look::Json {
                out("PERSON    ROLES                 NAME                      WHO");
            }
            for person in people.list(&access).map_err(failure)? {
                line(&person, look)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn new(flags: &AddPerson) -> Result<NewPerson, Failure> {
    let AddPerson { name, role, issuer, subject, email } = flags.clone();
    let identity = match (issuer, subject, email) {
        (Some(issuer), Some(subject), None) => Identity::Account { issuer, subject },
        (None, None, Some(email)) => Identity::Invited { email },
        _ => return Err(Failure::new(SETTINGS, "say who it is: --issuer and --subject, or --email")),
    };
    Ok(NewPerson { name, identity, roles: role })
}

fn told(person: &Person, what: &str, look: Look) -> Result<(), Failure> {
    if look == Look::Json {
        return line(person, look);
    }
    err(&format!("person {} {what}: {}", person.id, roles(person)));
    Ok(())
}

fn line(person: &Person, look: Look) -> Result<(), Failure> {
    if look == Look::Json {
        out(&ascii_json(&serde_json::to_value(person)?));
        return Ok(());
    }
    let who = match &person.identity {
        Identity::Account { issuer, subject } => format!("{subject} at {issuer}"),
        Identity::Invited { email } => format!("invited: {email}"),
    };
    let (name, who) = (encode::terminal_line(&person.name, 24), encode::terminal_line(&who, 200));
    out(&format!("{}  {:<20}  {name:<24}  {who}", person.id, roles(person)));
    Ok(())
}

fn roles(person: &Person) -> String {
    let names: Vec<_> = person.roles.iter().map(ToString::to_string).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn failure(error: AccessError) -> Failure {
    let code = match error {
        AccessError::NoPerson(_) => UNKNOWN,
        AccessError::Person(_) | AccessError::Beyond(_) => SETTINGS,
        _ => FAILED,
    };
    Failure::new(code, error.to_string())
}
