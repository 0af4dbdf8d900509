//! What is worth keeping of a document, in one line, and the summary made of these lines.

use super::memory::{Memory, Plan, one_line};
use super::view::{self, Format};

/// How the note of a document begins that could not be read.
pub(super) const UNREAD: &str = "not read: ";
/// Characters of a note at most.
const MAX_NOTE: usize = 240;
/// Characters of a sentence within a note at most.
const MAX_SENTENCE: usize = 150;
/// Amounts, and dates, named in a note at most.
const MAX_NAMED: usize = 2;

/// The note of a document: its title and first sentence, and what its format makes worth telling.
pub(super) fn of(path: &str, body: &str) -> String {
    let text = match Format::of(path) {
        _ if body.trim().is_empty() => "(empty)".to_owned(),
        Format::Mail => mail(body),
        Format::Html => {
            let page = view::page(body);
            titled(&page.title, &page.text)
        }
        Format::Csv => table(body),
        Format::Text => prose(body),
    };
    cut(&one_line(&text), MAX_NOTE)
}

/// The beginning of a text, at most so many characters, with an ellipsis where something is missing.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let head: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", head.trim_end())
}

/// What a program printed, in one line.
pub(super) fn printed(body: &str) -> String {
    let told: Vec<&str> = body.lines().filter(|line| !(line.starts_with('[') && line.ends_with(']'))).collect();
    let told = told.join("\n").split_whitespace().collect::<Vec<_>>().join(" ");
    if told.is_empty() { "done, and nothing was printed".to_owned() } else { cut(&told, MAX_NOTE) }
}

fn mail(body: &str) -> String {
    let mail = view::mail(body);
    let from = mail.header("From").split('<').next().unwrap_or_default().trim().trim_matches('"').to_owned();
    let date: Vec<&str> =
        mail.header("Date").split_whitespace().skip_while(|word| word.ends_with(',')).take(3).collect();
    let told = titled(mail.header("Subject"), &mail.body);
    let from = [from, date.join(" ")].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    if from.is_empty() { told } else { format!("{told} ({from})") }
}

fn prose(body: &str) -> String {
    let headings = body.lines().filter(|line| !line.starts_with("#!")).find_map(|line| line.strip_prefix('#'));
    let heading = headings.map(|rest| rest.trim_start_matches('#').trim());
    titled(heading.unwrap_or_default(), body)
}

/// Title, first sentence, amounts and dates.
fn titled(title: &str, text: &str) -> String {
    let first = first_sentence(text).filter(|first| first != title).unwrap_or_default();
    let told = [title.trim(), &first].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
    let mut facts = amounts(text);
    facts.extend(dates(text));
    facts.retain(|fact| !told.contains(fact.as_str()));
    if facts.is_empty() { told } else { format!("{} [{}]", cut(&told, MAX_NOTE - 60), facts.join(", ")) }
}

/// The first sentence of the first paragraph that is prose: no heading, greeting, table, quotation or comment.
fn first_sentence(text: &str) -> Option<String> {
    const GREETINGS: &[&str] = &["hi", "hello", "dear", "good", "hallo", "hey", "thanks,", "morning"];
    for paragraph in text.replace("\r\n", "\n").split("\n\n") {
        let lines = paragraph.lines().map(str::trim);
        let marks = ["#", ">", "|", "<!--", "---", "===", "[//]", "```", "--"];
        let told = lines.filter(|line| !marks.iter().any(|mark| line.starts_with(mark)));
        let told = told.map(|line| line.trim_start_matches(['*', '-', '+', ' '])).collect::<Vec<_>>().join(" ");
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ").replace("**", "").replace('`', "");
        let mut words = told.split(' ');
        let greets = words.next().is_some_and(|word| GREETINGS.contains(&word.to_lowercase().as_str()));
        let count = told.split(' ').count();
        if count < 3 || (greets && count <= 5) {
            continue;
        }
        let mut end = told.len();
        for (at, c) in told.char_indices() {
            let next = told.get(at + c.len_utf8()..).unwrap_or_default();
            let ends = matches!(c, '.' | '!' | '?') && next.starts_with(' ') && at >= 20;
            if ends && next.trim_start().starts_with(char::is_uppercase) {
                end = at;
                break;
            }
        }
        return Some(cut(told.get(..end)?.trim_end_matches(['.', ':']), MAX_SENTENCE));
    }
    None
}

const CURRENCIES: &[&str] = &["EUR", "USD", "GBP", "CHF", "€", "$", "£"];

