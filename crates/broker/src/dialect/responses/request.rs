//! A call in responses. Nothing is kept with the provider: the whole conversation goes with every call.

use serde_json::{Map, Value, json};

use crate::form::{
    Call, Delivery, FormError, Item, Output, Part, SaidPart, Tool, ToolChoice, acceptable_arguments, acceptable_name,
    image_url, only_words, words,
};
use crate::provider::Dialect;

pub(crate) fn encode(model: &str, call: &Call) -> Result<Value, FormError> {
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("model", json!(model));
    set("input", json!(call.items.iter().flat_map(items).collect::<Vec<_>>()));
    set("stream", json!(call.delivery == Delivery::Stream));
    set("store", json!(false));
    if let Some(limit) = call.max_output {
        set("max_output_tokens", json!(limit));
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
        return Err(FormError::lacks(Dialect::Responses, "top_k"));
    }
    if !call.stop.is_empty() {
        return Err(FormError::lacks(Dialect::Responses, "stop"));
    }
    if let Some(effort) = &call.effort {
        set("reasoning", json!({"effort": effort}));
    }
    match &call.output {
        Output::Text => {}
        Output::Json => {
            set("text", json!({"format": {"type": "json_object"}}));
        }
        Output::Schema { name, schema } => {
            let name = acceptable_name(name);
            set("text", json!({"format": {"type": "json_schema", "name": name, "schema": schema, "strict": true}}));
        }
    }
    Ok(Value::Object(body))
}

fn items(item: &Item) -> Vec<Value> {
    match item {
        Item::System(text) => vec![json!({"type": "message", "role": "system", "content": text})],
        Item::User(parts) => vec![json!({"type": "message", "role": "user", "content": content(parts)})],
        Item::ToolResult { call_id, parts, .. } => {
            let output = if only_words(parts) { json!(words(parts)) } else { content(parts) };
            vec![json!({"type": "function_call_output", "call_id": call_id, "output": output})]
        }
        Item::Assistant(parts) => parts.iter().filter_map(said).collect(),
    }
}

fn content(parts: &[Part]) -> Value {
    parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => json!({"type": "input_text", "text": text}),
            Part::Image(image) => json!({"type": "input_image", "image_url": image_url(image)}),
        })
        .collect()
}

fn said(part: &SaidPart) -> Option<Value> {
    match part {
        SaidPart::Text(text) => {
            let content = json!([{"type": "output_text", "text": text, "annotations": []}]);
            Some(json!({"type": "message", "role": "assistant", "content": content}))
        }
        SaidPart::Call(call) => Some(json!({"type": "function_call", "call_id": call.id,
            "name": acceptable_name(&call.name), "arguments": acceptable_arguments(&call.arguments)})),
        SaidPart::Opaque(opaque) => (opaque.dialect == Dialect::Responses).then(|| opaque.value.clone()),
    }
}

fn tool(tool: &Tool) -> Value {
    // Strict is the default here, and refuses schemas that others take.
    json!({"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters,
           "strict": tool.strict.unwrap_or(false)})
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Any => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "name": name}),
    }
}
