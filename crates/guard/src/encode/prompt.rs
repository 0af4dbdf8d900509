//! Text for a model's context: framed as data, in a frame that the text cannot close.

/// Bytes of a source's name at most.
const MAX_SOURCE: usize = 200;

/// Frames `text` as data from `source`, between two lines that bear `mark`:
///
/// ```text
/// [data 5f0c… from "file:inbox/1.eml"]
/// ...
/// [end of data 5f0c…]
/// ```
///
/// `mark` is the caller's, drawn at random for this request, at least 16 letters and digits (others are dropped, and so
/// is what passes 64). Within the text, and within the name of its source, these are defused by a space after their
/// first letter or before their colon, so that a person still reads them and a tokenizer does not:
///
/// - the mark, and either line of a frame with whatever mark;
/// - the tokens with which chat templates of the common model families mark roles, turns, tool calls and their results,
///   in either case and in full-width form (`<|im_start|>`, `[INST]`, `<<SYS>>`, `</s>`, `<start_of_turn>`,
///   `<tool_response>`, ...);
/// - a line that begins like another's turn (`Human:`, `### Instruction:`).
#[must_use]
pub fn prompt_data(mark: &str, source: &str, text: &str) -> String {
    let mark: String = mark.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    let source = super::log_line(source.get(..source.floor_char_boundary(MAX_SOURCE)).unwrap_or_default());
    let source = defuse(&mark, &source.replace(['"', '[', ']'], "'"));
    let body = defuse(&mark, text);
    let end = if body.is_empty() || body.ends_with('\n') { "" } else { "\n" };
    format!("[data {mark} from \"{source}\"]\n{body}{end}[end of data {mark}]")
}

/// Text with `mark` in place of every run of spaces, and at the beginning of every line: a model that was told of the
/// mark sees at each word whose words these are (*datamarking*: Hines et al., 2024). Costs tokens, so it is a choice.
///
/// `mark` is the caller's, one that ordinary text does not hold, such as U+E000; where the text holds it, it is dropped.
#[must_use]
pub fn datamark(text: &str, mark: char) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    let mut marked = false;
    for c in text.chars().filter(|c| *c != mark) {
        let space = matches!(c, ' ' | '\t');
        if (space || out.is_empty() || out.ends_with('\n')) && !marked {
            out.push(mark);
        }
        marked = space;
        if !space {
            out.push(c);
        }
    }
    out
}

/// What stands between angle brackets in chat templates. Any `<|...|>` is a token too.
const ANGLED: &[&str] = &[
    "s",
    "/s",
    "bos",
    "eos",
    "pad",
    "unk",
    "mask",
    "cls",
    "sep",
    "eod",
    "eot",
    "sop",
    "eop",
    "bos_token",
    "eos_token",
    "start_of_turn",
    "end_of_turn",
    "start_of_image",
    "end_of_image",
    "start_function_call",
    "end_function_call",
    "start_function_response",
    "end_function_response",
    "start_function_declaration",
    "end_function_declaration",
    "endoftext",
    "im_start",
    "im_end",
    "tool_call",
    "/tool_call",
    "tool_calls",
    "/tool_calls",
    "tool_response",
    "/tool_response",
    "tool_result",
    "/tool_result",
    "tool_results",
    "/tool_results",
    "function_call",
    "/function_call",
    "function_calls",
    "/function_calls",
    "function_results",
    "/function_results",
    "function_response",
    "/function_response",
    "tools",
    "/tools",
    "think",
    "/think",
    "system",
    "/system",
    "user",
    "/user",
    "assistant",
    "/assistant",
    "human",
    "bot",
    "role",
    "/role",
    "begin_of_text",
    "end_of_text",
    "beginning_of_sentence",
    "end_of_sentence",
    "end_of_message",
    "eoh",
    "eoa",
    "eom",
    "sot",
    "som",
    "image_soft_token",
    "audio_soft_token",
    "thinking",
    "/thinking",
    "reasoning",
    "/reasoning",
    "answer",
    "/answer",
    "available_tools",
    "/available_tools",
    "assistant_end",
    "user_end",
    "minimax:tool_call",
    "/minimax:tool_call",
    "jupyter_start",
    "jupyter_output",
    "file_sep",
    "repo_name",
    "pre",
    "suf",
    "mid",
    "eot_id",
];

/// Tokens that differ in their end: between angle brackets, this and more letters, digits or signs.
const FAMILIES: &[&str] =
    &["antml:", "/antml:", "seed:", "/seed:", "fim_", "fim-", "tokens_unused_", "reserved_token_"];

/// Tokens that differ in their number.
const NUMBERED: &[&str] = &["unused", "reserved_", "special_", "extra_id_", "ctrl", "mask:", "mask_", "loc", "seg"];

