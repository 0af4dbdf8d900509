//! A call in chat completions.

use autoshare_core::chat::RawCall;
use serde_json::{Map, Value, json};

use crate::dialect::Quirks;
use crate::form::{
    Call, Delivery, FormError, Image, Item, Output, Part, SaidPart, ToolChoice, acceptable_arguments, acceptable_name,
    image_url, only_words, words,
};
use crate::provider::Dialect;

pub(crate) fn encode(model: &str, call: &Call, quirks: Quirks) -> Result<Value, FormError> {
    let messages: Vec<Value> = call.items.iter().flat_map(messages).collect();
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("model", json!(model));
    set("messages", json!(messages));
    set("stream", json!(call.delivery == Delivery::Stream));
    if let Some(limit) = call.max_output {
        set(if quirks.completion_tokens { "max_completion_tokens" } else { "max_tokens" }, json!(limit));
    }
    if quirks.stream_options && call.delivery == Delivery::Stream {
        set("stream_options", json!({"include_usage": true}));
    }
    if !call.tools.is_empty() {
        set("tools", call.tools.iter().map(tool).collect());
    }
    if let Some(choice) = &call.tool_choice {
        set("tool_choice", tool_choice(choice));
    }
    if let Some(several) = call.parallel_calls {
        set("parallel_tool_calls", json!(several));
    }
    if let Some(temperature) = call.temperature {
        set("temperature", json!(temperature));
    }
    if let Some(top_p) = call.top_p {
        set("top_p", json!(top_p));
    }
    if call.top_k.is_some() {
        return Err(FormError::lacks(Dialect::Chat, "top_k"));
    }
    if !call.stop.is_empty() {
        set("stop", json!(call.stop));
    }
    if let Some(effort) = &call.effort {
        set("reasoning_effort", json!(effort));
    }
    match &call.output {
        Output::Text => {}
        Output::Json => {
            set("response_format", json!({"type": "json_object"}));
        }
        Output::Schema { name, schema } => {
            let schema = json!({"name": acceptable_name(name), "schema": schema, "strict": true});
            set("response_format", json!({"type": "json_schema", "json_schema": schema}));
        }
    }
    Ok(Value::Object(body))
}

/// One item is one message; a tool's images follow in a message of their own, as results are words here.
fn messages(item: &Item) -> Vec<Value> {
    match item {
        Item::System(text) => vec![json!({"role": "system", "content": text})],
        Item::User(parts) => vec![json!({"role": "user", "content": content(parts)})],
        Item::Assistant(parts) => vec![assistant(parts)],
        Item::ToolResult { call_id, parts, .. } => {
            let result = json!({"role": "tool", "tool_call_id": call_id, "content": words(parts)});
            let images: Vec<Part> = parts.iter().filter(|part| matches!(part, Part::Image(_))).cloned().collect();
            if images.is_empty() {
                vec![result]
            } else {
                vec![result, json!({"role": "user", "content": content(&images)})]
            }
        }
    }
}

fn content(parts: &[Part]) -> Value {
    if only_words(parts) {
        return json!(words(parts));
    }
    parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => json!({"type": "text", "text": text}),
            Part::Image(image) => image_part(image),
        })
        .collect()
}

fn image_part(image: &Image) -> Value {
    json!({"type": "image_url", "image_url": {"url": image_url(image)}})
}

fn assistant(parts: &[SaidPart]) -> Value {
    let text: String =
        parts.iter().filter_map(|p| if let SaidPart::Text(t) = p { Some(t.as_str()) } else { None }).collect();
    let calls: Vec<Value> =
        parts.iter().filter_map(|p| if let SaidPart::Call(call) = p { Some(one_call(call)) } else { None }).collect();
    if calls.is_empty() {
        return json!({"role": "assistant", "content": text});
    }
    let content = if text.is_empty() { Value::Null } else { json!(text) };
    json!({"role": "assistant", "content": content, "tool_calls": calls})
}

fn one_call(call: &RawCall) -> Value {
    let function = json!({"name": acceptable_name(&call.name), "arguments": acceptable_arguments(&call.arguments)});
    json!({"id": call.id, "type": "function", "function": function})
}

fn tool(tool: &crate::form::Tool) -> Value {
    let mut function = json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters});
    if let (Some(strict), Some(map)) = (tool.strict, function.as_object_mut()) {
        map.insert("strict".to_owned(), json!(strict));
    }
    json!({"type": "function", "function": function})
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Any => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_sent_in_a_form_that_endpoints_take() {
        let call =
            |name: &str, arguments: &str| RawCall { id: "1".into(), name: name.into(), arguments: arguments.into() };
        let calls = [call("read_file", "{\"path\":\"a\"}"), call("bad name!", "{oops"), call("", " ")];
        let sent = assistant(&calls.map(SaidPart::Call));
        assert_eq!(sent["content"], Value::Null);
        let functions: Vec<&Value> = sent["tool_calls"].as_array().unwrap().iter().map(|c| &c["function"]).collect();
        assert_eq!(functions[0], &json!({"name": "read_file", "arguments": "{\"path\":\"a\"}"}));
        assert_eq!(functions[1], &json!({"name": "bad_name_", "arguments": "{\"malformed\":\"{oops\"}"}));
        assert_eq!(functions[2], &json!({"name": "_", "arguments": "{}"}));
    }
}
