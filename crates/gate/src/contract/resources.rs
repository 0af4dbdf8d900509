//! The contracts of a server's resources: what it holds under URIs, listed and read by two tools that are the same for every
//! server.

use autoshare_core::Digest;
use autoshare_core::tool::{
    Effect, Fields, Kind, Method, Param, Redo, ResultSpec, Role, Served, ToolSpec, Words, WrittenBy,
};

/// The tool that lists resources, as a model knows it behind the server's name.
pub const LIST_RESOURCES: &str = "list_resources";
/// The tool that reads one.
pub const READ_RESOURCE: &str = "read_resource";
/// Bytes of a URI at most.
const MAX_URI: usize = 2 * 1024;

/// The tools of a server that has resources. Each is named `(list, read)` as a model is to know it.
#[must_use]
pub fn resource_tools(server: &str, (list, read): (&str, &str)) -> [ToolSpec; 2] {
    let uri = Param {
        name: "uri".to_owned(),
        description: "Its URI, as it is listed, or made by a template that is listed.".to_owned(),
        role: Role::Target,
        kind: Kind::Text { max: MAX_URI as u64 },
        required: true,
    };
    let lists = "List the resources that this server holds, and templates for the URIs of further ones.";
    let reads = "Read a resource of this server.";
    [
        tool(server, list, lists, Method::ListResources, Vec::new()),
        tool(server, read, reads, Method::ReadResource, vec![uri]),
    ]
}

fn tool(server: &str, name: &str, description: &str, method: Method, params: Vec<Param>) -> ToolSpec {
    let own = match method {
        Method::ReadResource => "resources/read",
        Method::ListResources | Method::CallTool => "resources/list",
    };
    ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        effect: Effect::Read,
        redo: Redo::Read,
        params,
        reversible: false,
        result: ResultSpec { words: Words::Anybody, issued: Fields::None, secret: Vec::new() },
        served: Some(Served {
            server: server.to_owned(),
            tool: own.to_owned(),
            method,
            // Nothing of it is the server's to say.
            digest: Digest::of_parts(&[b"autoshare mcp resources 1", own.as_bytes()]),
            contract: WrittenBy::Derived,
        }),
    }
}
