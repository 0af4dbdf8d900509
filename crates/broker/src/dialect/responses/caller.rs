//! A caller that speaks responses: its request read, a whole reply said to it.

use autoshare_core::chat::RawCall;
use serde_json::{Value, json};

pub(crate) use super::speaker::Speaker;
use crate::dialect::chat::caller::short;
use crate::dialect::{Asked, UsageWanted, sse_out, tool_choice};
use crate::form::{
    Assembled, Call, Delivery, Fields, Finish, FormError, Item, Opaque, Output, Part, SaidPart, Tool, ToolOutcome,
    image_of,
};
use crate::prices::Tokens;
use crate::provider::Dialect;

/// Fields that change nothing of what the model is asked: whom it is counted for, and what else the reply should tell.
const HARMLESS: [&str; 11] = [
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "client_metadata",
    "include",
    "stream_options",
    "cache_salt",
];

pub(crate) fn understand(request: Value) -> Result<Asked, FormError> {
    let mut fields = Fields::of(request, "")?;
    fields.harmless(&HARMLESS);
    let model = fields.needed_text("model")?;
    let delivery = if fields.flag("stream")? == Some(true) { Delivery::Stream } else { Delivery::Whole };
    let mut call = Call { delivery, ..Call::default() };
    call.items.extend(fields.text("instructions")?.filter(|text| !text.is_empty()).map(Item::System));
    match fields.take("input") {
        Some(Value::String(text)) => call.items.push(Item::User(vec![Part::Text(text)])),
        Some(Value::Array(list)) => {
            for (n, value) in list.into_iter().enumerate() {
                let one = item(value, &format!("input[{n}]"))?;
                push(&mut call.items, one);
            }
        }
        _ => return Err(FormError::wrong("input", "must be a text or a list of items")),
    }
    call.max_output = fields.count("max_output_tokens")?;
    call.temperature = fields.number("temperature")?;
    call.top_p = fields.number("top_p")?;
    call.tools = fields.list("tools")?.into_iter().enumerate().map(tool).collect::<Result<_, _>>()?;
    call.tool_choice = fields.take("tool_choice").map(|choice| tool_choice(&choice, "/name")).transpose()?;
    call.parallel_calls = fields.flag("parallel_tool_calls")?;
    if let Some(mut reasoning) = fields.object("reasoning")? {
        reasoning.harmless(&["summary", "generate_summary", "context"]);
        call.effort = reasoning.text("effort")?;
        reasoning.end()?;
    }
    if let Some(mut text) = fields.object("text")? {
        text.harmless(&["verbosity"]);
        if let Some(format) = text.object("format")? {
            call.output = output(format)?;
        }
        text.end()?;
    }
    fields.only("background", &json!(false))?;
    fields.only("truncation", &json!("disabled"))?;
    fields.only("top_logprobs", &json!(0))?;
    fields.end()?;
    Ok(Asked { model, call, usage: UsageWanted::Yes })
}

/// What the model said stands in several items here, and is one in the form.
fn push(items: &mut Vec<Item>, item: Item) {
    match (items.last_mut(), item) {
        (Some(Item::Assistant(said)), Item::Assistant(more)) => said.extend(more),
        (_, item) => items.push(item),
    }
}

fn item(value: Value, at: &str) -> Result<Item, FormError> {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or("message").to_owned();
    match kind.as_str() {
        "message" => message(value, at),
        "reasoning" => Ok(Item::Assistant(vec![SaidPart::Opaque(Opaque { dialect: Dialect::Responses, value })])),
        "function_call" => {
            let mut fields = Fields::of(value, at)?;
            fields.harmless(&["type", "id", "status"]);
            let (id, name) = (fields.needed_text("call_id")?, fields.needed_text("name")?);
            let arguments = fields.text("arguments")?.unwrap_or_default();
            fields.end()?;
            Ok(Item::Assistant(vec![SaidPart::Call(RawCall { id, name, arguments })]))
        }
        "function_call_output" => {
            let mut fields = Fields::of(value, at)?;
            fields.harmless(&["type", "id", "status"]);
            let call_id = fields.needed_text("call_id")?;
            let parts = parts(fields.take("output"), &format!("{at}.output"))?;
            fields.end()?;
            Ok(Item::ToolResult { call_id, parts, outcome: ToolOutcome::Done })
        }
        other => {
            let field = format!("{at} of type {:?}", short(other));
            Err(FormError::NoCounterpart { field, to: "another dialect" })
        }
    }
}

fn message(value: Value, at: &str) -> Result<Item, FormError> {
    let mut fields = Fields::of(value, at)?;
    fields.harmless(&["type", "id", "status", "phase"]);
    let role = fields.needed_text("role")?;
    let content = parts(fields.take("content"), &format!("{at}.content"))?;
    fields.end()?;
    let texts = |parts: Vec<Part>| {
        let text = |part| match part {
            Part::Text(text) => Ok(text),
            Part::Image(_) => Err(FormError::wrong(at, "an image can stand in a user's message only")),
        };
        parts.into_iter().map(text).collect::<Result<Vec<String>, _>>()
    };
    match role.as_str() {
        "system" | "developer" => Ok(Item::System(texts(content)?.join("\n"))),
        "user" => Ok(Item::User(content)),
        "assistant" => Ok(Item::Assistant(texts(content)?.into_iter().map(SaidPart::Text).collect())),
        other => {
            let why = format!("{:?} is no role of system, developer, user, assistant", short(other));
            Err(FormError::wrong(format!("{at}.role"), why))
        }
    }
}

