//! A call in Gemini's dialect. The model stands in the address, and results are told by the tool's name.

use std::collections::BTreeMap;

use autoshare_core::chat::RawCall;
use serde_json::{Map, Value, json};

use crate::form::{
    Call, FormError, Image, Item, Output, Part, SaidPart, ToolChoice, acceptable_name, arguments_object, words,
};
use crate::provider::Dialect;

/// Stands in for the seal of a call that came without one, or through a form that keeps none: newer models refuse a
/// history whose calls bear no seal, and take this word of Google's in its place.
const NO_SEAL: &str = "skip_thought_signature_validator";

pub(crate) fn encode(model: &str, call: &Call) -> Result<Value, FormError> {
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    let instructions = call.instructions();
    if !instructions.is_empty() {
        set("systemInstruction", json!({"parts": [{"text": instructions}]}));
    }
    set("contents", json!(contents(model, &call.items)?));
    if !call.tools.is_empty() {
        let tool = |tool: &crate::form::Tool| json!({"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.parameters});
        set("tools", json!([{"functionDeclarations": call.tools.iter().map(tool).collect::<Vec<_>>()}]));
        if let Some(choice) = &call.tool_choice {
            let config = match choice {
                ToolChoice::Auto => json!({"mode": "AUTO"}),
                ToolChoice::None => json!({"mode": "NONE"}),
                ToolChoice::Any => json!({"mode": "ANY"}),
                ToolChoice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
            };
            set("toolConfig", json!({"functionCallingConfig": config}));
        }
    }
    if call.parallel_calls == Some(false) {
        return Err(FormError::lacks(Dialect::Gemini, "parallel_tool_calls = false"));
    }
    let config = generation_config(call);
    if !config.is_empty() {
        set("generationConfig", Value::Object(config));
    }
    Ok(Value::Object(body))
}

fn generation_config(call: &Call) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |key: &str, value: Option<Value>| value.map(|value| config.insert(key.to_owned(), value));
    set("maxOutputTokens", call.max_output.map(Value::from));
    set("temperature", call.temperature.map(Value::from));
    set("topP", call.top_p.map(Value::from));
    set("topK", call.top_k.map(Value::from));
    set("stopSequences", (!call.stop.is_empty()).then(|| json!(call.stop)));
    if let Some(effort) = &call.effort {
        set("thinkingConfig", Some(json!({"thinkingLevel": effort})));
    }
    match &call.output {
        Output::Text => {}
        Output::Json => {
            set("responseMimeType", Some(json!("application/json")));
        }
        Output::Schema { schema, .. } => {
            set("responseMimeType", Some(json!("application/json")));
            set("responseJsonSchema", Some(schema.clone()));
        }
    }
    config
}

fn contents(model: &str, items: &[Item]) -> Result<Vec<Value>, FormError> {
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    let mut sides: Vec<(&str, Vec<Value>)> = Vec::new();
    for item in items {
        let (side, parts) = match item {
            Item::System(_) => continue,
            Item::User(said) => ("user", said.iter().map(part).collect::<Result<Vec<_>, _>>()?),
            Item::ToolResult { call_id, parts, .. } => {
                let name = names.get(call_id.as_str()).cloned().unwrap_or_else(|| acceptable_name(call_id));
                let mut all = vec![json!({"functionResponse": {"name": name, "response": {"result": words(parts)}}})];
                for image in parts.iter().filter(|part| matches!(part, Part::Image(_))) {
                    all.push(part(image)?);
                }
                ("user", all)
            }
            Item::Assistant(said) => {
                for call in
                    said.iter().filter_map(|part| if let SaidPart::Call(call) = part { Some(call) } else { None })
                {
                    names.insert(&call.id, acceptable_name(&call.name));
                }
                ("model", said_parts(model, said))
            }
        };
        if parts.is_empty() {
            continue;
        }
        match sides.last_mut() {
            Some((last, all)) if *last == side => all.extend(parts),
            _ => sides.push((side, parts)),
        }
    }
    Ok(sides.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts})).collect())
}

fn part(part: &Part) -> Result<Value, FormError> {
    match part {
        Part::Text(text) => Ok(json!({"text": text})),
        Part::Image(Image::Data { media_type, base64 }) => {
            Ok(json!({"inlineData": {"mimeType": media_type, "data": base64}}))
        }
        Part::Image(Image::Url(_)) => {
            Err(FormError::lacks(Dialect::Gemini, "an image by its address (send its bytes)"))
        }
    }
}

/// A seal stands before the part that it belongs to.
fn said_parts(model: &str, said: &[SaidPart]) -> Vec<Value> {
    let newer = model.trim_start_matches("models/").starts_with("gemini-3");
    let (mut parts, mut seal, mut first) = (Vec::new(), None, true);
    for part in said {
        let value = match part {
            SaidPart::Text(text) if text.is_empty() => continue,
            SaidPart::Text(text) => json!({"text": text}),
            SaidPart::Call(call) => function_call(call),
            SaidPart::Opaque(opaque) => {
                if opaque.dialect == Dialect::Gemini {
                    seal = Some(opaque.value.clone());
                }
                continue;
            }
        };
        let is_call = matches!(part, SaidPart::Call(_));
        // Of calls that were made at once only the first is sealed.
        let stand_in = (newer && is_call && first).then(|| json!(NO_SEAL));
        first &= !is_call;
        let mut value = value;
        if let (Some(seal), Some(map)) = (seal.take().or(stand_in), value.as_object_mut()) {
            map.insert("thoughtSignature".to_owned(), seal);
        }
        parts.push(value);
    }
    parts
}

fn function_call(call: &RawCall) -> Value {
    json!({"functionCall": {"name": acceptable_name(&call.name), "args": arguments_object(&call.arguments)}})
}
