//! The shape of a policy's text, looked at before it is parsed: Cedar's parser and validator descend as deep as a rule is
//! nested, and the stack is finite.

use super::PolicyError;

/// Bytes of a policy's text at most.
pub const MAX_POLICY: usize = 256 * 1024;
/// Bytes of one rule at most, its annotations included, comments not.
pub const MAX_RULE: usize = 4096;
/// Brackets within brackets at most.
pub const MAX_NESTED: usize = 32;

/// Refuses a text that is too long, or a rule of it that is too long or too deeply nested.
pub(super) fn check(text: &str) -> Result<(), PolicyError> {
    if text.len() > MAX_POLICY {
        return Err(PolicyError::TooLong { bytes: text.len() });
    }
    let (mut line, mut length, mut nested) = (1, 0_usize, 0_usize);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        length += 1;
        match byte {
            b'\n' => line += 1,
            b'/' if bytes.peek() == Some(&b'/') => {
                length -= 1;
                while bytes.next_if(|byte| *byte != b'\n').is_some() {}
            }
            b'"' => loop {
                length += 1;
                match bytes.next() {
                    None | Some(b'"') => break,
                    Some(b'\\') => drop(bytes.next()),
                    Some(b'\n') => line += 1,
                    Some(_) => (),
                }
            },
            b'(' | b'[' | b'{' => nested += 1,
            b')' | b']' | b'}' => nested = nested.saturating_sub(1),
            b';' => (length, nested) = (0, 0),
            _ if byte.is_ascii_whitespace() => length -= 1,
            _ => (),
        }
        let too = |what: String| Err(PolicyError::Text { line, why: format!("{what}: make two rules of it") });
        if length > MAX_RULE {
            return too(format!("the rule has more than {MAX_RULE} bytes"));
        }
        if nested > MAX_NESTED {
            return too(format!("the rule has brackets more than {MAX_NESTED} deep"));
        }
    }
    Ok(())
}
