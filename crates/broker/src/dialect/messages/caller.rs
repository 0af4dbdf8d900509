//! A caller that speaks messages: its request read, a reply said to it.

use autoshare_core::chat::RawCall;
use serde_json::{Value, json};

use crate::dialect::chat::caller::short;
use crate::dialect::{Asked, UsageWanted, sse_out};
use crate::form::{
    Assembled, Call, CallPiece, Delivery, Fields, Finish, FormError, Item, Opaque, Output, Part, Piece, SaidPart, Tool,
    ToolChoice, ToolOutcome, arguments_object, image_of,
};
use crate::prices::Tokens;
use crate::provider::Dialect;

/// Fields that change nothing of what the model is asked: whom it is counted for, and how the provider keeps house.
const HARMLESS: [&str; 5] = ["metadata", "service_tier", "context_management", "inference_geo", "cache_control"];

pub(crate) fn understand(request: Value) -> Result<Asked, FormError> {
    let mut fields = Fields::of(request, "")?;
    fields.harmless(&HARMLESS);
    let model = fields.needed_text("model")?;
    let mut call = Call { max_output: fields.count("max_tokens")?, ..Call::default() };
    call.delivery = if fields.flag("stream")? == Some(true) { Delivery::Stream } else { Delivery::Whole };
    if let Some(system) = fields.take("system") {
        let texts: Vec<String> =
            parts(system, "system")?.into_iter().map(|part| words(part, "system")).collect::<Result<_, _>>()?;
        call.items.push(Item::System(texts.join("\n\n")));
    }
    for (n, message) in fields.list("messages")?.into_iter().enumerate() {
        items(message, &format!("messages[{n}]"), &mut call.items)?;
    }
    call.tools = fields.list("tools")?.into_iter().enumerate().map(tool).collect::<Result<_, _>>()?;
    if let Some(mut choice) = fields.object("tool_choice")? {
        call.parallel_calls = choice.flag("disable_parallel_tool_use")?.map(|off| !off);
        call.tool_choice = Some(match choice.needed_text("type")?.as_str() {
            "auto" => ToolChoice::Auto,
            "any" => ToolChoice::Any,
            "none" => ToolChoice::None,
            "tool" => ToolChoice::Named(choice.needed_text("name")?),
            _ => return Err(FormError::wrong("tool_choice.type", "must be auto, any, none or tool")),
        });
        choice.end()?;
    }
    call.temperature = fields.number("temperature")?;
    call.top_p = fields.number("top_p")?;
    call.top_k = fields.count("top_k")?;
    call.stop = fields
        .list("stop_sequences")?
        .into_iter()
        .map(|stop| stop.as_str().map(str::to_owned).ok_or_else(|| FormError::wrong("stop_sequences", "must be texts")))
        .collect::<Result<_, _>>()?;
    if let Some(mut thinking) = fields.object("thinking")? {
        thinking.harmless(&["display"]);
        let budget = thinking.count("budget_tokens")?;
        call.effort = match thinking.needed_text("type")?.as_str() {
            "enabled" => Some(effort(budget.unwrap_or_default()).to_owned()),
            "adaptive" | "disabled" => None,
            _ => return Err(FormError::wrong("thinking.type", "must be enabled, adaptive or disabled")),
        };
        thinking.end()?;
    }
    if let Some(mut config) = fields.object("output_config")? {
        call.effort = config.text("effort")?.or(call.effort);
        if let Some(mut format) = config.object("format")? {
            format.only("type", &json!("json_schema"))?;
            let schema =
                format.take("schema").ok_or_else(|| FormError::wrong("output_config.format.schema", "is missing"))?;
            format.harmless(&["name"]);
            format.end()?;
            call.output = Output::Schema { name: "answer".to_owned(), schema };
        }
        config.end()?;
    }
    fields.end()?;
    Ok(Asked { model, call, usage: UsageWanted::Yes })
}

