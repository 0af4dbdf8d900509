//! A caller that speaks chat completions: its request read, a reply said to it.

use autoshare_core::chat::RawCall;
use serde_json::{Value, json};

use crate::dialect::{Asked, UsageWanted, sse_out, tool_choice};
use crate::form::{
    Assembled, Call, CallPiece, Delivery, Fields, Finish, FormError, Item, Output, Part, Piece, SaidPart, Tool,
    ToolOutcome, image_of,
};
use crate::prices::Tokens;

/// Fields that change nothing of what the model is asked: whom the provider's statistics and caches count it for.
const HARMLESS: [&str; 8] = [
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "cache_salt",
];

pub(crate) fn understand(request: Value) -> Result<Asked, FormError> {
    let mut fields = Fields::of(request, "")?;
    fields.harmless(&HARMLESS);
    let model = fields.needed_text("model")?;
    let mut call = Call { items: items(fields.list("messages")?)?, ..Call::default() };
    call.delivery = if fields.flag("stream")? == Some(true) { Delivery::Stream } else { Delivery::Whole };
    let mut usage = UsageWanted::No;
    if let Some(mut options) = fields.object("stream_options")? {
        options.harmless(&["include_obfuscation"]);
        if options.flag("include_usage")? == Some(true) {
            usage = UsageWanted::Yes;
        }
        options.end()?;
    }
    let older = fields.count("max_tokens")?;
    call.max_output = fields.count("max_completion_tokens")?.or(older);
    call.temperature = fields.number("temperature")?;
    call.top_p = fields.number("top_p")?;
    call.stop = match fields.take("stop") {
        None => Vec::new(),
        Some(Value::String(text)) => vec![text],
        Some(list) => {
            serde_json::from_value(list).map_err(|_| FormError::wrong("stop", "must be a text or a list of texts"))?
        }
    };
    call.tools = fields.list("tools")?.into_iter().enumerate().map(tool).collect::<Result<_, _>>()?;
    call.tool_choice = fields.take("tool_choice").map(|choice| tool_choice(&choice, "/function/name")).transpose()?;
    call.parallel_calls = fields.flag("parallel_tool_calls")?;
    call.effort = fields.text("reasoning_effort")?;
    if let Some(format) = fields.object("response_format")? {
        call.output = output(format)?;
    }
    fields.only("n", &json!(1))?;
    fields.only("presence_penalty", &json!(0))?;
    fields.only("frequency_penalty", &json!(0))?;
    fields.only("logprobs", &json!(false))?;
    fields.only("modalities", &json!(["text"]))?;
    fields.end()?;
    Ok(Asked { model, call, usage })
}

fn items(messages: Vec<Value>) -> Result<Vec<Item>, FormError> {
    let mut items = Vec::with_capacity(messages.len());
    for (n, message) in messages.into_iter().enumerate() {
        let at = format!("messages[{n}]");
        let mut fields = Fields::of(message, at.clone())?;
        let role = fields.needed_text("role")?;
        fields.harmless(&["name", "refusal", "annotations", "audio", "reasoning_content", "reasoning"]);
        let content = parts(fields.take("content"), &format!("{at}.content"))?;
        items.push(match role.as_str() {
            "system" | "developer" => Item::System(texts(content, &at)?.join("\n")),
            "user" => Item::User(content),
            "tool" => Item::ToolResult {
                call_id: fields.needed_text("tool_call_id")?,
                parts: content,
                outcome: ToolOutcome::Done,
            },
            "assistant" => {
                let words = texts(content, &at)?.into_iter().filter(|text| !text.is_empty()).map(SaidPart::Text);
                let calls = fields.list("tool_calls")?.into_iter().enumerate();
                let calls = calls.map(|(n, call)| one_call(call, &format!("{at}.tool_calls[{n}]")));
                Item::Assistant(words.map(Ok).chain(calls).collect::<Result<_, _>>()?)
            }
            other => {
                let why = format!("{:?} is no role of system, developer, user, assistant, tool", short(other));
                return Err(FormError::wrong(format!("{at}.role"), why));
            }
        });
        fields.end()?;
    }
    Ok(items)
}

fn parts(content: Option<Value>, at: &str) -> Result<Vec<Part>, FormError> {
    match content {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::Text(text)]),
        Some(Value::Array(list)) => {
            list.into_iter().enumerate().map(|(n, part)| one_part(part, &format!("{at}[{n}]"))).collect()
        }
        Some(_) => Err(FormError::wrong(at, "must be a text or a list of parts")),
    }
}

