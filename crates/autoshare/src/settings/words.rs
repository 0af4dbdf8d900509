//! How single settings are spelt.

use super::SettingsError;

/// `RESTRICT_TO_WORKSPACE` and its like in their plain meaning. Anything but a plain yes or no refuses, the empty text
/// included: a slip of the finger must not open the machine.
pub(crate) fn yes_or_no(name: &str, value: &str) -> Result<bool, SettingsError> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(SettingsError::NotYesOrNo { name: name.to_owned(), value: value.to_owned() }),
    }
}

/// Names as a list for a message.
pub(crate) fn list(names: &[&str]) -> String {
    names.join(", ")
}

/// The assignments of a `.env` file: `NAME=value`, `export NAME=value`, single or double quotes, `#` comments.
pub(crate) fn env_lines(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || format!("line {}: not of the form NAME=value", index + 1);
        let (name, value) = line.split_once('=').ok_or_else(wrong)?;
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(wrong());
        }
        let value = value.trim();
        let quoted = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        let value = quoted('"')
            .or_else(|| quoted('\''))
            .unwrap_or_else(|| value.split_once(" #").map_or(value, |(before, _)| before).trim());
        found.push((name.to_owned(), value.to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{env_lines, yes_or_no};

    #[test]
    fn a8_restrict_to_workspace_in_its_plain_meaning() {
        for (text, meaning) in [
            ("True", Some(true)),
            ("true", Some(true)),
            ("TRUE", Some(true)),
            ("1", Some(true)),
            ("yes", Some(true)),
            (" yes ", Some(true)),
            ("False", Some(false)),
            ("false", Some(false)),
            ("0", Some(false)),
            ("no", Some(false)),
            ("Flase", None),
            ("", None),
            ("off", None),
            ("2", None),
            ("true false", None),
        ] {
            assert_eq!(yes_or_no("RESTRICT_TO_WORKSPACE", text).ok(), meaning, "{text:?}");
        }
    }

    #[test]
    fn a8_env_files_are_read_as_people_write_them() {
        let text = "# comment\nA=1\nexport B = \"two words\"\nC='x # y'\nD=plain # comment\n\nE=\n";
        let found = env_lines(text).unwrap();
        let expected = [("A", "1"), ("B", "two words"), ("C", "x # y"), ("D", "plain"), ("E", "")]
            .map(|(n, v)| (n.into(), v.into()));
        assert_eq!(found, expected);
        for wrong in ["just words", "=value", "BAD NAME=1"] {
            assert!(env_lines(wrong).is_err(), "{wrong:?}");
        }
    }
}
