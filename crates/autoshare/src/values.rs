//! The values of an action, each with where it stands, in words and colours for a person.

use autoshare_core::tool::{Action, Role};
use autoshare_core::verdict::{Origin, Provenance, Verdict};
use autoshare_guard::encode;
use console::Style;
use serde_json::Value;

/// Bytes of one value that are shown before it is said how many more there are.
const SHOWN: usize = 2_000;
/// Values that are shown before it is said how many more there are.
const MAX_VALUES: usize = 200;
/// Bytes of a value that stands on the line of its name.
const INLINE: usize = 120;

/// One scalar of an action.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scalar<'v> {
    /// The way to it, such as `to[0]` or `file.name`.
    pub(crate) path: String,
    /// It, as text, as it came.
    pub(crate) text: String,
    /// Where it stands, or where the members of the list stand that it is. Nothing, where the gate did not say.
    pub(crate) origins: Vec<&'v Origin>,
}

/// All scalars of an action, in its order. Empty lists and records are shown as what they are.
pub(crate) fn scalars<'v>(action: &Action, verdict: &'v Verdict) -> Vec<Scalar<'v>> {
    let mut found = Vec::new();
    for (name, value) in &action.args {
        visit(name, name, value, &verdict.origins, &mut found);
    }
    found
}

fn visit<'v>(param: &str, path: &str, value: &Value, origins: &'v [Origin], found: &mut Vec<Scalar<'v>>) {
    match value {
        Value::Array(members) if !members.is_empty() => {
            for (at, member) in members.iter().enumerate() {
                visit(param, &format!("{path}[{at}]"), member, origins, found);
            }
        }
        Value::Object(map) if !map.is_empty() => {
            for (name, member) in map {
                visit(param, &format!("{path}.{name}"), member, origins, found);
            }
        }
        scalar => {
            let text = scalar.as_str().map_or_else(|| scalar.to_string(), str::to_owned);
            found.push(Scalar { path: path.to_owned(), text, origins: origins_of(param, path, origins) });
        }
    }
}

/// What the gate said of a scalar: of it, of the members of the list that its text is (`to#0`), or of the whole parameter.
fn origins_of<'v>(param: &str, path: &str, origins: &'v [Origin]) -> Vec<&'v Origin> {
    let own = |origin: &&Origin| origin.param.strip_prefix(path).is_some_and(|rest| rest.is_empty() || is_member(rest));
    let found: Vec<&Origin> = origins.iter().filter(own).collect();
    if found.is_empty() { origins.iter().filter(|origin| origin.param == param).collect() } else { found }
}

fn is_member(rest: &str) -> bool {
    rest.strip_prefix('#').is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The values as lines, indented. What a value says stands in quotation marks, or, where it has such marks or lines of its
/// own, behind a bar: nothing in a value looks like a line or a word of ours.
pub(crate) fn lines(action: &Action, verdict: &Verdict, style: &Style, more: &str) -> String {
    let scalars = scalars(action, verdict);
    let mut text = String::new();
    for scalar in scalars.iter().take(MAX_VALUES) {
        text.push_str(&line(scalar, style, more));
    }
    if scalars.len() > MAX_VALUES {
        text.push_str(&format!("  ... and {} values more ({more})\n", scalars.len() - MAX_VALUES));
    }
    text
}

/// One value, and where it stands.
pub(crate) fn line(scalar: &Scalar<'_>, style: &Style, more: &str) -> String {
    let name = encode::terminal_line(&scalar.path, 64);
    let role = scalar.origins.first().and_then(|origin| origin.role).map(|role| format!(" ({})", role_word(role)));
    let head = format!("  {name}{}:", role.unwrap_or_default());
    let shown = scalar.text.get(..scalar.text.floor_char_boundary(SHOWN)).unwrap_or_default();
    let encoded = encode::terminal(shown);
    let from = from(&scalar.origins, style);
    let is_plain = !encoded.contains(['\n', '\t', '"', '\\']) && scalar.text.len() <= INLINE;
    if is_plain {
        return format!("{head} \"{encoded}\"{from}\n");
    }
    let mut text = format!("{head}{from}\n");
    for line in encoded.split('\n') {
        text.push_str(&format!("      | {line}\n"));
    }
    if shown.len() < scalar.text.len() {
        text.push_str(&format!("      ... and {} bytes more ({more})\n", scalar.text.len() - shown.len()));
    }
    text
}

/// Where a value stands; of a list, where each member does.
fn from(origins: &[&Origin], style: &Style) -> String {
    match origins {
        [] => String::new(),
        [origin] => format!("   {}", coloured(origin, style)),
        members => members
            .iter()
            .map(|origin| format!("\n      {}: {}", encode::terminal_line(&origin.param, 64), coloured(origin, style)))
            .collect(),
    }
}

fn coloured(origin: &Origin, style: &Style) -> String {
    let colour = match &origin.provenance {
        Provenance::Operator { .. } | Provenance::User => style.clone().green(),
        Provenance::Issued { .. } | Provenance::Model => style.clone().yellow(),
        Provenance::TaintedModel | Provenance::Content { .. } => style.clone().red(),
    };
    let words = colour.apply_to(provenance(&origin.provenance)).to_string();
    if origin.secret { format!("{words}, {}", style.clone().red().apply_to("and is or holds a secret")) } else { words }
}

/// Where a value stands, for a person.
pub(crate) fn provenance(from: &Provenance) -> String {
    match from {
        Provenance::Operator { source } => {
            format!("from {}, which the operator vouches for", encode::terminal_line(source, 80))
        }
        Provenance::User => "in your own words".to_owned(),
        Provenance::Issued { tool, field } => {
            format!("issued by {} as {}", encode::terminal_line(tool, 40), encode::terminal_line(field, 40))
        }
        Provenance::Model => "made by the model".to_owned(),
        Provenance::TaintedModel => "made by the model after it read what others wrote".to_owned(),
        Provenance::Content { source } => {
            format!("from {}, which you did not write", encode::terminal_line(source, 80))
        }
    }
}

/// A role's name.
pub(crate) const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Target => "target",
        Role::Amount => "amount",
        Role::Secret => "secret",
        Role::Content => "content",
        Role::Query => "query",
        Role::Option => "option",
    }
}
