//! A model in ONNX format that finds words: small, and all that a real one has.

use std::path::Path;

use serde_json::json;

/// A message of protocol buffers (the encoding of protobuf.dev), as far as a model needs it.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
            number >>= 7;
        }
        self.0.push(u8::try_from(number).unwrap());
    }

    fn number(mut self, field: u64, number: u64) -> Self {
        self.varint(field << 3);
        self.varint(number);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: Self) -> Self {
        self.bytes(field, &message.0)
    }
}

const FLOAT: u64 = 1;
const INT64: u64 = 7;

/// `onnx.proto`: `ValueInfoProto`.
fn value(name: &str, kind: u64, dims: &[&str]) -> Message {
    let dim = |shape: Message, dim: &&str| match dim.parse() {
        Ok(number) => shape.message(1, Message::default().number(1, number)),
        Err(_) => shape.message(1, Message::default().text(2, dim)),
    };
    let shape = dims.iter().fold(Message::default(), dim);
    let tensor = Message::default().number(1, kind).message(2, shape);
    Message::default().text(1, name).message(2, Message::default().message(1, tensor))
}

/// `onnx.proto`: `NodeProto`.
fn node(kind: &str, inputs: &[&str], output: &str) -> Message {
    let node = inputs.iter().fold(Message::default(), |node, input| node.text(1, input));
    node.text(2, output).text(4, kind)
}

/// Writes a classifier to a folder: a text is an attack if one of `words` is in it.
pub fn write(folder: &Path, words: &[&str]) {
    std::fs::create_dir_all(folder).unwrap();
    let vocabulary: serde_json::Map<_, _> =
        ["[UNK]", "[CLS]"].iter().chain(words).enumerate().map(|(id, word)| ((*word).to_owned(), json!(id))).collect();
    // Harmless by the token at the beginning, and an attack by any of the words: two numbers a token, which are added.
    let rows = [[0.0_f32, 0.0], [5.0, 0.0]].into_iter().chain(words.iter().map(|_| [-10.0, 20.0]));
    let weights: Vec<u8> = rows.flatten().flat_map(f32::to_le_bytes).collect();
    let table = Message::default()
        .number(1, vocabulary.len() as u64)
        .number(1, 2)
        .number(2, FLOAT)
        .text(8, "table")
        .bytes(9, &weights);
    let over_tokens = Message::default().text(1, "axes").number(8, 1).number(20, 7);
    let flat = Message::default().text(1, "keepdims").number(3, 0).number(20, 2);
    let graph = Message::default()
        .message(1, node("Gather", &["table", "input_ids"], "rows"))
        .message(1, node("ReduceSum", &["rows"], "logits").message(5, over_tokens).message(5, flat))
        .text(2, "words")
        .message(5, table)
        .message(11, value("input_ids", INT64, &["1", "tokens"]))
        .message(11, value("attention_mask", INT64, &["1", "tokens"]))
        .message(12, value("logits", FLOAT, &["1", "2"]));
    let opset = Message::default().text(1, "").number(2, 11);
    let model = Message::default().number(1, 7).text(2, "autoshare").message(7, graph).message(8, opset);
    std::fs::write(folder.join("model.onnx"), model.0).unwrap();

    let special = |id: u64, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true})
    };
    let begin = json!({"SpecialToken": {"id": "[CLS]", "type_id": 0}});
    let sequence = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "decoder": null,
        "added_tokens": [special(0, "[UNK]"), special(1, "[CLS]")],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, sequence("A")], "pair": [begin, sequence("A"), sequence("B")],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]}},
        },
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    });
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let config = json!({"id2label": {"0": "SAFE", "1": "INJECTION"}, "max_position_embeddings": 512});
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
}
