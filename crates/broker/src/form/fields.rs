//! Reads a caller's object field by field, so that none is passed over in silence.

use serde_json::{Map, Value};

use super::FormError;

/// An object of which every field must be taken, or be one that may be left.
pub(crate) struct Fields {
    at: String,
    left: Map<String, Value>,
}

impl Fields {
    /// The fields of a value, which must be an object; `at` is where it stands, empty for the request itself.
    pub(crate) fn of(value: Value, at: impl Into<String>) -> Result<Self, FormError> {
        let at = at.into();
        match value {
            Value::Object(left) => Ok(Self { at, left }),
            _ => Err(FormError::wrong(if at.is_empty() { "the request".to_owned() } else { at }, "must be an object")),
        }
    }

    /// The name of a field with the place it stands in.
    pub(crate) fn place(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    /// Takes a field; null is none.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.left.remove(key).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, key: &str) -> Result<Option<String>, FormError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(FormError::wrong(self.place(key), "must be a text")),
        }
    }

    pub(crate) fn needed_text(&mut self, key: &str) -> Result<String, FormError> {
        self.text(key)?.ok_or_else(|| FormError::wrong(self.place(key), "is missing"))
    }

    pub(crate) fn number(&mut self, key: &str) -> Result<Option<f64>, FormError> {
        let taken = self.take(key);
        taken
            .map(|value| value.as_f64().ok_or_else(|| FormError::wrong(self.place(key), "must be a number")))
            .transpose()
    }

    pub(crate) fn count(&mut self, key: &str) -> Result<Option<u64>, FormError> {
        let taken = self.take(key);
        let wrong = |this: &Self| FormError::wrong(this.place(key), "must be a whole number of 0 or more");
        taken.map(|value| value.as_u64().ok_or_else(|| wrong(self))).transpose()
    }

    pub(crate) fn flag(&mut self, key: &str) -> Result<Option<bool>, FormError> {
        let taken = self.take(key);
        let wrong = |this: &Self| FormError::wrong(this.place(key), "must be true or false");
        taken.map(|value| value.as_bool().ok_or_else(|| wrong(self))).transpose()
    }

    pub(crate) fn list(&mut self, key: &str) -> Result<Vec<Value>, FormError> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(FormError::wrong(self.place(key), "must be a list")),
        }
    }

    /// Takes an object.
    pub(crate) fn object(&mut self, key: &str) -> Result<Option<Self>, FormError> {
        let place = self.place(key);
        self.take(key).map(|value| Self::of(value, place)).transpose()
    }

    /// Fields that change nothing of what the model is asked, and may be left.
    pub(crate) fn harmless(&mut self, keys: &[&str]) {
        for key in keys {
            self.left.remove(*key);
        }
    }

    /// A field that has no counterpart, but means what is meant anyway if it has this value.
    pub(crate) fn only(&mut self, key: &str, usual: &Value) -> Result<(), FormError> {
        match self.take(key) {
            Some(value) if !equal(&value, usual) => Err(self.no_counterpart(key)),
            _ => Ok(()),
        }
    }

    pub(crate) fn no_counterpart(&self, key: &str) -> FormError {
        FormError::NoCounterpart { field: self.place(key), to: "another dialect" }
    }

    /// There must be nothing left.
    pub(crate) fn end(self) -> Result<(), FormError> {
        match self.left.iter().find(|(_, value)| !value.is_null()) {
            Some((key, _)) => Err(self.no_counterpart(&key.chars().take(80).collect::<String>())),
            None => Ok(()),
        }
    }
}

fn equal(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() < f64::EPSILON,
        _ => one == other,
    }
}
