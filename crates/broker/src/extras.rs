//! Embeddings and images.

use serde_json::{Value, json};

use autoshare_core::usage::Usage;

use crate::estimate;
use crate::prices::Price;
use crate::provider::Dialect;

/// Texts in one call at most.
pub const MAX_TEXTS: usize = 256;
/// Bytes of the texts of one call together at most.
pub const MAX_TEXT_BYTES: usize = 1024 * 1024;
/// Bytes of a description of an image at most.
pub const MAX_PROMPT: usize = 32 * 1024;
/// Images of one call at most.
pub const MAX_IMAGES: u8 = 10;
/// Bytes of an answer at most.
pub(crate) const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// Numbers of one vector at most.
const MAX_DIMENSIONS: usize = 16_384;

/// Vectors of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// One for each text, in their order.
    pub vectors: Vec<Vec<f32>>,
    /// What it took; estimated where the provider does not say.
    pub usage: Usage,
}

/// What an image should be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageWish {
    /// Such as `1024x1024`; `None` is as the provider likes.
    pub size: Option<String>,
    /// How many: 1 to 10.
    pub count: u8,
}

impl Default for ImageWish {
    fn default() -> Self {
        Self { size: None, count: 1 }
    }
}

/// Images.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictures {
    /// The images.
    pub images: Vec<Picture>,
    /// What it took; nothing where the provider does not say.
    pub usage: Usage,
}

/// One image: what a model made, to be treated as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// What its first bytes say it is.
    pub media_type: &'static str,
    /// Its bytes in base64.
    pub base64: String,
}

pub(crate) fn embeddings_body(dialect: Dialect, model: &str, texts: &[&str]) -> Value {
    if dialect == Dialect::Gemini {
        let model = format!("models/{}", model.trim_start_matches("models/"));
        let one = |text: &&str| json!({"model": model, "content": {"parts": [{"text": text}]}});
        return json!({"requests": texts.iter().map(one).collect::<Vec<_>>()});
    }
    json!({"model": model, "input": texts, "encoding_format": "float"})
}

pub(crate) fn embeddings_of(answer: &Value, texts: &[&str], price: Price) -> Result<Embeddings, String> {
    let list = |key: &str| answer.get(key).and_then(Value::as_array);
    let rows: Vec<(usize, &Value)> = match (list("data"), list("embeddings")) {
        (Some(data), _) => {
            let row = |(n, row): (usize, &'_ Value)| {
                let place = row.get("index").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
                (place.unwrap_or(n), row.get("embedding").cloned().unwrap_or_default())
            };
            let rows: Vec<(usize, Value)> = data.iter().enumerate().map(row).collect();
            return vectors(rows.iter().map(|(n, row)| (*n, row)), answer, texts, price);
        }
        (None, Some(rows)) => {
            rows.iter().enumerate().map(|(n, row)| (n, row.get("values").unwrap_or(&Value::Null))).collect()
        }
        (None, None) => return Err("it holds no embeddings".to_owned()),
    };
    vectors(rows.into_iter(), answer, texts, price)
}

fn vectors<'a>(
    rows: impl Iterator<Item = (usize, &'a Value)>,
    answer: &Value,
    texts: &[&str],
    price: Price,
) -> Result<Embeddings, String> {
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; texts.len()];
    for (place, row) in rows {
        let numbers = row.as_array().filter(|numbers| numbers.len() <= MAX_DIMENSIONS);
        #[allow(clippy::cast_possible_truncation, reason = "a vector is kept in single precision, as models make it")]
        let vector = numbers.and_then(|numbers| numbers.iter().map(|n| n.as_f64().map(|n| n as f32)).collect());
        match (vectors.get_mut(place), vector) {
            (Some(slot), Some(vector)) => *slot = Some(vector),
            _ => return Err(format!("embedding {place} is none, or one too many")),
        }
    }
    let vectors: Option<Vec<Vec<f32>>> = vectors.into_iter().collect();
    let vectors = vectors.ok_or_else(|| "it holds fewer embeddings than there were texts".to_owned())?;
    let tokens = answer.pointer("/usage/prompt_tokens").and_then(Value::as_u64);
    let tokens = tokens.unwrap_or_else(|| texts.iter().map(|text| estimate::tokens(text)).sum());
    Ok(Embeddings { vectors, usage: price.usage(tokens, 0) })
}

pub(crate) fn image_body(model: &str, prompt: &str, wish: &ImageWish) -> Value {
    let mut body = json!({"model": model, "prompt": prompt, "n": wish.count});
    if let Some(map) = body.as_object_mut() {
        if let Some(size) = &wish.size {
            map.insert("size".to_owned(), json!(size));
        }
        // OpenAI's newer models send bytes and know no other way; all others would send an address to fetch.
        if !model.contains("gpt-image") && !model.contains("chatgpt-image") {
            map.insert("response_format".to_owned(), json!("b64_json"));
        }
    }
    body
}

pub(crate) fn pictures_of(answer: &Value, price: Price) -> Result<Pictures, String> {
    let data = answer.get("data").and_then(Value::as_array).ok_or("it holds no images")?;
    if data.is_empty() || data.len() > usize::from(MAX_IMAGES) {
        return Err(format!("it holds {} images", data.len()));
    }
    let picture = |row: &Value| {
        let text = row.get("b64_json").and_then(Value::as_str).ok_or("an image came as an address instead of bytes")?;
        let media_type = media_type(text).ok_or("an image is neither PNG, JPEG nor WebP")?;
        Ok(Picture { media_type, base64: text.to_owned() })
    };
    let images = data.iter().map(picture).collect::<Result<Vec<_>, &str>>()?;
    let tokens = |key: &str| answer.pointer(key).and_then(Value::as_u64).unwrap_or_default();
    Ok(Pictures { images, usage: price.usage(tokens("/usage/input_tokens"), tokens("/usage/output_tokens")) })
}

/// What the first bytes say, in base64, of which all characters must be.
fn media_type(base64: &str) -> Option<&'static str> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"+/=".contains(&c);
    let known = [("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("UklGR", "image/webp")];
    let found = known.iter().find(|(start, _)| base64.starts_with(start)).map(|(_, kind)| *kind);
    found.filter(|_| base64.bytes().all(fits))
}
