//! The routes, as a table: what answers, who may ask, and what is said of it in the description that is published.

use std::sync::Arc;

use autoshare_access::Scope;
use futures_util::future::BoxFuture;
use hyper::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::ask::Ask;
use super::problem::Problem;
use super::{Done, Faces};

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Any token.
    Token,
    /// A token with this scope.
    Scope(Scope),
}

/// How a request's body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// None.
    Nothing,
    /// JSON, which may be missing where that is said.
    Json {
        /// Whether there may be no body at all.
        may_be_empty: bool,
    },
    /// The bytes of a file.
    File,
    /// A form with a file.
    Form,
}

pub(crate) type Answered = Result<Done, Problem>;
type Handler = Box<dyn Fn(Arc<Faces>, Ask) -> BoxFuture<'static, Answered> + Send + Sync>;
type Described = fn(&mut SchemaGenerator) -> Schema;

/// A route.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// The path; a segment in braces stands for any.
    pub(crate) path: &'static str,
    pub(crate) needs: Needs,
    pub(crate) takes: Takes,
    /// A name for programs.
    pub(crate) name: &'static str,
    /// What it does, in a line.
    pub(crate) summary: &'static str,
    /// Parameters of the query, and what they are.
    pub(crate) query: &'static [(&'static str, &'static str)],
    pub(crate) asks: Option<Described>,
    pub(crate) gives: Option<Described>,
    /// The type of an answer that is no JSON.
    pub(crate) streams: Option<&'static str>,
    pub(crate) status: u16,
    pub(crate) handler: Handler,
}

impl Route {
    pub(crate) fn new<F, R>(method: Method, path: &'static str, name: &'static str, handler: F) -> Self
    where
        F: Fn(Arc<Faces>, Ask) -> R + Send + Sync + 'static,
        R: Future<Output = Answered> + Send + 'static,
    {
        Self {
            method,
            path,
            needs: Needs::Token,
            takes: Takes::Nothing,
            name,
            summary: "",
            query: &[],
            asks: None,
            gives: None,
            streams: None,
            status: 200,
            handler: Box::new(move |faces, ask| Box::pin(handler(faces, ask))),
        }
    }

    pub(crate) fn needs(self, scope: Scope) -> Self {
        Self { needs: Needs::Scope(scope), ..self }
    }

    pub(crate) fn says(self, summary: &'static str) -> Self {
        Self { summary, ..self }
    }

    pub(crate) fn query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    pub(crate) fn asks<T: JsonSchema>(self) -> Self {
        Self {
            asks: Some(|generator| generator.subschema_for::<T>()),
            takes: Takes::Json { may_be_empty: false },
            ..self
        }
    }

    /// As [`Route::asks`], where all may be left out.
    pub(crate) fn may_ask<T: JsonSchema>(self) -> Self {
        Self { takes: Takes::Json { may_be_empty: true }, ..self.asks::<T>() }
    }

    pub(crate) fn takes(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    pub(crate) fn gives<T: JsonSchema>(self, status: u16) -> Self {
        Self { gives: Some(|generator| generator.subschema_for::<T>()), status, ..self }
    }

    pub(crate) fn gives_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn gives_nothing(self) -> Self {
        self.gives_status(204)
    }

    /// What is no JSON, of this type.
    pub(crate) fn gives_stream(self, kind: &'static str) -> Self {
        Self { streams: Some(kind), ..self }
    }

    /// The segments in braces of a path that fits, by their names.
    pub(crate) fn fits(&self, path: &str) -> Option<Vec<(&'static str, String)>> {
        let mut found = Vec::new();
        let (mut ours, mut theirs) = (self.path.split('/'), path.split('/'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return Some(found),
                (Some(our), Some(their)) => match our.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                    Some(name) if !their.is_empty() => found.push((name, their.to_owned())),
                    None if our == their => {}
                    _ => return None,
                },
                _ => return None,
            }
        }
    }
}
