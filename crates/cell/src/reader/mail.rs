//! A mail as a mail program shows it: its body, with quotations marked; who wrote and what is attached stands aside.
//!
//! Of the forms that a mail brings of the same text, the one that is shown counts (HTML where there is one); the other
//! may say something else, and is taken out.

use std::collections::HashSet;

use autoshare_core::document::{AsideKind, Document, Format, ReadRefusal, RemovedKind};
use mail_parser::{Address, HeaderName, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders as _, PartType};

use super::html;
use super::page::{Gap, Page};

/// Mails within mails at most: each is a level of the parser's tree.
const MAX_NESTED: usize = 32;
/// People of a header at most: a list of thousands says no more than its beginning, and how long it is.
const MAX_PEOPLE: usize = 64;
/// Parts that are shown, and attachments that are named, at most; the text of more is left out, and said.
const MAX_PARTS: usize = 256;

/// Reads a mail.
pub(crate) fn read(bytes: &[u8]) -> Result<Document, ReadRefusal> {
    if memchr::memmem::find_iter(&bytes.to_ascii_lowercase(), "message/rfc822").count() > MAX_NESTED {
        return Err(ReadRefusal::Bomb { what: "mails within each other".to_owned(), limit: MAX_NESTED as u64 });
    }
    let malformed =
        |why: &str| ReadRefusal::Malformed { format: Format::Mail.mime().to_owned(), why_not: why.to_owned() };
    let message = MessageParser::default().parse(bytes).ok_or_else(|| malformed("it has no headers"))?;
    let mut page = Page::new(Format::Mail);
    headers(&message, &mut page);
    for (at, id) in message.html_body.iter().enumerate() {
        match message.part(*id).map(|part| &part.body) {
            Some(PartType::Html(source) | PartType::Text(source)) if at >= MAX_PARTS => page.left_out(source.len()),
            Some(PartType::Html(source)) => html::write(source, &mut page),
            Some(PartType::Text(text)) => {
                page.gap(Gap::Paragraph);
                page.exact(text.trim_end(), super::page::Place::Seen);
            }
            _ => {}
        }
        page.gap(Gap::Paragraph);
    }
    let shown: HashSet<u32> = message.html_body.iter().copied().collect();
    for id in message.text_body.iter().filter(|id| !shown.contains(id)) {
        if let Some(PartType::Text(text)) = message.part(*id).map(|part| &part.body)
            && !text.trim().is_empty()
        {
            page.removed(RemovedKind::Template, text);
        }
    }
    for (at, part) in message.attachments().enumerate() {
        if at < MAX_PARTS {
            page.aside(AsideKind::Attachment, &attachment(part));
        } else {
            page.more_asides();
        }
    }
    Ok(page.finish())
}

fn headers(message: &Message<'_>, page: &mut Page) {
    let wanted = [
        ("From", HeaderName::From),
        ("Sender", HeaderName::Sender),
        ("Reply-To", HeaderName::ReplyTo),
        ("To", HeaderName::To),
        ("Cc", HeaderName::Cc),
        ("Date", HeaderName::Date),
        ("Subject", HeaderName::Subject),
    ];
    for (label, name) in wanted {
        if let Some(value) = message.header(name).map(value).filter(|value| !value.is_empty()) {
            page.aside(AsideKind::Header, &format!("{label}: {value}"));
        }
    }
}

/// A header's value on one line.
fn value(value: &HeaderValue<'_>) -> String {
    let text = match value {
        HeaderValue::Text(text) => text.to_string(),
        HeaderValue::TextList(texts) => texts.join(", "),
        HeaderValue::DateTime(date) => date.to_rfc3339(),
        HeaderValue::Address(addresses) => people(addresses),
        _ => String::new(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn people(addresses: &Address<'_>) -> String {
    let person = |(name, address): (Option<&str>, Option<&str>)| match (name, address) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (one, other) => one.or(other).unwrap_or_default().to_owned(),
    };
    let mut all: Vec<String> =
        addresses.iter().take(MAX_PEOPLE).map(|one| person((one.name(), one.address()))).collect();
    let more = addresses.iter().skip(MAX_PEOPLE).count();
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all.join(", ")
}

fn attachment(part: &MessagePart<'_>) -> String {
    let name = part.attachment_name().unwrap_or("unnamed");
    let kind = part.content_type().map_or_else(
        || "unknown type".to_owned(),
        |kind| format!("{}/{}", kind.c_type, kind.c_subtype.as_deref().unwrap_or("*")),
    );
    format!("{name} ({kind}, {} bytes)", part.len())
}
