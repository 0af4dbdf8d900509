//! Addresses in a text that a reader, or the program that shows it, would follow.

/// Ends of host names that programs make links of without being told to.
const COMMON_ENDS: &[&str] = &[
    "com", "net", "org", "io", "ai", "dev", "app", "co", "info", "biz", "me", "xyz", "site", "online", "top", "shop",
    "page", "link", "click", "cloud", "tech", "store", "ly", "gg", "to", "us", "uk", "eu", "de", "fr", "it", "es",
    "nl", "ch", "at", "be", "pl", "cz", "se", "no", "dk", "fi", "pt", "gr", "ie", "ca", "au", "nz", "jp", "cn", "kr",
    "in", "br", "mx", "ru", "ua", "tr", "za", "sg", "hk", "tv", "cc", "ws", "edu", "gov", "mil", "int", "example",
    "test", "local", "onion",
];

/// The addresses in a text: with a scheme, of mail, or host names as programs make links of.
pub(crate) fn links(text: &str) -> Vec<&str> {
    let apart = |c: char| {
        c.is_whitespace()
            || matches!(c, '"' | '\'' | '`' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';' | '|' | '*')
    };
    text.split(apart).map(|word| word.trim_matches(['.', ':', '!', '?'])).filter(|word| is_link(word)).collect()
}

pub(crate) fn is_link(word: &str) -> bool {
    if word.contains("://") || word.starts_with("//") || starts_with(word, "www.") || starts_with(word, "mailto:") {
        return word.len() > 5;
    }
    if starts_with(word, "data:") || starts_with(word, "javascript:") {
        return true;
    }
    let (before, host) = word.rsplit_once('@').unwrap_or(("", word));
    let (host, path) = host.split_once(['/', '?', '#']).unwrap_or((host, ""));
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let labels: Vec<&str> = host.split('.').collect();
    let has_labels = labels.len() >= 2 && labels.iter().all(|label| is_label(label));
    let end = labels.last().map(|end| end.to_lowercase()).unwrap_or_default();
    let is_address = has_labels && end.len() >= 2 && end.chars().all(char::is_alphabetic);
    let is_numbers = labels.len() == 4 && labels.iter().all(|label| label.parse::<u8>().is_ok());
    match (before.is_empty(), path.is_empty()) {
        (false, _) => is_address,
        (true, false) => is_address || is_numbers,
        (true, true) => is_numbers || (is_address && COMMON_ENDS.contains(&end.as_str())),
    }
}

/// Whether an address is more than the bare name of a host or a mailbox: whoever follows it hands over what it says.
pub(crate) fn leads_on(address: &str) -> bool {
    address.contains(['/', ':', '?', '#']) || starts_with(address, "www.")
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-')
}

fn starts_with(word: &str, start: &str) -> bool {
    word.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// The host of an address, in lower case; `None` if it has none, or none that every reader would find there.
pub(crate) fn host(address: &str) -> Option<String> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#', '\\']).next()?;
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let (host, port) = host.split_once(':').unwrap_or((host, ""));
    let host = host.trim_end_matches('.');
    let is_plain =
        port.bytes().all(|b| b.is_ascii_digit()) && !host.contains(|c: char| c.is_whitespace() || c.is_control());
    (is_plain && !host.is_empty()).then(|| host.to_lowercase())
}