fn parts(content: Option<Value>, at: &str) -> Result<Vec<Part>, FormError> {
    let list = match content {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => return Ok(vec![Part::Text(text)]),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(FormError::wrong(at, "must be a text or a list of parts")),
    };
    let part = |(n, value): (usize, Value)| {
        let at = format!("{at}[{n}]");
        let mut fields = Fields::of(value, at.clone())?;
        fields.harmless(&["annotations", "logprobs", "detail"]);
        let part = match fields.needed_text("type")?.as_str() {
            "input_text" | "output_text" | "text" => Part::Text(fields.needed_text("text")?),
            "refusal" => Part::Text(fields.needed_text("refusal")?),
            "input_image" => {
                let url = fields.needed_text("image_url")?;
                let wrong = || FormError::wrong(format!("{at}.image_url"), "is no image that can be sent");
                Part::Image(image_of(&url).ok_or_else(wrong)?)
            }
            other => {
                let field = format!("{at} of type {:?}", short(other));
                return Err(FormError::NoCounterpart { field, to: "another dialect" });
            }
        };
        fields.end()?;
        Ok(part)
    };
    list.into_iter().enumerate().map(part).collect()
}

fn tool((n, tool): (usize, Value)) -> Result<Tool, FormError> {
    let at = format!("tools[{n}]");
    let mut fields = Fields::of(tool, at.clone())?;
    let kind = fields.needed_text("type")?;
    if kind != "function" {
        let field = format!("{at} of type {:?}", short(&kind));
        return Err(FormError::NoCounterpart { field, to: "another dialect" });
    }
    let tool = Tool {
        name: fields.needed_text("name")?,
        description: fields.text("description")?.unwrap_or_default(),
        parameters: fields.take("parameters").unwrap_or_else(|| json!({"type": "object", "properties": {}})),
        strict: fields.flag("strict")?,
    };
    fields.end()?;
    Ok(tool)
}

fn output(mut format: Fields) -> Result<Output, FormError> {
    let kind = format.needed_text("type")?;
    let output = match kind.as_str() {
        "text" => Output::Text,
        "json_object" => Output::Json,
        "json_schema" => {
            format.harmless(&["description", "strict"]);
            let name = format.text("name")?.unwrap_or_else(|| "answer".to_owned());
            let schema = format.take("schema").ok_or_else(|| FormError::wrong("text.format.schema", "is missing"))?;
            Output::Schema { name, schema }
        }
        _ => return Err(FormError::wrong("text.format.type", "must be text, json_object or json_schema")),
    };
    format.end()?;
    Ok(output)
}

pub(crate) fn whole(id: &str, model: &str, reply: &Assembled) -> Value {
    let own = |opaque: &&Opaque| opaque.dialect == Dialect::Responses;
    let mut output: Vec<Value> = reply.opaque.iter().filter(own).map(|opaque| opaque.value.clone()).collect();
    if !reply.text.is_empty() {
        output.push(message_item(id, &reply.text));
    }
    output.extend(reply.calls.iter().map(|call| call_item(&call.id, &call.name, &call.arguments, "completed")));
    response(id, model, &reply.finish, output, reply.usage)
}

/// The response as it stands at the end.
pub(super) fn response(id: &str, model: &str, finish: &Finish, output: Vec<Value>, usage: Option<Tokens>) -> Value {
    let reason = match finish {
        Finish::Stop | Finish::Calls | Finish::Other(_) => None,
        Finish::Length => Some("max_output_tokens"),
        Finish::Filter => Some("content_filter"),
    };
    let status = if reason.is_some() { "incomplete" } else { "completed" };
    json!({"id": id, "object": "response", "created_at": sse_out::now(), "status": status, "model": model,
           "error": null, "incomplete_details": reason.map(|reason| json!({"reason": reason})), "output": output,
           "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "usage": usage.as_ref().map(tokens)})
}

pub(super) fn message_item(id: &str, text: &str) -> Value {
    let content = json!([{"type": "output_text", "text": text, "annotations": []}]);
    json!({"type": "message", "id": format!("msg_{id}"), "status": "completed", "role": "assistant",
           "content": content})
}

pub(super) fn call_item(id: &str, name: &str, arguments: &str, status: &str) -> Value {
    json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": name, "arguments": arguments,
           "status": status})
}

fn tokens(tokens: &Tokens) -> Value {
    json!({"input_tokens": tokens.input, "input_tokens_details": {"cached_tokens": tokens.cached},
           "output_tokens": tokens.output, "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
           "total_tokens": tokens.input.saturating_add(tokens.output)})
}