/// What stands between square brackets in chat templates.
const SQUARE: &[&str] = &[
    "inst",
    "/inst",
    "sys",
    "/sys",
    "system_prompt",
    "/system_prompt",
    "available_tools",
    "/available_tools",
    "tool_calls",
    "/tool_calls",
    "tool_results",
    "/tool_results",
    "tool_content",
    "/tool_content",
    "args",
    "call_id",
    "think",
    "/think",
    "gmask",
    "smask",
    "bos",
    "eos",
    "cls",
    "sep",
    "mask",
    "pad",
    "unk",
    "img",
    "img_break",
    "img_end",
    "audio",
    "begin_audio",
    "prefix",
    "suffix",
    "middle",
    "model_settings",
    "/model_settings",
    "eod",
    "bot",
];

/// Words that begin another's turn where a line begins with them; spelt so, or in capitals.
const TURNS: &[&str] = &["Human", "Assistant", "System", "User", "AI"];

/// Words of a heading that begins a turn in instruction-tuned models.
const HEADED: &[&str] = &["instruction", "response", "input", "system", "human", "assistant", "user"];

/// Characters of a token at most: what is longer is none.
const MAX_TOKEN: usize = 48;

fn defuse(mark: &str, text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut line_begins = true;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if line_begins && let Some(word) = turn(rest) {
            out.push_str(rest.get(..word).unwrap_or_default());
            out.push(' ');
            rest = rest.get(word..).unwrap_or_default();
            line_begins = false;
            continue;
        }
        out.push(c);
        if (!mark.is_empty() && begins(rest, mark)) || token(rest) {
            out.push(' ');
        }
        // A line that begins with spaces or a quote sign still begins.
        line_begins = matches!(c, '\n' | '\r') || (line_begins && matches!(c, ' ' | '\t' | '>'));
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    out
}

/// ASCII and its full-width forms, in lower case: some tokenizers do not tell them apart.
fn fold(c: char) -> char {
    let c = match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        c => c,
    };
    c.to_ascii_lowercase()
}

fn begins(text: &str, word: &str) -> bool {
    let mut chars = text.chars().map(fold);
    word.chars().map(fold).all(|wanted| chars.next() == Some(wanted))
}

/// Whether `text` begins with a token of a chat template or with a line of a frame.
fn token(text: &str) -> bool {
    let mut chars = text.chars().map(fold);
    match chars.next() {
        Some('<') => {
            let inner: String = chars.take(MAX_TOKEN).take_while(|c| !matches!(c, '>' | '\n')).collect();
            let closed = text.chars().nth(inner.chars().count() + 1).map(fold) == Some('>');
            inner.starts_with("<sys") || inner.starts_with("</sys") || closed && angled(&inner)
        }
        Some('[') => {
            let inner: String = chars.take(MAX_TOKEN).take_while(|c| !matches!(c, ']' | '\n' | '[')).collect();
            let closed = text.chars().nth(inner.chars().count() + 1).map(fold) == Some(']');
            let frame = inner.starts_with("end of data") || inner.starts_with("data ") && inner.contains(" from");
            let piped = inner.len() > 2 && inner.starts_with('|') && inner.ends_with('|');
            frame || begins(text, "[e~[") || closed && (piped || SQUARE.contains(&inner.as_str()))
        }
        Some(']') => begins(text, "]~b]") || begins(text, "]~!b["),
        _ => false,
    }
}

fn angled(inner: &str) -> bool {
    let piped = inner.strip_prefix('|').and_then(|rest| rest.strip_suffix('|'));
    match piped {
        // Template tokens have no spaces; `a <| b |> c` is a program. DeepSeek's words are joined by U+2581.
        Some(word) => {
            word.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '\u{2581}'))
        }
        None => {
            let name = inner.split([' ', '=']).next().unwrap_or_default();
            let numbered = |family: &str| {
                let rest = inner.strip_prefix(family);
                rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
            };
            ANGLED.contains(&inner)
                || FAMILIES.iter().any(|family| inner.starts_with(*family))
                || NUMBERED.iter().any(|family| numbered(family))
                || matches!(name.trim_start_matches('/'), "invoke" | "function" | "parameter")
        }
    }
}

/// The length up to the colon, if `text`, where a line begins, begins like another's turn.
fn turn(text: &str) -> Option<usize> {
    let (headed, after) = match text.strip_prefix("###") {
        Some(after) => (true, after.trim_start_matches([' ', '#'])),
        None => (false, text),
    };
    let word_len = after.bytes().take(MAX_TOKEN).take_while(u8::is_ascii_alphabetic).count();
    let (word, colon) = after.split_at_checked(word_len)?;
    let known = if headed {
        HEADED.iter().any(|known| known.eq_ignore_ascii_case(word))
    } else {
        TURNS.iter().any(|known| *known == word || (word.len() > 1 && known.to_ascii_uppercase() == word))
    };
    let colon = fold(colon.chars().next()?) == ':';
    (known && colon).then(|| text.len() - after.len() + word_len)
}
