//! Tools that a provider runs itself: they fetch pages, call servers and run code from there, out of reach of the gate and
//! of a cell's proxy. A caller gets them only where the operator says so.

use serde::Deserialize;

use super::refusal::Refusal;
use super::request::Asked;
use crate::provider::Operation;

/// Kinds of tools that the caller itself runs. Anthropic's bear the date of their version after the name.
const CALLERS_OWN: [&str; 11] = [
    "function",
    "custom",
    "local_shell",
    "shell",
    "apply_patch",
    "computer_use_preview",
    "bash_",
    "text_editor_",
    "computer_",
    "memory_",
    "namespace",
];

#[derive(Deserialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    tools: Option<Vec<Tool>>,
    /// Of OpenAI's `shell`: where its commands run.
    #[serde(default)]
    environment: Option<Environment>,
}

#[derive(Deserialize)]
struct Environment {
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Whether all tools of a request are the caller's own, or allowed.
pub(super) fn check(operation: Operation, asked: &Asked<'_>, allowed: &[String]) -> Result<(), Refusal> {
    if !matches!(operation, Operation::Chat | Operation::Responses | Operation::Messages) {
        return Ok(());
    }
    let tools = asked.parsed::<Vec<Tool>>("tools", "a list of tools")?.unwrap_or_default();
    tools.iter().try_for_each(|tool| check_one(tool, allowed))
}

fn check_one(tool: &Tool, allowed: &[String]) -> Result<(), Refusal> {
    // Anthropic's interface leaves the kind out for a tool of the caller's.
    let Some(kind) = &tool.kind else { return Ok(()) };
    // A shell whose environment is not the caller's machine is a container of the provider's, with a network.
    let elsewhere = tool.environment.as_ref().is_some_and(|one| one.kind.as_deref() != Some("local"));
    let is_own =
        !elsewhere && CALLERS_OWN.iter().any(|own| kind == own || (own.ends_with('_') && kind.starts_with(own)));
    let is_allowed = allowed.iter().any(|one| kind == one);
    if !is_own && !is_allowed {
        let shown: String = kind.chars().filter(|c| !c.is_control()).take(60).collect();
        let words = format!(
            "the tool {shown:?} is run by the provider, which reaches the network from there; leave it out, or have the \
             operator allow it ([gateway] server_tools)"
        );
        return Err(Refusal::field("tools", words));
    }
    tool.tools.iter().flatten().try_for_each(|inner| check_one(inner, allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_runs_itself_needs_leave() {
        let check_with = |operation, tools: &str, allowed: &[&str]| {
            let body = format!("{{\"model\":\"m\",\"tools\":{tools}}}");
            let asked = Asked::read(operation, body.as_bytes(), &[]).unwrap();
            let allowed: Vec<String> = allowed.iter().map(|one| (*one).to_owned()).collect();
            check(operation, &asked, &allowed).map_err(|refusal| refusal.words)
        };
        for (operation, tools) in [
            (Operation::Chat, r#"[{"type":"function","function":{"name":"f"}}]"#),
            (
                Operation::Responses,
                r#"[{"type":"function","name":"f"},{"type":"custom","name":"p"},{"type":"local_shell"}]"#,
            ),
            (Operation::Responses, r#"[{"type":"shell"},{"type":"shell","environment":{"type":"local"}}]"#),
            (Operation::Messages, r#"[{"name":"f","input_schema":{}},{"type":"bash_20250124","name":"bash"}]"#),
            (Operation::Messages, "null"),
            (Operation::Messages, "[]"),
        ] {
            assert_eq!(check_with(operation, tools, &[]), Ok(()), "{tools}");
        }
        for (operation, tools, kind) in [
            (Operation::Responses, r#"[{"type":"mcp","server_url":"https://evil"}]"#, "mcp"),
            (Operation::Responses, r#"[{"type":"function","name":"f"},{"type":"web_search"}]"#, "web_search"),
            (Operation::Responses, r#"[{"type":"namespace","tools":[{"type":"mcp"}]}]"#, "mcp"),
            (Operation::Responses, r#"[{"type":"code_interpreter"}]"#, "code_interpreter"),
            (Operation::Responses, r#"[{"type":"shell","environment":{"type":"container_auto"}}]"#, "shell"),
            (Operation::Responses, r#"[{"type":"shell","environment":{"container_id":"c"}}]"#, "shell"),
            (Operation::Messages, r#"[{"type":"web_fetch_20250910","name":"web_fetch"}]"#, "web_fetch_20250910"),
            (Operation::Messages, r#"[{"type":"mcp_toolset"}]"#, "mcp_toolset"),
            (Operation::Messages, r#"[{"type":"bash","name":"bash"}]"#, "bash"),
        ] {
            let said = check_with(operation, tools, &[]).unwrap_err();
            assert!(said.contains(&format!("{kind:?}")), "{tools}: {said}");
            assert_eq!(check_with(operation, tools, &[kind]), Ok(()), "{tools}");
        }
        assert!(check_with(Operation::Chat, "7", &[]).unwrap_err().contains("a list of tools"));
    }
}