/// The nearest word for a number of tokens to think with.
const fn effort(budget: u64) -> &'static str {
    match budget {
        0..=2_048 => "low",
        2_049..=16_384 => "medium",
        _ => "high",
    }
}

/// One message: what tools brought stands in a user's message and comes first.
fn items(message: Value, at: &str, items: &mut Vec<Item>) -> Result<(), FormError> {
    let mut fields = Fields::of(message, at)?;
    let role = fields.needed_text("role")?;
    let content = fields.take("content").ok_or_else(|| FormError::wrong(format!("{at}.content"), "is missing"))?;
    fields.end()?;
    let at = format!("{at}.content");
    match role.as_str() {
        "system" => {
            let texts: Vec<String> =
                parts(content, &at)?.into_iter().map(|part| words(part, &at)).collect::<Result<_, _>>()?;
            items.push(Item::System(texts.join("\n\n")));
        }
        "user" => {
            let mut said = Vec::new();
            for (n, block) in blocks(content, &at)?.into_iter().enumerate() {
                let at = format!("{at}[{n}]");
                if block.get("type").and_then(Value::as_str) == Some("tool_result") {
                    items.push(tool_result(block, &at)?);
                } else {
                    said.push(part(block, &at)?);
                }
            }
            if !said.is_empty() {
                items.push(Item::User(said));
            }
        }
        "assistant" => {
            let blocks = blocks(content, &at)?.into_iter().enumerate();
            let said = blocks.map(|(n, block)| said_part(block, &format!("{at}[{n}]")));
            items.push(Item::Assistant(said.collect::<Result<_, _>>()?));
        }
        other => {
            let why = format!("role {:?} is none of user, assistant, system", short(other));
            return Err(FormError::wrong(at, why));
        }
    }
    Ok(())
}

fn blocks(content: Value, at: &str) -> Result<Vec<Value>, FormError> {
    match content {
        Value::String(text) => Ok(vec![json!({"type": "text", "text": text})]),
        Value::Array(list) => Ok(list),
        _ => Err(FormError::wrong(at, "must be a text or a list of blocks")),
    }
}

fn parts(content: Value, at: &str) -> Result<Vec<Part>, FormError> {
    blocks(content, at)?.into_iter().enumerate().map(|(n, block)| part(block, &format!("{at}[{n}]"))).collect()
}

fn part(block: Value, at: &str) -> Result<Part, FormError> {
    let mut fields = Fields::of(block, at)?;
    fields.harmless(&["cache_control", "citations"]);
    let part = match fields.needed_text("type")?.as_str() {
        "text" => Part::Text(fields.needed_text("text")?),
        "image" => {
            let missing = || FormError::wrong(format!("{at}.source"), "is missing");
            let mut source = fields.object("source")?.ok_or_else(missing)?;
            let url = match source.needed_text("type")?.as_str() {
                "base64" => {
                    format!("data:{};base64,{}", source.needed_text("media_type")?, source.needed_text("data")?)
                }
                "url" => source.needed_text("url")?,
                _ => return Err(FormError::NoCounterpart { field: format!("{at}.source"), to: "another dialect" }),
            };
            source.end()?;
            let wrong = || FormError::wrong(format!("{at}.source"), "is no image that can be sent");
            Part::Image(image_of(&url).ok_or_else(wrong)?)
        }
        other => {
            let field = format!("{at} of type {:?}", short(other));
            return Err(FormError::NoCounterpart { field, to: "another dialect" });
        }
    };
    fields.end()?;
    Ok(part)
}

fn words(part: Part, at: &str) -> Result<String, FormError> {
    match part {
        Part::Text(text) => Ok(text),
        Part::Image(_) => Err(FormError::wrong(at, "an image can stand in a user's message only")),
    }
}