fn one_part(part: Value, at: &str) -> Result<Part, FormError> {
    let mut fields = Fields::of(part, at)?;
    fields.harmless(&["cache_control"]);
    let kind = fields.needed_text("type")?;
    let part = match kind.as_str() {
        "text" => Part::Text(fields.needed_text("text")?),
        "refusal" => Part::Text(fields.needed_text("refusal")?),
        "image_url" => {
            let mut image = match fields.take("image_url") {
                Some(Value::String(url)) => Fields::of(json!({"url": url}), at)?,
                Some(other) => Fields::of(other, format!("{at}.image_url"))?,
                None => return Err(FormError::wrong(format!("{at}.image_url"), "is missing")),
            };
            image.harmless(&["detail"]);
            let url = image.needed_text("url")?;
            image.end()?;
            Part::Image(image_of(&url).ok_or_else(|| {
                FormError::wrong(
                    format!("{at}.image_url.url"),
                    "is neither an http address nor data:image/...;base64,...",
                )
            })?)
        }
        other => {
            return Err(FormError::NoCounterpart {
                field: format!("{at} of type {:?}", short(other)),
                to: "another dialect",
            });
        }
    };
    fields.end()?;
    Ok(part)
}

fn texts(parts: Vec<Part>, at: &str) -> Result<Vec<String>, FormError> {
    let text = |part| match part {
        Part::Text(text) => Ok(text),
        Part::Image(_) => Err(FormError::wrong(at, "an image can stand in a user's message only")),
    };
    parts.into_iter().map(text).collect()
}

fn one_call(call: Value, at: &str) -> Result<SaidPart, FormError> {
    let mut fields = Fields::of(call, at)?;
    fields.harmless(&["index"]);
    fields.only("type", &json!("function"))?;
    let id = fields.needed_text("id")?;
    let mut function =
        fields.object("function")?.ok_or_else(|| FormError::wrong(format!("{at}.function"), "is missing"))?;
    let (name, arguments) = (function.needed_text("name")?, function.text("arguments")?.unwrap_or_default());
    function.end()?;
    fields.end()?;
    Ok(SaidPart::Call(RawCall { id, name, arguments }))
}

fn tool((n, tool): (usize, Value)) -> Result<Tool, FormError> {
    let at = format!("tools[{n}]");
    let mut fields = Fields::of(tool, at.clone())?;
    fields.harmless(&["cache_control"]);
    fields.only("type", &json!("function"))?;
    let mut function =
        fields.object("function")?.ok_or_else(|| FormError::wrong(format!("{at}.function"), "is missing"))?;
    let tool = Tool {
        name: function.needed_text("name")?,
        description: function.text("description")?.unwrap_or_default(),
        parameters: function.take("parameters").unwrap_or_else(|| json!({"type": "object", "properties": {}})),
        strict: function.flag("strict")?,
    };
    function.end()?;
    fields.end()?;
    Ok(tool)
}

fn output(mut format: Fields) -> Result<Output, FormError> {
    let kind = format.needed_text("type")?;
    let output = match kind.as_str() {
        "text" => Output::Text,
        "json_object" => Output::Json,
        "json_schema" => {
            let place = format.place("json_schema");
            let mut schema =
                format.object("json_schema")?.ok_or_else(|| FormError::wrong(place.clone(), "is missing"))?;
            schema.harmless(&["description", "strict"]);
            let name = schema.text("name")?.unwrap_or_else(|| "answer".to_owned());
            let value =
                schema.take("schema").ok_or_else(|| FormError::wrong(format!("{place}.schema"), "is missing"))?;
            schema.end()?;
            Output::Schema { name, schema: value }
        }
        _ => return Err(FormError::wrong("response_format.type", "must be text, json_object or json_schema")),
    };
    format.end()?;
    Ok(output)
}

pub(crate) fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

