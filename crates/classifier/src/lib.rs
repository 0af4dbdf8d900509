//! A classifier of the operator's as a verifier of the guard: a model in ONNX format with the tokenizer that belongs to it.
//!
//! It is read from a folder as the common detectors of prompt injection are published (ProtectAI's, PIGuard, PromptGuard):
//! `model.onnx` (or `onnx/model.onnx`), `tokenizer.json`, `config.json`. Nothing is downloaded. It is run by the ONNX runtime,
//! a library that is loaded from a file that the operator names; so this crate is behind a feature, and the program holds
//! none of it unless it was built so.
//!
//! **Invariant**: a text is judged whole or not at all. What takes too long, does not fit the model or comes out as no number
//! is an error, never a clean bill.
//!
//! The runtime and the model are code and data of the operator's, and trusted as the program itself is; the text that is
//! judged is not.

mod classes;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoshare_guard::ensemble::Verifier;
use autoshare_guard::verify::{Channel, Form, Suspicion};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::Tensor;
use tokenizers::Tokenizer;

use crate::classes::Classes;

/// The name of this verifier.
pub const NAME: &str = "classifier";
/// Tokens of a window where the model does not say.
const TOKENS: usize = 512;
/// Tokens by which windows overlap, so that a sentence on a border stands whole in one of them.
const OVERLAP: usize = 64;
/// Tokens of a window that are left free: those that the tokenizer puts around a text, and those by which a piece of a text
/// takes more than it did within the whole.
const SPARE: usize = 16;
/// Bytes of `tokenizer.json` and `config.json` at most.
const MAX_FILE: u64 = 128 * 1024 * 1024;

/// How a classifier is read and used.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The folder of the model.
    pub folder: PathBuf,
    /// The ONNX runtime, such as `libonnxruntime.so.1.22.0`; version 1.17 or later.
    pub runtime: PathBuf,
    /// The probability from which a passage counts.
    pub threshold: f32,
    /// How long it may judge one text.
    pub timeout: Duration,
}

/// Why there is no classifier.
#[derive(Debug, thiserror::Error)]
pub enum ClassifierError {
    /// A file of the model cannot be read.
    #[error("{path}: {why}; a classifier is a folder with model.onnx, tokenizer.json and config.json", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The runtime is not to be had.
    #[error(
        "the ONNX runtime {path} cannot be loaded: {why}; `pip download onnxruntime` has one (capi/libonnxruntime.so.*)",
        path = path.display()
    )]
    Runtime {
        /// The library.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The model wants what a text has not.
    #[error(
        "the model takes {0:?}, which no text has: it has to take input_ids, attention_mask and at most token_type_ids"
    )]
    Input(String),
}

/// A classifier that is ready.
pub struct Classifier {
    /// One text at a time: the runtime uses all processors for it.
    session: Mutex<Session>,
    tokenizer: Tokenizer,
    inputs: Vec<Input>,
    classes: Classes,
    threshold: f32,
    timeout: Duration,
}

#[derive(Debug, Clone, Copy)]
enum Input {
    Ids,
    Mask,
    Types,
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Classifier").field("classes", &self.classes).finish_non_exhaustive()
    }
}

impl Classifier {
    /// Reads a classifier.
    ///
    /// # Errors
    /// [`ClassifierError`].
    pub fn open(settings: &Settings) -> Result<Self, ClassifierError> {
        let folder = &settings.folder;
        let config = read(&folder.join("config.json"))?;
        let wrong = |name: &str, why: String| ClassifierError::File { path: folder.join(name), why };
        let classes = Classes::parse(&config).map_err(|why| wrong("config.json", why))?;
        let path = folder.join("tokenizer.json");
        let mut tokenizer =
            Tokenizer::from_bytes(read(&path)?).map_err(|error| wrong("tokenizer.json", error.to_string()))?;
        // Windows are ours to make: what a tokenizer cuts off is not judged.
        tokenizer.with_truncation(None).map_err(|error| wrong("tokenizer.json", error.to_string()))?;
        tokenizer.with_padding(None);
        let unloadable = |why: String| ClassifierError::Runtime { path: settings.runtime.clone(), why };
        let environment = environment(&settings.runtime).map_err(unloadable)?;
        let names = ["model.onnx", "onnx/model.onnx"].map(|name| folder.join(name));
        let path = names.iter().find(|path| path.is_file()).unwrap_or(&names[0]);
        let unfit = |why: String| ClassifierError::File { path: path.clone(), why };
        let session = Session::builder(&environment)
            .and_then(|mut builder| builder.commit_from_file(path))
            .map_err(|error| unfit(error.to_string()))?;
        let inputs = session.inputs().iter().map(|input| match input.name() {
            "input_ids" => Ok(Input::Ids),
            "attention_mask" => Ok(Input::Mask),
            "token_type_ids" => Ok(Input::Types),
            other => Err(ClassifierError::Input(other.to_owned())),
        });
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let (threshold, timeout) = (settings.threshold, settings.timeout);
        let classifier = Self { session: Mutex::new(session), tokenizer, inputs, classes, threshold, timeout };
        // What does not fit together is said now, and not of the first page that a brain reads.
        let tried = classifier.verify("A text.", Channel::Content);
        tried.map_err(|why| unfit(format!("it cannot judge a text ({why})")))?;
        Ok(classifier)
    }

