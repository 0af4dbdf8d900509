//! English words for what people ask of tools: verbs by what they do, nouns by what they mean. Used to draw up a warrant
//! without a model; and every word here is too common for its place in a text to be evidence of anything.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Verbs in their base form, by what they do. A verb may be in several.
const VERBS: &[&[&str]] = &[
    // To tell somebody something.
    &[
        "send", "message", "dm", "email", "mail", "text", "write", "reply", "respond", "answer", "notify", "tell", "inform",
        "forward", "contact", "ping", "deliver", "submit", "remind", "alert", "invoice", "fax", "pass", "let", "ask", "thank",
        "congratulate", "say",
    ],
    // To move money.
    &["pay", "transfer", "wire", "refund", "reimburse", "remit", "donate", "tip", "send", "settle", "repay", "return", "give"],
    // To make public.
    &["post", "publish", "share", "tweet", "announce", "upload", "broadcast", "comment", "push", "put", "write", "reply", "submit"],
    // To make something new.
    &[
        "create", "add", "make", "schedule", "book", "reserve", "plan", "arrange", "organize", "organise", "register", "open",
        "insert", "generate", "draft", "save", "record", "setup", "put", "start", "append", "store", "write", "copy", "set",
        "enter", "place", "new", "block",
    ],
    // To change what is there.
    &[
        "update", "change", "modify", "edit", "adjust", "set", "rename", "reschedule", "move", "fix", "correct", "increase",
        "decrease", "raise", "lower", "extend", "replace", "adapt", "revise", "mark", "append", "reset", "switch", "alter",
        "postpone", "delay", "complete", "close", "assign", "add",
    ],
    // To take away.
    &[
        "delete", "remove", "cancel", "erase", "drop", "clear", "unsubscribe", "kick", "revoke", "archive", "trash", "discard",
        "purge", "wipe", "destroy", "uninstall", "unshare", "ban", "expel",
    ],
    // To let somebody in.
    &["invite", "add", "enroll", "enrol", "join", "onboard", "include", "share", "grant", "allow", "admit"],
    // To get for money.
    &["buy", "purchase", "order", "checkout", "subscribe", "rent", "book", "reserve"],
    // To have something done.
    &["run", "execute", "start", "launch", "trigger", "deploy", "build", "install", "restart", "stop", "kill", "restore"],
    // To say yes.
    &["approve", "accept", "confirm", "merge", "sign", "authorize", "authorise", "decline", "reject"],
];

/// The class of the verbs that take away.
pub(crate) const DELETES: u32 = 1 << 5;

/// Verbs whose tools only look.
const LOOKS: &[&str] = &[
    "get", "list", "read", "search", "find", "show", "describe", "count", "check", "lookup", "look", "view", "query", "browse",
    "fetch", "retrieve", "inspect", "print", "compare", "summarize", "summarise", "calculate", "compute", "convert", "validate",
    "verify", "is", "has", "exists", "what", "who", "when", "where", "echo", "help", "ping", "status", "info", "analyze",
    "analyse", "sum", "test", "sample", "tree", "head", "tail", "grep", "stat", "diff", "log", "blame", "annotated", "whoami",
];

/// Words that are verbs as well as nouns: taken for a verb only where a verb stands.
const AMBIGUOUS: &[&str] = &[
    "message", "dm", "email", "mail", "text", "answer", "contact", "invoice", "wire", "tip", "refund", "transfer", "return",
    "post", "share", "tweet", "comment", "push", "schedule", "book", "plan", "register", "open", "draft", "record", "start",
    "store", "copy", "set", "place", "new", "block", "update", "change", "move", "fix", "correct", "lower", "mark", "switch",
    "drop", "clear", "archive", "trash", "order", "rent", "run", "launch", "build", "stop", "sign", "reply", "forward", "pass",
    "complete", "close", "reset", "delay", "log", "include", "save", "raise", "increase", "decrease", "purchase", "test",
    "fax", "let", "alert", "put", "like", "use", "ask", "contact", "let", "give", "kick", "ban", "sum", "tell", "say", "join",
];

