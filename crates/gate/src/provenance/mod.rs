//! What a brain has read, and where a value stands in it.

mod evidence;
mod index;
pub(crate) mod issued;
mod links;
pub(crate) mod normal;
mod secret;
mod sources;

use std::collections::{BTreeSet, HashMap};

use autoshare_core::Seq;
use autoshare_core::tool::{Action, Fields, Label, Role, ToolSpec, Words, WrittenBy};
use autoshare_core::verdict::Provenance;
use serde_json::Value;

pub use evidence::{MIN_DIGITS, MIN_EVIDENCE};
use evidence::{Weight, is_evidence, weight};
use index::Index;
use normal::spellings;
use secret::Secrets;

pub(crate) use links::{host, is_link, leads_on, links};
pub(crate) use normal::normal;
pub(crate) use secret::all as credentials;

/// Whether the place of a value says anything of it, wherever it stands: not that of a short or a common one.
pub(crate) fn is_telling(value: &str, role: Role) -> bool {
    weight(&normal(value), role) == Weight::Telling
}

/// Places in content that a search looks at: what is commoner stands in content, wherever.
const MAX_LOOKS: usize = 2_000;

/// Bytes of a source that are looked through for addresses at most.
const LOOKED_THROUGH: usize = 1 << 20;

/// What a brain was told by people it trusts, and what it read elsewhere.
///
/// Trusted words are the person's, and what an operator's contract vouches for. A value stands in them where one of its
/// spellings stands there on its own, as a whole word, path or address; a short or common one only where it is marked as
/// meant. It is an issued identifier if it is a whole leaf of a structured result, in a field that is one by the tool's
/// contract, and no text that was read speaks of it beside that. Else it stands in content, or the model made it. What stands
/// in trusted words *and* in content is trusted.
#[derive(Debug, Clone, Default)]
pub struct History {
    said: Index,
    /// What an operator's contract vouches for.
    vouched: Index,
    content: Index,
    /// By normal value: in which entries of the content it is a leaf, and how often.
    issued: HashMap<String, Issue>,
    /// What the model proposed before it stood in anything that was read.
    own: BTreeSet<String>,
    secrets: Secrets,
    /// Addresses that were fetched and stood in content alone, by source.
    fetched: HashMap<String, u64>,
}

#[derive(Debug, Clone)]
struct Issue {
    tool: String,
    field: String,
    at: Option<Seq>,
    /// (entry of the content, how often it is a leaf there), in the order of entries.
    leaves: Vec<(usize, usize)>,
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Where.
    pub provenance: Provenance,
    /// In which record of the journal.
    pub at: Option<Seq>,
}

impl History {
    /// A brain that has read nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the words of a person whom the brain works for.
    pub fn trust(&mut self, text: &str) {
        self.trust_at(None, text);
    }

    /// The same, with the record in which they stand.
    pub fn trust_at(&mut self, at: Option<Seq>, text: &str) {
        self.said.add("you", at, &normal(&normal::sentences(text)));
    }

    /// Adds what was read, with its source as the host knows it. Untrusted, whatever the source.
    pub fn add_content(&mut self, source: &str, text: &str) {
        self.read(source, None, text);
    }

    /// Adds the result of a tool, of which its server may have said more than text.
    pub fn add_result(
        &mut self,
        at: Option<Seq>,
        source: &str,
        spec: &ToolSpec,
        text: &str,
        structured: Option<&Value>,
    ) {
        self.add_labelled(at, source, spec, text, structured, Label::default());
    }

    /// The same of a result that its server put a label on. A label only lowers: of what is untrusted nothing is the
    /// operator's or issued, and once something private was read, everything that leaves may carry it.
    pub fn add_labelled(
        &mut self,
        at: Option<Seq>,
        source: &str,
        spec: &ToolSpec,
        text: &str,
        structured: Option<&Value>,
        label: Label,
    ) {
        if label.private {
            self.secrets.read(source);
        }
        if spec.result.words == Words::Operator && !label.untrusted {
            self.vouched.add(source, at, &normal(text));
            self.note_found(source, text);
            if let Some(value) = structured {
                self.note_secrets(source, spec, value);
            }
            return;
        }
        self.read(source, at, text);
        let by_operator = spec.served.as_ref().is_some_and(|served| served.contract == WrittenBy::Operator);
        let parsed = || match spec.result.issued {
            // The operator says that what is in these fields is the server's, also where it comes as text.
            Fields::These(_) if by_operator => serde_json::from_str(text).ok(),
            _ => None,
        };
        let Some(value) = structured.cloned().or_else(parsed) else { return };
        self.note_secrets(source, spec, &value);
        if label.untrusted {
            // Whole, so that each value of it stands in content.
            self.read_unrendered(source, at, text, &value, &[]);
            return self.content.add(source, at, &normal(&value.to_string()));
        }
        let entry = self.content.len().saturating_sub(1);
        let leaves = issued::leaves(spec, &value);
        if let Some(value) = structured.filter(|_| !leaves.is_empty()) {
            self.read_unrendered(source, at, text, value, &leaves);
        }
        for leaf in leaves {
            let issue = self.issued.entry(leaf.value).or_insert_with(|| Issue {
                tool: spec.name.clone(),
                field: leaf.field,
                at,
                leaves: Vec::new(),
            });
            match issue.leaves.last_mut() {
                Some((last, count)) if *last == entry => *count += 1,
                _ => issue.leaves.push((entry, 1)),
            }
        }
    }

