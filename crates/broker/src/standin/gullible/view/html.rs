//! Web pages, well enough to say what stands in them; not a parser to trust with anything.

/// A page taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Page {
    pub(in super::super) title: String,
    /// What a reader sees: a line for each block.
    pub(in super::super) text: String,
    /// What a reader does not see: comments, attributes, scripts, hidden elements.
    hidden: Vec<String>,
}

impl Page {
    /// Everything that it says.
    pub(in super::super) fn spoken(&self) -> String {
        format!("{}\n\n{}\n\n{}", self.title, self.text, self.hidden.join("\n\n"))
    }
}

const BLOCKS: &[&str] = &[
    "p",
    "div",
    "br",
    "li",
    "ul",
    "ol",
    "tr",
    "td",
    "th",
    "table",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "section",
    "article",
    "header",
    "footer",
    "main",
    "nav",
    "title",
    "blockquote",
    "pre",
    "hr",
    "body",
    "head",
    "html",
    "aside",
    "figure",
];
const VOID: &[&str] = &["br", "img", "hr", "meta", "link", "input", "source", "wbr"];
/// Bytes of a character's name at most.
const MAX_ENTITY: usize = 8;
/// Attributes whose values are words.
const TOLD: &[&str] = &["alt=", "title=", "content=", "aria-label=", "placeholder="];

/// Where the text that follows goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Into {
    Text,
    Title,
    Hidden,
}

pub(in super::super) fn page(text: &str) -> Page {
    let mut page = Page::default();
    let mut unseen = String::new();
    // The element that hides or titles what is in it, and how often an element of its name is open in it.
    let mut within: Option<(String, usize)> = None;
    let mut into = Into::Text;
    let mut rest = text;
    while !rest.is_empty() {
        let (before, after) = rest.find('<').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
        let words = entities(before);
        match into {
            Into::Text => page.text.push_str(&words),
            Into::Title => page.title.push_str(&words),
            Into::Hidden => unseen.push_str(&words),
        }
        if let Some(comment) = after.strip_prefix("<!--") {
            let (inner, next) = comment.split_once("-->").unwrap_or((comment, ""));
            page.hidden.push(entities(inner));
            rest = next;
            continue;
        }
        let Some(tag) = after.strip_prefix('<') else { break };
        // "<" that opens no tag, as in "a < b", or in chat tokens such as "<|im_start|>".
        if !tag.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!') {
            page.text.push('<');
            rest = tag;
            continue;
        }
        let (tag, next) = tag.split_once('>').unwrap_or((tag, ""));
        rest = next;
        page.hidden.extend(TOLD.iter().filter_map(|name| attribute(tag, name)).map(|value| entities(&value)));
        let closes = tag.starts_with('/');
        let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        let name = name.to_lowercase();
        if BLOCKS.contains(&name.as_str()) {
            let lines = if into == Into::Hidden { &mut unseen } else { &mut page.text };
            lines.push_str(if name == "br" { "\n" } else { "\n\n" });
        }
        match &mut within {
            Some((open, depth)) if *open == name => {
                *depth = if closes { depth.saturating_sub(1) } else { *depth + 1 };
                if *depth == 0 {
                    within = None;
                    into = Into::Text;
                    page.hidden.push(std::mem::take(&mut unseen));
                }
            }
            Some(_) => {}
            None if closes || VOID.contains(&name.as_str()) || tag.ends_with('/') => {}
            None => {
                let hides = ["script", "style", "noscript", "template"].contains(&name.as_str()) || is_hidden(tag);
                if hides || name == "title" {
                    into = if hides { Into::Hidden } else { Into::Title };
                    within = Some((name, 1));
                }
            }
        }
    }
    page.hidden.push(unseen);
    page.title = page.title.split_whitespace().collect::<Vec<_>>().join(" ");
    page
}

fn is_hidden(tag: &str) -> bool {
    let style: String = tag.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
    let marks =
        ["display:none", "visibility:hidden", "font-size:0", "color:#fff", "color:white", "hidden=", "opacity:0"];
    marks.iter().any(|mark| style.contains(mark)) || tag.split_whitespace().any(|word| word == "hidden")
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let at = tag.to_ascii_lowercase().find(name)?;
    let value = tag.get(at + name.len()..)?;
    let mark = value.chars().next().filter(|c| *c == '"' || *c == '\'')?;
    Some(value.get(1..)?.split(mark).next()?.to_owned())
}

/// The named and numbered characters that occur in plain prose.
fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        // No further than a name may be long: a text full of "&" would be read to its end for each.
        let near = after.get(..after.floor_char_boundary(MAX_ENTITY + 1)).unwrap_or_default();
        let name = near.split_once(';').map(|(name, _)| name);
        let number = name.and_then(|name| name.strip_prefix('#')).and_then(|number| {
            number.strip_prefix('x').map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())
        });
        let character = match name {
            Some("amp") => Some('&'),
            Some("lt") => Some('<'),
            Some("gt") => Some('>'),
            Some("quot") => Some('"'),
            Some("apos") => Some('\''),
            Some("nbsp") => Some(' '),
            Some("euro") => Some('€'),
            Some("mdash") => Some('—'),
            Some("ndash") => Some('–'),
            Some("auml") => Some('ä'),
            Some("ouml") => Some('ö'),
            Some("uuml") => Some('ü'),
            Some("eacute") => Some('é'),
            _ => number.and_then(char::from_u32),
        };
        rest = match (character, name) {
            (Some(c), Some(name)) => {
                out.push(c);
                after.get(name.len() + 1..).unwrap_or_default()
            }
            _ => {
                out.push('&');
                after
            }
        };
    }
    out.push_str(rest);
    out
}
