//! A streamed reply, said to a caller that speaks responses.

use serde_json::{Value, json};

use super::caller::{call_item, message_item, response};
use crate::dialect::sse_out;
use crate::form::{CallPiece, Finish, Piece};
use crate::prices::Tokens;

/// Says a streamed reply. It keeps what it said, for the last event holds all of it.
#[derive(Debug)]
pub struct Speaker {
    id: String,
    model: String,
    sequence: u64,
    opened: bool,
    /// Items, in the order of their indexes.
    items: Vec<Said>,
    usage: Option<Tokens>,
    finish: Finish,
}

#[derive(Debug)]
enum Said {
    Words { text: String, open: Open },
    Call { place: usize, id: String, name: String, arguments: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Yes,
    No,
}

impl Speaker {
    pub(crate) fn new(id: &str, model: &str) -> Self {
        let (id, model) = (id.to_owned(), model.to_owned());
        Self { id, model, sequence: 0, opened: false, items: Vec::new(), usage: None, finish: Finish::Stop }
    }

    pub(crate) fn say(&mut self, piece: &Piece) -> String {
        match piece {
            Piece::Text(text) => self.words(text),
            Piece::Call(part) => self.call(part),
            // Thoughts are items that are sealed by OpenAI; another's have no place there.
            Piece::Thought(_) | Piece::Opaque(_) => String::new(),
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
        let mut events = self.start();
        events.push_str(&self.close_words());
        for index in 0..self.items.len() {
            events.push_str(&self.close_call(index));
        }
        let output = (0..self.items.len()).filter_map(|index| self.whole_item(index)).collect();
        let whole = response(&self.id, &self.model, &self.finish, output, self.usage);
        let completed = whole.get("status").and_then(Value::as_str) == Some("completed");
        let kind = if completed { "response.completed" } else { "response.incomplete" };
        events.push_str(&self.event(kind, json!({"response": whole})));
        events
    }

    pub(crate) fn fail(&mut self, message: &str) -> String {
        let mut events = self.start();
        let error = json!({"code": "server_error", "message": message});
        let failed = json!({"id": self.id, "object": "response", "created_at": sse_out::now(), "status": "failed",
                            "model": self.model, "error": error, "output": []});
        events.push_str(&self.event("response.failed", json!({"response": failed})));
        events
    }

    fn event(&mut self, kind: &str, mut fields: Value) -> String {
        if let Some(map) = fields.as_object_mut() {
            map.insert("type".to_owned(), json!(kind));
            map.insert("sequence_number".to_owned(), json!(self.sequence));
        }
        self.sequence += 1;
        sse_out::named(&fields)
    }

    fn start(&mut self) -> String {
        if std::mem::replace(&mut self.opened, true) {
            return String::new();
        }
        let begun = json!({"id": self.id, "object": "response", "created_at": sse_out::now(), "status": "in_progress",
                           "model": self.model, "error": null, "incomplete_details": null, "output": [],
                           "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "usage": null});
        let created = self.event("response.created", json!({"response": begun}));
        created + &self.event("response.in_progress", json!({"response": begun}))
    }

    fn words(&mut self, text: &str) -> String {
        let mut events = self.start();
        let id = format!("msg_{}", self.id);
        if !matches!(self.items.last(), Some(Said::Words { open: Open::Yes, .. })) {
            let index = self.items.len();
            self.items.push(Said::Words { text: String::new(), open: Open::Yes });
            let item =
                json!({"type": "message", "id": id, "status": "in_progress", "role": "assistant", "content": []});
            events.push_str(&self.event("response.output_item.added", json!({"output_index": index, "item": item})));
            let part = json!({"type": "output_text", "text": "", "annotations": []});
            let place = json!({"item_id": id, "output_index": index, "content_index": 0, "part": part});
            events.push_str(&self.event("response.content_part.added", place));
        }
        let index = self.items.len().saturating_sub(1);
        if let Some(Said::Words { text: all, .. }) = self.items.last_mut() {
            all.push_str(text);
        }
        let delta = json!({"item_id": id, "output_index": index, "content_index": 0, "delta": text, "logprobs": []});
        events.push_str(&self.event("response.output_text.delta", delta));
        events
    }

    fn close_words(&mut self) -> String {
        let index = self.items.len().saturating_sub(1);
        let text = match self.items.last_mut() {
            Some(Said::Words { text, open }) if *open == Open::Yes => {
                *open = Open::No;
                text.clone()
            }
            _ => return String::new(),
        };
        let id = format!("msg_{}", self.id);
        let done = json!({"item_id": id, "output_index": index, "content_index": 0, "text": text, "logprobs": []});
        let part = json!({"type": "output_text", "text": text, "annotations": []});
        let part = json!({"item_id": id, "output_index": index, "content_index": 0, "part": part});
        let item = json!({"output_index": index, "item": message_item(&self.id, &text)});
        self.event("response.output_text.done", done)
            + &self.event("response.content_part.done", part)
            + &self.event("response.output_item.done", item)
    }

    fn call(&mut self, part: &CallPiece) -> String {
        let mut events = self.start();
        let found = self.items.iter().position(|item| matches!(item, Said::Call { place, .. } if *place == part.place));
        let index = match found {
            Some(index) => index,
            None => {
                events.push_str(&self.close_words());
                let id = if part.id.is_empty() { format!("call_{}", part.place + 1) } else { part.id.clone() };
                let item = call_item(&id, &part.name, "", "in_progress");
                let index = self.items.len();
                events
                    .push_str(&self.event("response.output_item.added", json!({"output_index": index, "item": item})));
                let (place, name) = (part.place, part.name.clone());
                self.items.push(Said::Call { place, id, name, arguments: String::new() });
                index
            }
        };
        if part.arguments.is_empty() {
            return events;
        }
        let Some(Said::Call { id, arguments, .. }) = self.items.get_mut(index) else { return events };
        arguments.push_str(&part.arguments);
        let delta = json!({"item_id": format!("fc_{id}"), "output_index": index, "delta": part.arguments});
        events.push_str(&self.event("response.function_call_arguments.delta", delta));
        events
    }

    fn close_call(&mut self, index: usize) -> String {
        let Some(Said::Call { id, arguments, name, .. }) = self.items.get(index) else { return String::new() };
        let done = json!({"item_id": format!("fc_{id}"), "output_index": index, "name": name, "arguments": arguments});
        let item = json!({"output_index": index, "item": call_item(id, name, arguments, "completed")});
        self.event("response.function_call_arguments.done", done) + &self.event("response.output_item.done", item)
    }

    fn whole_item(&self, index: usize) -> Option<Value> {
        self.items.get(index).map(|item| match item {
            Said::Words { text, .. } => message_item(&self.id, text),
            Said::Call { id, name, arguments, .. } => call_item(id, name, arguments, "completed"),
        })
    }
}