    /// Windows of a text that the model takes whole, in bytes.
    fn windows(&self, text: &str) -> Result<Vec<Range<usize>>, String> {
        let room = self.classes.tokens.unwrap_or(TOKENS).min(TOKENS) - SPARE;
        let tokens = self.tokenizer.encode(text, false).map_err(|error| error.to_string())?;
        let offsets = tokens.get_offsets();
        let window = |first: usize| {
            let part = offsets.get(first..offsets.len().min(first + room)).unwrap_or_default();
            let from = part.iter().map(|(from, _)| *from).min().unwrap_or_default();
            let to = part.iter().map(|(_, to)| *to).max().unwrap_or_default();
            text.floor_char_boundary(from)..text.ceil_char_boundary(to)
        };
        // The last one that begins where another ends holds nothing new.
        let last = offsets.len().saturating_sub(OVERLAP).max(1);
        Ok((0..last).step_by(room - OVERLAP).map(window).collect())
    }

    /// The probability that a window's text is an attack.
    fn score(&self, text: &str, channel: Channel) -> Result<f32, String> {
        let words = |error: ort::Error| error.to_string();
        let window = self.tokenizer.encode(text, true).map_err(|error| error.to_string())?;
        let most = self.classes.tokens.unwrap_or(TOKENS).min(TOKENS);
        if window.len() > most {
            return Err(format!("a window of {} tokens does not fit the model's {most}", window.len()));
        }
        let long = |numbers: &[u32]| numbers.iter().map(|number| i64::from(*number)).collect::<Vec<i64>>();
        let mut inputs = Vec::new();
        for input in &self.inputs {
            let (name, numbers) = match input {
                Input::Ids => ("input_ids", window.get_ids()),
                Input::Mask => ("attention_mask", window.get_attention_mask()),
                Input::Types => ("token_type_ids", window.get_type_ids()),
            };
            inputs.push((name, Tensor::from_array(([1, numbers.len()], long(numbers))).map_err(words)?));
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(inputs).map_err(words)?;
        let (_, first) = outputs.iter().next().ok_or("it gives nothing")?;
        let (_, logits) = first.try_extract_tensor::<f32>().map_err(words)?;
        self.classes.attack(logits, channel)
    }
}

impl Verifier for Classifier {
    fn name(&self) -> &'static str {
        NAME
    }

    /// A window that counts is looked at line by line, so that not more is held back than has to be.
    fn verify(&self, text: &str, channel: Channel) -> Result<Vec<Suspicion>, String> {
        let began = Instant::now();
        let in_time = || {
            let limit = self.timeout;
            if began.elapsed() < limit { Ok(()) } else { Err(format!("more than {} s", limit.as_secs_f32())) }
        };
        let mut found: Vec<Suspicion> = Vec::new();
        for window in self.windows(text)? {
            in_time()?;
            let words = text.get(window.clone()).unwrap_or_default();
            let score = self.score(words, channel)?;
            if score < self.threshold {
                continue;
            }
            let mut of_lines = Vec::new();
            let mut at = window.start;
            for line in words.split_inclusive('\n') {
                let span = at..at + line.len();
                at = span.end;
                if line.trim().is_empty() {
                    continue;
                }
                in_time()?;
                let score = self.score(line, channel)?;
                if score >= self.threshold {
                    of_lines.push(Suspicion { span, score, form: Form::Plain });
                }
            }
            if of_lines.is_empty() {
                of_lines.push(Suspicion { span: window, score, form: Form::Plain });
            }
            found.append(&mut of_lines);
        }
        Ok(found)
    }
}

/// The runtime of this process. There is one: the first that is named.
fn environment(runtime: &Path) -> Result<Environment, String> {
    static LOADED: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(other) = loaded.as_ref().filter(|other| *other != runtime) {
        return Err(format!("{} was loaded before it", other.display()));
    }
    let environment = ort::init_from(runtime).map_err(|error| error.to_string())?;
    *loaded = Some(runtime.to_owned());
    environment.build().map_err(|error| error.to_string())
}

#[expect(clippy::disallowed_methods, reason = "files that the operator names; nothing of a tenant's leads here")]
fn read(path: &Path) -> Result<Vec<u8>, ClassifierError> {
    let wrong = |why: String| ClassifierError::File { path: path.to_owned(), why };
    let length = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if length > MAX_FILE {
        return Err(wrong(format!("it has more than {} MiB", MAX_FILE >> 20)));
    }
    std::fs::read(path).map_err(|error| wrong(error.to_string()))
}
