//! The description of the API as OpenAPI 3.1 has it, made of the table of routes. It is checked in as `docs/openapi.json`, and
//! a test compares the two.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::route::{Needs, Route, Takes};
use super::words::ProblemWords;

/// The routes, as `METHOD path`.
#[must_use]
pub fn routes() -> Vec<String> {
    super::table::routes().iter().map(|route| format!("{} {}", route.method, route.path)).collect()
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
    for route in super::table::routes() {
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

/// What an id in a path, or a parameter of a query, looks like.
fn parameter(name: &str) -> Value {
    let number = |most: Option<u64>| match most {
        Some(most) => json!({"type": "integer", "minimum": 1, "maximum": most}),
        None => json!({"type": "integer", "minimum": 1}),
    };
    match name {
        "brain" | "token" | "share" => json!({"type": "string", "pattern": "^[0-9a-hjkmnp-tv-z]{8}$"}),
        "tenant" => json!({"type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}$"}),
        "digest" => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
        "step" | "current_page" | "currentPage" => number(None),
        "limit" | "page_size" | "pageSize" => number(Some(100)),
        "by" => json!({"type": "string", "enum": ["day", "model", "brain", "token"]}),
        "since" => json!({"type": "string", "format": "date"}),
        "cursor" => json!({"type": "string"}),
        _ => json!({"type": "string", "minLength": 1}),
    }
}

/// The statuses of refusals that a route may give, and what each says.
fn refusals(route: &Route) -> Vec<(u16, &'static str)> {
    let (is_post, has_body) = (route.method == hyper::Method::POST, route.takes != Takes::Nothing);
    let is_protocol = route.path.starts_with("/ap/");
    let all = [
        (400, "what is asked for is malformed", true),
        (401, "no token that is accepted", true),
        (403, "the token has not the scope, or goes not so far", true),
        (404, "nothing there, or nothing that this token reaches", true),
        (408, "the body took too long to come", has_body),
        (409, "it cannot be done as things stand", route.method != hyper::Method::GET),
        (413, "the body is too large", true),
        (415, "the body is of another type", route.method != hyper::Method::GET),
        (422, "the key was used for another request, or the body does not fit", is_post || is_protocol),
        (429, "too much at once, or too fast: later, as Retry-After says", true),
        (500, "this server cannot do that now; its log says why", true),
        (502, "the model was not reached", is_protocol && is_post),
        (503, "this server is busy: later, as Retry-After says", true),
    ];
    all.into_iter().filter(|(_, _, may)| *may).map(|(status, what, _)| (status, what)).collect()
}

fn operation(route: &Route, generator: &mut schemars::SchemaGenerator, problem: &Value) -> Value {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> =
        in_path.map(|name| json!({"name": name, "in": "path", "required": true, "schema": parameter(name)})).collect();
    parameters.extend(route.query.iter().map(|(name, what)| {
        let is_needed = route.takes == Takes::File;
        json!({"name": name, "in": "query", "required": is_needed, "description": what, "schema": parameter(name)})
    }));
    if route.method == hyper::Method::POST {
        let what = "a request with the key of one that was done is answered as that was";
        let schema = json!({"type": "string", "pattern": "^[!-~]{1,255}$"});
        parameters.push(json!({"name": "Idempotency-Key", "in": "header", "description": what, "schema": schema}));
    }
    let mut done = json!({"description": "done"});
    let gives = route.gives.map(|gives| ("application/json", gives(generator).to_value()));
    let streams = route.streams.map(|kind| (kind, json!({})));
    if let (Some((kind, schema)), Some(done)) = (gives.or(streams), done.as_object_mut()) {
        done.insert("content".to_owned(), json!({kind: {"schema": schema}}));
    }
    let scope = match route.needs {
        Needs::Token => "any token".to_owned(),
        Needs::Scope(scope) => format!("a token with the scope `{}`", scope.name()),
    };
    let mut responses = Map::from_iter([(route.status.to_string(), done)]);
    for (status, what) in refusals(route) {
        let refused = json!({"description": what, "content": {"application/problem+json": {"schema": problem}}});
        responses.insert(status.to_string(), refused);
    }
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "description": format!("Needs {scope}."),
        "parameters": parameters,
        "responses": responses,
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