/// Amounts of money: those of lines that speak of a total first.
fn amounts(text: &str) -> Vec<String> {
    let is_number = |word: &str| {
        word.chars().any(|c| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_digit() || ".,'".contains(c))
    };
    let mut found: Vec<(bool, String)> = Vec::new();
    for line in text.lines() {
        let total = line.to_lowercase().contains("total") && !line.to_lowercase().contains("subtotal");
        let words: Vec<&str> =
            line.split(|c: char| c.is_whitespace() || "|()*;".contains(c)).filter(|word| !word.is_empty()).collect();
        for (at, word) in words.iter().enumerate() {
            let bare = word.trim_end_matches(['.', ',', ':']);
            let next = words.get(at + 1).map_or("", |next| next.trim_end_matches(['.', ',', ':']));
            let signed = bare.strip_prefix(['€', '$', '£']).is_some_and(is_number);
            if signed {
                found.push((total, bare.to_owned()));
            } else if is_number(bare) && CURRENCIES.contains(&next) {
                found.push((total, format!("{bare} {next}")));
            } else if CURRENCIES.contains(&bare) && is_number(next) && !found.iter().any(|(_, f)| f.ends_with(bare)) {
                found.push((total, format!("{next} {bare}")));
            }
        }
    }
    found.sort_by_key(|(total, _)| !total);
    let mut amounts: Vec<String> = found.into_iter().map(|(_, amount)| amount).collect();
    amounts.dedup();
    amounts.truncate(MAX_NAMED);
    amounts
}

/// Dates as ISO 8601 writes them.
fn dates(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '-'));
    let mut dates: Vec<String> = words.filter(|word| is_date(word)).map(str::to_owned).take(64).collect();
    dates.dedup();
    dates.truncate(MAX_NAMED);
    dates
}

fn is_date(word: &str) -> bool {
    word.len() == 10
        && word.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() })
}

/// Rows, columns, and the sums of what is numbers throughout.
fn table(body: &str) -> String {
    let rows = view::rows(body);
    let Some((head, rows)) = rows.split_first() else { return prose(body) };
    let columns = head.iter().map(|name| name.trim()).collect::<Vec<_>>().join(", ");
    let mut told = format!("{} rows of {}", rows.len(), cut(&columns, 90));
    let mut sums = Vec::new();
    for (at, name) in head.iter().enumerate() {
        let cells: Vec<&str> =
            rows.iter().filter_map(|row| row.get(at)).map(|c| c.trim()).filter(|c| !c.is_empty()).collect();
        let numbers: Vec<f64> = cells.iter().filter_map(|cell| number(cell)).collect();
        let lower = name.to_lowercase();
        let counts = !["id", "no", "number", "zip", "postcode", "phone", "year", "date", "month", "sku"]
            .iter()
            .any(|word| lower.split(|c: char| !c.is_alphanumeric()).any(|part| part == *word));
        // A stray remark in a column does not make it words.
        if counts && numbers.len() >= 2 && numbers.len() * 4 >= cells.len() * 3 {
            sums.push(format!("{} {}", name.trim(), short(numbers.iter().sum())));
        }
    }
    let days: Vec<String> = {
        let mut days: Vec<String> =
            rows.iter().flatten().map(|c| c.trim()).filter(|cell| is_date(cell)).map(str::to_owned).collect();
        days.sort();
        days
    };
    if let (Some(first), Some(last)) = (days.first(), days.last()) {
        told.push_str(&if first == last { format!(", {first}") } else { format!(", {first} to {last}") });
    }
    if !sums.is_empty() {
        sums.truncate(3);
        told.push_str(&format!("; sums: {}", sums.join(", ")));
    }
    told
}

fn number(cell: &str) -> Option<f64> {
    let bare: String = cell.chars().filter(|c| !"€$£ '".contains(*c)).collect();
    let decimal_comma = bare.contains(',') && !bare.contains('.');
    let bare = if decimal_comma { bare.replace(',', ".") } else { bare.replace(',', "") };
    let plain = bare.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-');
    if plain { bare.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

fn short(sum: f64) -> String {
    let text = format!("{sum:.2}");
    text.strip_suffix(".00").map_or(text.clone(), str::to_owned)
}

/// The summary of a folder, of about `room` bytes at most: a section for each folder, a line for each document.
pub(super) fn summary(plan: &Plan, into: &str, memory: &Memory<'_>, room: usize) -> String {
    let files: Vec<&String> = plan.files.iter().filter(|path| path.as_str() != into).collect();
    let read: Vec<(&str, &str)> = files.iter().filter_map(|path| Some((path.as_str(), memory.note(path)?))).collect();
    let fixed: usize = files.iter().map(|path| path.len() + 40).sum();
    let each = (room.saturating_sub(fixed) / read.len().max(1)).clamp(40, MAX_NOTE);
    let name = if plan.folder.is_empty() { "the folder" } else { plan.folder.as_str() };
    let mut text = format!("# Summary of {name}\n\n{} documents were read.\n", read.len());
    let mut section = None;
    for (path, note) in &read {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        if section != Some(folder) {
            section = Some(folder);
            text.push_str(&format!("\n## {}\n\n", if folder.is_empty() { "(top)" } else { folder }));
        }
        text.push_str(&format!("- **{file}**: {}\n", cut(note, each)));
    }
    let unread: Vec<&&String> = files.iter().filter(|path| memory.note(path).is_none()).collect();
    if !unread.is_empty() {
        text.push_str("\n## Could not be read\n\n");
        unread.iter().for_each(|path| text.push_str(&format!("- {}\n", one_line(path))));
    }
    if plan.more > 0 {
        text.push_str(&format!("\n{} more files were left out; {} are read at most.\n", plan.more, super::MAX_FILES));
    }
    text
}