pub(crate) fn whole(id: &str, model: &str, reply: &Assembled) -> Value {
    let call = |call: &RawCall| json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}});
    let calls: Vec<Value> = reply.calls.iter().map(call).collect();
    let content = if reply.text.is_empty() && !calls.is_empty() { Value::Null } else { json!(reply.text) };
    let mut message = json!({"role": "assistant", "content": content, "refusal": null});
    if let (false, Some(map)) = (calls.is_empty(), message.as_object_mut()) {
        map.insert("tool_calls".to_owned(), calls.into());
    }
    let reason = finish(&reply.finish, !reply.calls.is_empty());
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": reason});
    json!({"id": id, "object": "chat.completion", "created": sse_out::now(), "model": model, "choices": [choice],
           "usage": reply.usage.as_ref().map(usage)})
}

fn finish(finish: &Finish, called: bool) -> &str {
    match finish {
        // Not every provider has a word for a stop that is a call.
        Finish::Stop | Finish::Calls if called => "tool_calls",
        Finish::Stop | Finish::Calls | Finish::Other(_) => "stop",
        Finish::Length => "length",
        Finish::Filter => "content_filter",
    }
}

fn usage(tokens: &Tokens) -> Value {
    json!({"prompt_tokens": tokens.input, "completion_tokens": tokens.output,
           "total_tokens": tokens.input.saturating_add(tokens.output),
           "prompt_tokens_details": {"cached_tokens": tokens.cached},
           "completion_tokens_details": {"reasoning_tokens": tokens.reasoning}})
}

pub(crate) fn failure(message: &str) -> String {
    sse_out::data(&json!({"error": {"message": message, "type": "upstream_error", "param": null, "code": null}}))
}

/// Says a streamed reply.
#[derive(Debug)]
pub struct Speaker {
    id: String,
    model: String,
    wanted: UsageWanted,
    begun: Vec<usize>,
    opened: bool,
    usage: Option<Tokens>,
    finish: Finish,
}

impl Speaker {
    pub(crate) fn new(id: &str, model: &str, wanted: UsageWanted) -> Self {
        let (id, model) = (id.to_owned(), model.to_owned());
        Self { id, model, wanted, begun: Vec::new(), opened: false, usage: None, finish: Finish::Stop }
    }

    pub(crate) fn say(&mut self, piece: &Piece) -> String {
        match piece {
            Piece::Text(text) => self.delta(json!({"content": text})),
            // Chat completions have no word of OpenAI's for thoughts; this is the one that most clients know.
            Piece::Thought(text) => self.delta(json!({"reasoning_content": text})),
            Piece::Call(part) => self.call(part),
            Piece::Opaque(_) => String::new(),
            Piece::Usage(tokens) => {
                self.usage = Some(*tokens);
                String::new()
            }
            Piece::Finish(finish) => {
                self.finish = finish.clone();
                String::new()
            }
        }
    }

    pub(crate) fn end(&mut self) -> String {
        let reason = finish(&self.finish, !self.begun.is_empty()).to_owned();
        let mut events = self.chunk(&json!([{"index": 0, "delta": {}, "finish_reason": reason}]), Value::Null);
        if let (UsageWanted::Yes, Some(tokens)) = (self.wanted, self.usage) {
            events.push_str(&self.chunk(&json!([]), usage(&tokens)));
        }
        events.push_str("data: [DONE]\n\n");
        events
    }

    fn call(&mut self, part: &CallPiece) -> String {
        let function = json!({"name": part.name, "arguments": part.arguments});
        if self.begun.contains(&part.place) {
            let function = json!({"arguments": part.arguments});
            return self.delta(json!({"tool_calls": [{"index": part.place, "function": function}]}));
        }
        self.begun.push(part.place);
        let id = if part.id.is_empty() { format!("call_{}", part.place + 1) } else { part.id.clone() };
        let call = json!({"index": part.place, "id": id, "type": "function", "function": function});
        self.delta(json!({"tool_calls": [call]}))
    }

    fn delta(&mut self, mut delta: Value) -> String {
        if let (false, Some(map)) = (std::mem::replace(&mut self.opened, true), delta.as_object_mut()) {
            map.insert("role".to_owned(), json!("assistant"));
        }
        self.chunk(&json!([{"index": 0, "delta": delta, "finish_reason": null}]), Value::Null)
    }

    fn chunk(&self, choices: &Value, usage: Value) -> String {
        let mut chunk = json!({"id": self.id, "object": "chat.completion.chunk", "created": sse_out::now(), "model": self.model,
                               "choices": choices});
        if let (UsageWanted::Yes, Some(map)) = (self.wanted, chunk.as_object_mut()) {
            map.insert("usage".to_owned(), usage);
        }
        sse_out::data(&chunk)
    }
}
