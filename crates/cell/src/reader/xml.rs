//! XML as office programs write it: no document type, and so no entities.

use autoshare_core::document::ReadRefusal;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Elements within each other at most.
const MAX_DEPTH: usize = 512;

/// A piece of a part.
pub(super) enum Piece<'a> {
    Start(Element<'a>),
    /// The local name of what ends.
    End(&'a str),
    Text(&'a str),
}

/// An element that begins.
pub(super) struct Element<'a> {
    start: &'a BytesStart<'a>,
}

impl Element<'_> {
    /// Its name without a prefix.
    pub(super) fn name(&self) -> &str {
        local(self.start.name().into_inner())
    }

    /// The value of an attribute: of this very name, or of one that has it after a prefix.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let exact = |key: &str| key == name;
        let value = |fits: &dyn Fn(&str) -> bool| {
            let mut attributes = self.start.attributes();
            let found = attributes.with_checks(false).flatten().find(|one| fits(one.key.into_inner()))?;
            found.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
        };
        value(&exact).or_else(|| value(&|key: &str| local(key) == name))
    }

    /// Whether a switch is on: there, and not said to be off.
    pub(super) fn is_on(&self) -> bool {
        self.get("val").is_none_or(|value| !matches!(value.as_str(), "0" | "false" | "off" | "none"))
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Goes through a part.
pub(super) fn walk(source: &str, mut each: impl FnMut(Piece<'_>)) -> Result<(), ReadRefusal> {
    let malformed = |why: String| ReadRefusal::Malformed { format: "application/xml".to_owned(), why_not: why };
    let mut reader = Reader::from_str(source.trim_start_matches('\u{feff}'));
    reader.config_mut().check_end_names = false;
    let mut depth = 0usize;
    loop {
        match reader.read_event().map_err(|e| malformed(e.to_string()))? {
            Event::Start(start) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(ReadRefusal::Bomb {
                        what: "elements within each other".to_owned(),
                        limit: MAX_DEPTH as u64,
                    });
                }
                each(Piece::Start(Element { start: &start }));
            }
            Event::Empty(start) => {
                each(Piece::Start(Element { start: &start }));
                each(Piece::End(local(start.name().into_inner())));
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                each(Piece::End(local(end.name().into_inner())));
            }
            Event::Text(text) => each(Piece::Text(&text.xml10_content())),
            Event::CData(text) => each(Piece::Text(&text.xml10_content())),
            Event::GeneralRef(reference) => {
                let name = reference.xml10_content();
                let known = match &*name {
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "amp" => Some('&'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    _ => reference.resolve_char_ref().ok().flatten(),
                };
                if let Some(c) = known {
                    each(Piece::Text(c.encode_utf8(&mut [0; 4])));
                }
            }
            Event::DocType(_) => {
                return Err(malformed("it has a document type, which no office program writes".to_owned()));
            }
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}