    /// Adds the words of a structured result that its text may not show: then the text would have room for others that
    /// speak of what the result issues. A text that is the same as JSON shows them all.
    fn read_unrendered(&mut self, source: &str, at: Option<Seq>, text: &str, value: &Value, leaves: &[issued::Leaf]) {
        if serde_json::from_str::<Value>(text).is_ok_and(|rendered| rendered == *value) {
            return;
        }
        let issued: BTreeSet<&str> = leaves.iter().map(|leaf| leaf.value.as_str()).collect();
        let words: Vec<String> = texts(value, "result").into_iter().map(|(_, text)| normal(text)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !issued.contains(word)).collect();
        if !words.is_empty() {
            self.content.add(source, at, &words.join("\n"));
        }
    }

    fn read(&mut self, source: &str, at: Option<Seq>, text: &str) {
        self.content.add(source, at, &normal(text));
        self.note_found(source, text);
    }

    /// Whoever wrote it: what is a secret by its form is one.
    fn note_found(&mut self, source: &str, text: &str) {
        for found in secret::all(text) {
            self.secrets.add_found(found);
            self.secrets.read(source);
        }
    }

    fn note_secrets(&mut self, source: &str, spec: &ToolSpec, value: &Value) {
        let is_marked = |name: &str| secret::is_name(name) || spec.result.secret.iter().any(|field| field == name);
        let whole = spec.result.secret.iter().any(|field| field == "*");
        for (field, text) in texts(value, "result") {
            if whole || is_marked(field) {
                self.secrets.add_found(text);
                self.secrets.read(source);
            }
        }
    }

    /// Notes that something secret was readable there: a file that is marked as secret, or a cell that holds one. From then
    /// on everything that leaves may carry it.
    pub fn secret_was_readable(&mut self, source: &str) {
        self.secrets.read(source);
    }

    /// Adds the value of a secret, to be looked for in what leaves.
    pub fn add_secret(&mut self, value: &str) {
        self.secrets.add_known(value);
    }

    /// Adds an action that the model proposed: what stands in nothing read so far is its own, even if something that is
    /// read later (such as the output of that very command) repeats it.
    pub fn propose(&mut self, action: &Action) {
        for value in action.args.values() {
            if let (Value::String(text), false) = (value, matches!(self.origin(value), Provenance::Content { .. })) {
                self.own.insert(normal(text));
            }
        }
    }

    /// Whether the model proposed it before it stood in anything that was read.
    #[must_use]
    pub fn is_own(&self, value: &Value) -> bool {
        value.as_str().is_some_and(|text| self.own.contains(&normal(text)))
    }

    /// Notes that an address was fetched.
    pub fn note_fetched(&mut self, address: &str) {
        if let Provenance::Content { source } = self.locate_address(address).provenance {
            *self.fetched.entry(source).or_default() += 1;
        }
    }

    /// The addresses that stand in a source, in normal form; of a source beyond [`LOOKED_THROUGH`] those at its beginning.
    pub(crate) fn links_in(&self, source: &str) -> impl Iterator<Item = &str> {
        let mut room = LOOKED_THROUGH;
        let texts = self.content.texts(source).map_while(move |text| {
            let text = text.get(..text.floor_char_boundary(room)).filter(|text| !text.is_empty())?;
            room -= text.len();
            Some(text)
        });
        texts.flat_map(links)
    }

    /// How many addresses that stand in this source alone were fetched.
    #[must_use]
    pub fn fetched_from(&self, source: &str) -> u64 {
        self.fetched.get(source).copied().unwrap_or_default()
    }

    /// Whether anything untrusted was read.
    #[must_use]
    pub fn is_tainted(&self) -> bool {
        !self.content.is_empty() || self.content.overflowed()
    }