fn tool_result(block: Value, at: &str) -> Result<Item, FormError> {
    let mut fields = Fields::of(block, at)?;
    fields.harmless(&["cache_control", "type"]);
    let call_id = fields.needed_text("tool_use_id")?;
    let failed = fields.flag("is_error")? == Some(true);
    let parts = fields.take("content").map(|content| parts(content, &format!("{at}.content"))).transpose()?;
    fields.end()?;
    let outcome = if failed { ToolOutcome::Failed } else { ToolOutcome::Done };
    Ok(Item::ToolResult { call_id, parts: parts.unwrap_or_default(), outcome })
}

fn said_part(block: Value, at: &str) -> Result<SaidPart, FormError> {
    match block.get("type").and_then(Value::as_str) {
        Some("tool_use") => {
            let mut fields = Fields::of(block, at)?;
            fields.harmless(&["cache_control", "type", "caller"]);
            let (id, name) = (fields.needed_text("id")?, fields.needed_text("name")?);
            let arguments = fields.take("input").unwrap_or_else(|| json!({})).to_string();
            fields.end()?;
            Ok(SaidPart::Call(RawCall { id, name, arguments }))
        }
        Some("thinking" | "redacted_thinking") => {
            Ok(SaidPart::Opaque(Opaque { dialect: Dialect::Messages, value: block }))
        }
        _ => part(block, at).and_then(|part| words(part, at)).map(SaidPart::Text),
    }
}

fn tool((n, tool): (usize, Value)) -> Result<Tool, FormError> {
    let at = format!("tools[{n}]");
    let mut fields = Fields::of(tool, at.clone())?;
    fields.harmless(&["cache_control", "eager_input_streaming", "input_examples", "defer_loading"]);
    if let Some(kind) = fields.text("type")?.filter(|kind| kind != "custom") {
        let field = format!("{at} of type {:?}", short(&kind));
        return Err(FormError::NoCounterpart { field, to: "another dialect" });
    }
    let tool = Tool {
        name: fields.needed_text("name")?,
        description: fields.text("description")?.unwrap_or_default(),
        parameters: fields.take("input_schema").unwrap_or_else(|| json!({"type": "object", "properties": {}})),
        strict: fields.flag("strict")?,
    };
    fields.end()?;
    Ok(tool)
}

pub(crate) fn whole(id: &str, model: &str, reply: &Assembled) -> Value {
    let own = |opaque: &&Opaque| opaque.dialect == Dialect::Messages;
    let mut content: Vec<Value> = reply.opaque.iter().filter(own).map(|opaque| opaque.value.clone()).collect();
    if !reply.text.is_empty() {
        content.push(json!({"type": "text", "text": reply.text}));
    }
    let call = |call: &RawCall| json!({"type": "tool_use", "id": call.id, "name": call.name, "input": arguments_object(&call.arguments)});
    content.extend(reply.calls.iter().map(call));
    let reason = stop_reason(&reply.finish, !reply.calls.is_empty());
    json!({"id": id, "type": "message", "role": "assistant", "model": model, "content": content,
           "stop_reason": reason, "stop_sequence": null, "usage": usage(&reply.usage.unwrap_or_default())})
}

fn stop_reason(finish: &Finish, called: bool) -> &'static str {
    match finish {
        Finish::Stop | Finish::Calls if called => "tool_use",
        Finish::Stop | Finish::Calls | Finish::Other(_) => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Filter => "refusal",
    }
}

fn usage(tokens: &Tokens) -> Value {
    let fresh = tokens.input.saturating_sub(tokens.cached).saturating_sub(tokens.written);
    json!({"input_tokens": fresh, "cache_read_input_tokens": tokens.cached,
           "cache_creation_input_tokens": tokens.written, "output_tokens": tokens.output})
}

pub(crate) fn failure(message: &str) -> String {
    sse_out::named(&json!({"type": "error", "error": {"type": "api_error", "message": message}}))
}

/// Says a streamed reply.
#[derive(Debug)]
pub struct Speaker {
    id: String,
    model: String,
    opened: bool,
    blocks: u64,
    /// The block of words or thoughts that is open.
    open: Option<(u64, Kind)>,
    /// The blocks of calls, which stay open to the end: fragments of several may come in turn.
    calls: Vec<(usize, u64)>,
    usage: Tokens,
    finish: Finish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
}

