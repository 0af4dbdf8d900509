//! A call in messages: instructions stand apart, and what tools bring is a user's message.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::form::{
    Call, Delivery, FormError, Image, Item, Output, Part, SaidPart, ToolChoice, ToolOutcome, acceptable_name,
    arguments_object,
};
use crate::provider::Dialect;

/// Tokens of a reply where nobody says a limit: the dialect must have one.
const USUAL_OUTPUT: u64 = 4_096;

pub(crate) fn encode(model: &str, call: &Call) -> Result<Value, FormError> {
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("model", json!(model));
    set("max_tokens", json!(call.max_output.unwrap_or(USUAL_OUTPUT)));
    set("stream", json!(call.delivery == Delivery::Stream));
    let instructions = call.instructions();
    if !instructions.is_empty() {
        set("system", json!(instructions));
    }
    set("messages", json!(messages(&call.items)));
    if call.tools.is_empty() {
        // A conversation with calls in it is refused where no tool is declared; none of these may be called.
        let known = called(&call.items);
        if !known.is_empty() {
            set("tools", known.iter().map(|name| json!({"name": name, "input_schema": {"type": "object"}})).collect());
            set("tool_choice", json!({"type": "none"}));
        }
    } else {
        let tool = |tool: &crate::form::Tool| json!({"name": tool.name, "description": tool.description, "input_schema": tool.parameters});
        set("tools", call.tools.iter().map(tool).collect());
        if let Some(choice) = tool_choice(call) {
            set("tool_choice", choice);
        }
    }
    if let Some(temperature) = call.temperature {
        if temperature > 1.0 {
            return Err(FormError::wrong("temperature", "is 0 to 1 where this model is served"));
        }
        set("temperature", json!(temperature));
    }
    if let Some(top_p) = call.top_p {
        set("top_p", json!(top_p));
    }
    if let Some(top_k) = call.top_k {
        set("top_k", json!(top_k));
    }
    if !call.stop.is_empty() {
        set("stop_sequences", json!(call.stop));
    }
    let mut config = Map::new();
    match call.effort.as_deref() {
        None | Some("none") => {}
        Some(effort) => {
            config.insert("effort".to_owned(), json!(if effort == "minimal" { "low" } else { effort }));
        }
    }
    match &call.output {
        Output::Text => {}
        Output::Json => return Err(FormError::lacks(Dialect::Messages, "response_format of type json_object")),
        Output::Schema { schema, .. } => {
            config.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
        }
    }
    if !config.is_empty() {
        set("output_config", Value::Object(config));
    }
    Ok(Value::Object(body))
}

/// The names of tools that were called.
fn called(items: &[Item]) -> BTreeSet<String> {
    let parts = items.iter().filter_map(|item| if let Item::Assistant(parts) = item { Some(parts) } else { None });
    let name = |part: &SaidPart| if let SaidPart::Call(call) = part { Some(acceptable_name(&call.name)) } else { None };
    parts.flatten().filter_map(name).collect()
}

fn tool_choice(call: &Call) -> Option<Value> {
    let mut choice = match (&call.tool_choice, call.parallel_calls) {
        (None, None | Some(true)) => return None,
        (None | Some(ToolChoice::Auto), _) => json!({"type": "auto"}),
        (Some(ToolChoice::None), _) => return Some(json!({"type": "none"})),
        (Some(ToolChoice::Any), _) => json!({"type": "any"}),
        (Some(ToolChoice::Named(name)), _) => json!({"type": "tool", "name": name}),
    };
    if let (Some(false), Some(map)) = (call.parallel_calls, choice.as_object_mut()) {
        map.insert("disable_parallel_tool_use".to_owned(), json!(true));
    }
    Some(choice)
}

/// Items of one side that follow one another are one message: the results of several calls must stand together.
fn messages(items: &[Item]) -> Vec<Value> {
    let mut sides: Vec<(&str, Vec<Value>)> = Vec::new();
    for item in items {
        let (side, blocks) = match item {
            Item::System(_) => continue,
            Item::User(parts) => ("user", blocks(parts)),
            Item::ToolResult { call_id, parts, outcome } => {
                let mut result = json!({"type": "tool_result", "tool_use_id": acceptable_name(call_id),
                                        "content": blocks(parts)});
                if let (ToolOutcome::Failed, Some(map)) = (outcome, result.as_object_mut()) {
                    map.insert("is_error".to_owned(), json!(true));
                }
                ("user", vec![result])
            }
            Item::Assistant(parts) => ("assistant", parts.iter().filter_map(said).collect()),
        };
        if blocks.is_empty() {
            continue;
        }
        match sides.last_mut() {
            Some((last, all)) if *last == side => all.extend(blocks),
            _ => sides.push((side, blocks)),
        }
    }
    sides.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect()
}

/// A text block without words is refused there.
fn blocks(parts: &[Part]) -> Vec<Value> {
    let block = |part: &Part| match part {
        Part::Text(text) => (!text.is_empty()).then(|| json!({"type": "text", "text": text})),
        Part::Image(image) => Some(json!({"type": "image", "source": source(image)})),
    };
    parts.iter().filter_map(block).collect()
}

fn source(image: &Image) -> Value {
    match image {
        Image::Url(url) => json!({"type": "url", "url": url}),
        Image::Data { media_type, base64 } => json!({"type": "base64", "media_type": media_type, "data": base64}),
    }
}

fn said(part: &SaidPart) -> Option<Value> {
    match part {
        SaidPart::Text(text) => (!text.is_empty()).then(|| json!({"type": "text", "text": text})),
        SaidPart::Call(call) => Some(json!({"type": "tool_use", "id": acceptable_name(&call.id),
            "name": acceptable_name(&call.name), "input": arguments_object(&call.arguments)})),
        SaidPart::Opaque(opaque) => (opaque.dialect == Dialect::Messages).then(|| opaque.value.clone()),
    }
}