    /// The sources that were read, the latest first.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        let mut seen = BTreeSet::new();
        self.content.sources().filter(move |source| seen.insert(*source))
    }

    /// Where something secret was readable, if anything was.
    #[must_use]
    pub fn secret_read(&self) -> Option<&str> {
        self.secrets.read_in()
    }

    /// Whether a text holds a secret, in plain or in an encoded form.
    #[must_use]
    pub fn holds_secret(&self, text: &str) -> bool {
        self.secrets.stands_in(text)
    }

    /// A text without what somebody trusted called secret, for whoever is to be shown it; `None` if it holds nothing of that.
    #[must_use]
    pub fn struck(&self, text: &str) -> Option<String> {
        self.secrets.struck(text)
    }

    /// Whether a text holds one that somebody trusted called secret, not only what looks like one.
    #[must_use]
    pub fn holds_known_secret(&self, text: &str) -> bool {
        self.secrets.known_stands_in(text)
    }

    /// Where a value stands, whatever it is for.
    #[must_use]
    pub fn origin(&self, value: &Value) -> Provenance {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.locate(&text, Role::Content).provenance
    }

    /// Where a value of this role stands. Of several sources the earliest read is named.
    #[must_use]
    pub fn locate(&self, value: &str, role: Role) -> Located {
        let forms = spellings(value);
        if let Some(found) = self.stands_in_trusted(&forms, role) {
            return found;
        }
        if let Some(found) = self.issued_as(&forms, role) {
            return found;
        }
        self.stands_in_content(&forms).unwrap_or_else(|| Located { provenance: self.made(), at: None })
    }

    /// Where an address that is to be fetched stands. That a tool lists it says nothing about who chose it.
    #[must_use]
    pub fn locate_address(&self, address: &str) -> Located {
        let forms = spellings(address);
        if let Some(found) = self.stands_in_trusted(&forms, Role::Target) {
            return found;
        }
        self.stands_in_content(&forms).unwrap_or_else(|| Located { provenance: self.made(), at: None })
    }

    fn made(&self) -> Provenance {
        if self.is_tainted() { Provenance::TaintedModel } else { Provenance::Model }
    }

    /// In the person's words; else in what the operator vouches for.
    fn stands_in_trusted(&self, forms: &[String], role: Role) -> Option<Located> {
        let weight = weight(forms.first()?, role);
        let entry = |index: &'_ Index, form: &String| {
            let found = index.find(form, usize::MAX)?.find(|found| is_evidence(found, weight))?;
            index.entry(&found).map(|entry| (entry.source.clone(), entry.at))
        };
        let said = forms.iter().find_map(|form| entry(&self.said, form));
        let said = said.map(|(_, at)| Located { provenance: Provenance::User, at });
        said.or_else(|| {
            let (source, at) = forms.iter().find_map(|form| entry(&self.vouched, form))?;
            Some(Located { provenance: Provenance::Operator { source }, at })
        })
    }

    /// An identifier that a tool issued, unless a text speaks of it: then whoever wrote that may have chosen it.
    fn issued_as(&self, forms: &[String], role: Role) -> Option<Located> {
        let own = forms.first()?;
        let issue = self.issued.get(own)?;
        let weight = weight(own, role);
        let found = self.content.find(own, MAX_LOOKS)?;
        let mut spoken: HashMap<usize, usize> = HashMap::new();
        for mention in found.filter(|found| is_evidence(found, weight)) {
            *spoken.entry(mention.entry).or_default() += 1;
        }
        let as_leaf = |entry: usize| {
            let at = issue.leaves.binary_search_by_key(&entry, |(entry, _)| *entry).ok();
            at.and_then(|at| issue.leaves.get(at)).map_or(0, |(_, count)| *count)
        };
        if spoken.iter().any(|(entry, count)| *count > as_leaf(*entry)) {
            return None;
        }
        let provenance = Provenance::Issued { tool: issue.tool.clone(), field: issue.field.clone() };
        Some(Located { provenance, at: issue.at })
    }

    fn stands_in_content(&self, forms: &[String]) -> Option<Located> {
        let mut first: Option<Located> = None;
        for form in forms {
            let Some(mut found) = self.content.find(form, MAX_LOOKS) else {
                let source = "many places".to_owned();
                return Some(Located { provenance: Provenance::Content { source }, at: None });
            };
            let Some(entry) = found.next().and_then(|found| self.content.entry(&found)) else { continue };
            if first.as_ref().is_none_or(|first| entry.at < first.at) {
                let source = entry.source.clone();
                first = Some(Located { provenance: Provenance::Content { source }, at: entry.at });
            }
        }
        first
    }

    /// Whether trusted words name this path.
    #[must_use]
    pub fn names(&self, path: &str) -> bool {
        let path = normal(path);
        let forms = [format!("./{path}"), path];
        forms.iter().any(|form| self.stands_in_trusted(std::slice::from_ref(form), Role::Target).is_some())
    }
}

/// The texts of a value, each with the field that it stands in.
fn texts<'v>(value: &'v Value, field: &'v str) -> Vec<(&'v str, &'v str)> {
    match value {
        Value::String(text) => vec![(field, text)],
        Value::Array(members) => members.iter().flat_map(|member| texts(member, field)).collect(),
        Value::Object(map) => map.iter().flat_map(|(name, member)| texts(member, name)).collect(),
        _ => Vec::new(),
    }
}