impl Speaker {
    pub(crate) fn new(id: &str, model: &str) -> Self {
        let (id, model, usage) = (id.to_owned(), model.to_owned(), Tokens::default());
        Self { id, model, opened: false, blocks: 0, open: None, calls: Vec::new(), usage, finish: Finish::Stop }
    }

    pub(crate) fn say(&mut self, piece: &Piece) -> String {
        match piece {
            Piece::Text(text) => self.words(Kind::Text, json!({"type": "text_delta", "text": text})),
            Piece::Thought(text) => self.words(Kind::Thought, json!({"type": "thinking_delta", "thinking": text})),
            Piece::Call(part) => self.call(part),
            Piece::Opaque(_) => String::new(),
            Piece::Usage(tokens) => {
                self.usage = *tokens;
                String::new()
            }
            Piece::Finish(finish) => {
                self.finish = finish.clone();
                String::new()
            }
        }
    }

    pub(crate) fn end(&mut self) -> String {
        let mut events = self.start();
        events.push_str(&self.close());
        for (_, index) in &self.calls {
            events.push_str(&stop(*index));
        }
        let delta = json!({"stop_reason": stop_reason(&self.finish, !self.calls.is_empty()), "stop_sequence": null});
        events
            .push_str(&sse_out::named(&json!({"type": "message_delta", "delta": delta, "usage": usage(&self.usage)})));
        events.push_str(&sse_out::named(&json!({"type": "message_stop"})));
        events
    }

    fn start(&mut self) -> String {
        if std::mem::replace(&mut self.opened, true) {
            return String::new();
        }
        let message = json!({"id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": [],
                             "stop_reason": null, "stop_sequence": null, "usage": usage(&self.usage)});
        sse_out::named(&json!({"type": "message_start", "message": message}))
    }

    fn close(&mut self) -> String {
        self.open.take().map(|(index, _)| stop(index)).unwrap_or_default()
    }

    fn begin(&mut self, block: &Value) -> (u64, String) {
        let index = self.blocks;
        self.blocks += 1;
        (index, sse_out::named(&json!({"type": "content_block_start", "index": index, "content_block": block})))
    }

    fn words(&mut self, kind: Kind, delta: Value) -> String {
        let mut events = self.start();
        let index = match self.open {
            Some((index, open)) if open == kind => index,
            _ => {
                events.push_str(&self.close());
                let (index, event) = self.begin(&match kind {
                    Kind::Text => json!({"type": "text", "text": ""}),
                    Kind::Thought => json!({"type": "thinking", "thinking": "", "signature": ""}),
                });
                events.push_str(&event);
                self.open = Some((index, kind));
                index
            }
        };
        events.push_str(&sse_out::named(&json!({"type": "content_block_delta", "index": index, "delta": delta})));
        events
    }

    fn call(&mut self, part: &CallPiece) -> String {
        let mut events = self.start();
        let index = match self.calls.iter().find(|(place, _)| *place == part.place) {
            Some((_, index)) => *index,
            None => {
                events.push_str(&self.close());
                let id = if part.id.is_empty() { format!("call_{}", part.place + 1) } else { part.id.clone() };
                let (index, event) = self.begin(&json!({"type": "tool_use", "id": id, "name": part.name, "input": {}}));
                events.push_str(&event);
                self.calls.push((part.place, index));
                index
            }
        };
        if !part.arguments.is_empty() {
            let delta = json!({"type": "input_json_delta", "partial_json": part.arguments});
            events.push_str(&sse_out::named(&json!({"type": "content_block_delta", "index": index, "delta": delta})));
        }
        events
    }
}

fn stop(index: u64) -> String {
    sse_out::named(&json!({"type": "content_block_stop", "index": index}))
}