/// Nouns that mean the same to a person who asks for something.
const NOUNS: &[&[&str]] = &[
    &[
        "money", "payment", "transaction", "transfer", "rent", "bill", "invoice", "fee", "refund", "difference", "amount",
        "dollar", "euro", "price", "iban", "standing", "bank", "salary", "deposit", "cash", "subscription", "cost", "fund",
        "share", "bucks", "total",
    ],
    &["message", "dm", "chat", "reply", "note", "feedback", "congratulation", "question"],
    &["email", "mail", "inbox", "letter", "newsletter"],
    &["event", "meeting", "appointment", "calendar", "call", "lunch", "dinner", "breakfast", "reminder", "session", "schedule"],
    &["file", "document", "doc", "folder", "sheet", "report", "attachment", "drive", "spreadsheet", "directory", "path", "text"],
    &[
        "user", "person", "people", "colleague", "member", "participant", "friend", "employee", "someone", "somebody",
        "everyone", "everybody", "recipient", "sender", "contact", "customer", "client", "boss", "manager", "landlord", "team",
        "guest", "attendee", "assignee", "owner", "staff", "company", "merchant", "shop", "teammate", "partner", "husband",
        "wife", "brother", "sister", "mother", "father", "mom", "dad",
    ],
    &["channel", "room", "group", "conversation", "thread", "forum", "board"],
    &["webpage", "website", "page", "site", "blog", "url", "web", "wiki", "link", "article"],
    &["password", "passphrase", "pin", "credential", "passcode", "key"],
    &[
        "reservation", "booking", "hotel", "restaurant", "table", "flight", "car", "ticket", "seat", "apartment", "stay",
        "rental", "trip",
    ],
    &["info", "information", "detail", "address", "profile", "account", "data", "street", "city", "settings"],
    &["task", "todo", "issue", "bug", "item", "list", "card"],
    &["order", "product", "cart", "purchase", "shopping"],
    &["branch", "commit", "repo", "repository", "pull", "request", "release", "pr"],
    &["row", "record", "entry", "table", "database", "entity", "node", "relation", "observation", "graph"],
];

/// Words without a meaning of their own.
const STOP: &[&str] = &[
    "a", "an", "the", "this", "that", "these", "those", "i", "me", "my", "mine", "you", "your", "we", "us", "our", "he", "him",
    "his", "she", "her", "it", "its", "they", "them", "their", "who", "whom", "which", "what", "where", "when", "why", "how",
    "and", "or", "but", "if", "then", "else", "so", "as", "at", "by", "for", "from", "in", "into", "of", "off", "on", "onto",
    "out", "over", "to", "up", "with", "without", "about", "after", "before", "between", "through", "during", "under", "again",
    "is", "am", "are", "was", "were", "be", "been", "being", "do", "does", "did", "done", "have", "has", "had", "will", "would",
    "can", "could", "shall", "should", "may", "might", "must", "not", "no", "nor", "yes", "all", "any", "both", "each", "few",
    "more", "most", "other", "others", "some", "such", "only", "own", "same", "than", "too", "very", "just", "now", "also",
    "there", "here", "please", "new", "old", "first", "last", "next", "one", "two", "three", "ten", "many", "much", "every",
    "sure", "ok", "okay", "true", "false", "none", "null", "day", "week", "month", "year", "today", "tomorrow", "yesterday",
    "time", "date", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february",
    "march", "april", "june", "july", "august", "september", "october", "november", "december", "name", "number", "thing",
    "things", "way", "work", "good", "great", "best", "like", "want", "need", "use", "know", "take", "come", "see", "think",
    "back", "else", "via", "per", "etc", "hi", "hey", "hello", "dear", "thanks", "regards", "self", "default", "home",
];

static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let verbs = VERBS.iter().flat_map(|class| class.iter());
    let nouns = NOUNS.iter().flat_map(|group| group.iter());
    verbs.chain(nouns).chain(LOOKS).chain(STOP).copied().collect()
});

/// Whether a normal value is one common word, or its plural.
pub(crate) fn is_common(value: &str) -> bool {
    COMMON.contains(value) || COMMON.contains(singular(value))
}

/// The classes of verbs that hold a word, as a set of bits; 0 if it is none.
pub(crate) fn verb(word: &str) -> u32 {
    classes(VERBS, word)
}

/// The groups of nouns that hold a word or what it is the plural of, as a set of bits; 0 if it is none.
pub(crate) fn noun(word: &str) -> u32 {
    classes(NOUNS, word) | classes(NOUNS, singular(word))
}

/// Whether a tool whose name begins with it only looks.
pub(crate) fn looks(word: &str) -> bool {
    LOOKS.contains(&word)
}

/// Whether a word may be a noun where it looks like a verb.
pub(crate) fn is_ambiguous(word: &str) -> bool {
    AMBIGUOUS.contains(&word)
}

fn classes(table: &[&[&str]], word: &str) -> u32 {
    table.iter().enumerate().filter(|(_, class)| class.contains(&word)).fold(0, |bits, (at, _)| bits | 1 << at)
}

/// A plain English plural without its ending.
pub(crate) fn singular(word: &str) -> &str {
    match word.strip_suffix("es") {
        Some(stem) if stem.ends_with(['x', 's', 'h']) => stem,
        _ => word.strip_suffix('s').filter(|stem| stem.len() > 2 && !stem.ends_with('s')).unwrap_or(word),
    }
}
