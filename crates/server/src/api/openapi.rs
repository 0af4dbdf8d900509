//! The description of the API as OpenAPI 3.1 has it, made of the table of routes. It is checked in as `docs/openapi.json`, and
//! a test compares the two.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::route::{Needs, Route, Takes};
use super::words::ProblemWords;

/// The routes, as `METHOD path`.
#[must_use]
pub fn routes() -> Vec<String> {
    super::routes().iter().map(|route| format!("{} {}", route.method, route.path)).collect()
}

/// The description.
#[must_use]
pub fn description() -> Value {
    let mut generator = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
    });
    generator.meta_schema = None;
    let mut generator = generator.into_generator();
    let problem = generator.subschema_for::<ProblemWords>();
    let mut paths: Map<String, Value> = Map::new();
    for route in super::routes() {
        let operation = operation(&route, &mut generator, problem.as_value());
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "AutoSHARE",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Brains of many tenants on one machine. Every request shows a token; ids of others name nothing.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": generator.take_definitions(true),
        },
    })
}

fn operation(route: &Route, generator: &mut schemars::SchemaGenerator, problem: &Value) -> Value {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(
        route.query.iter().map(
            |(name, what)| json!({"name": name, "in": "query", "description": what, "schema": {"type": "string"}}),
        ),
    );
    if route.method == hyper::Method::POST {
        let what = "a request with the key of one that was done is answered as that was";
        let schema = json!({"type": "string", "minLength": 1, "maxLength": 255});
        parameters.push(json!({"name": "Idempotency-Key", "in": "header", "description": what, "schema": schema}));
    }
    let refused = json!({"description": "why not", "content": {"application/problem+json": {"schema": problem}}});
    let mut done = json!({"description": "done"});
    let gives = route.gives.map(|gives| ("application/json", gives(generator).to_value()));
    let streams = (route.status == 200).then(|| ("application/octet-stream", json!({})));
    if let (Some((kind, schema)), Some(done)) = (gives.or(streams), done.as_object_mut()) {
        done.insert("content".to_owned(), json!({kind: {"schema": schema}}));
    }
    let scope = match route.needs {
        Needs::Token => "any token".to_owned(),
        Needs::Scope(scope) => format!("a token with the scope `{}`", scope.name()),
    };
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "description": format!("Needs {scope}."),
        "parameters": parameters,
        "responses": {route.status.to_string(): done, "default": refused},
    });
    let body = match (route.takes, route.asks) {
        (Takes::Json { may_be_empty }, Some(asks)) => {
            Some(json!({"required": !may_be_empty, "content": {"application/json": {"schema": asks(generator)}}}))
        }
        (Takes::File, _) => Some(json!({"required": true, "content": {"application/octet-stream": {"schema": {}}}})),
        (Takes::Form, _) => Some(json!({"required": true, "content": {"multipart/form-data": {"schema": {
            "type": "object", "required": ["file"], "properties": {
                "file": {"type": "string", "format": "binary"}, "relative_path": {"type": "string"},
            },
        }}}})),
        _ => None,
    };
    if let (Some(body), Some(operation)) = (body, operation.as_object_mut()) {
        operation.insert("requestBody".to_owned(), body);
    }
    operation
}
