//! What of a provider's interface the gateway offers: these paths and these fields, and nothing else.

use hyper::Method;

use crate::provider::Operation;

/// Whose interface a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// Below `/gateway/openai/v1`.
    OpenAi,
    /// Below `/gateway/anthropic/v1`.
    Anthropic,
}

impl Face {
    /// Whose words a caller of this path understands.
    pub(super) fn of(path: &str) -> Self {
        if path.starts_with("/gateway/anthropic/") { Self::Anthropic } else { Self::OpenAi }
    }
}

/// What a path asks for, or what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    For(Face, Operation),
    /// The path is there, for this method alone.
    WithMethod(Face, &'static str),
    Nothing(Face),
}

/// Reads a path. Exactly these, in this spelling: no `..`, no percent signs, no doubled or trailing slash.
pub(super) fn asks(method: &Method, path: &str) -> Asks {
    let (face, rest) = match (path.strip_prefix("/gateway/openai/v1/"), path.strip_prefix("/gateway/anthropic/v1/")) {
        (Some(rest), _) => (Face::OpenAi, rest),
        (None, Some(rest)) => (Face::Anthropic, rest),
        (None, None) => {
            return Asks::Nothing(Face::of(path));
        }
    };
    let (operation, wanted) = match (face, rest) {
        (Face::OpenAi, "chat/completions") => (Operation::Chat, Method::POST),
        (Face::OpenAi, "responses") => (Operation::Responses, Method::POST),
        (Face::OpenAi, "embeddings") => (Operation::Embeddings, Method::POST),
        (Face::OpenAi, "images/generations") => (Operation::Images, Method::POST),
        (Face::Anthropic, "messages") => (Operation::Messages, Method::POST),
        (_, "models") => (Operation::Models, Method::GET),
        _ => return Asks::Nothing(face),
    };
    match wanted == *method {
        true => Asks::For(face, operation),
        false => Asks::WithMethod(face, if wanted == Method::GET { "GET" } else { "POST" }),
    }
}

/// The fields of a request that are sent on. What is not here may say where a call goes, what it bears, or where its
/// answer is kept.
pub(super) fn fields(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::Chat => &[
            "audio",
            "frequency_penalty",
            "function_call",
            "functions",
            "logit_bias",
            "logprobs",
            "max_completion_tokens",
            "max_tokens",
            "messages",
            "metadata",
            "min_p",
            "modalities",
            "model",
            "n",
            "parallel_tool_calls",
            "prediction",
            "presence_penalty",
            "prompt_cache_key",
            "reasoning",
            "reasoning_effort",
            "repetition_penalty",
            "response_format",
            "safety_identifier",
            "seed",
            "stop",
            "store",
            "stream",
            "stream_options",
            "temperature",
            "tool_choice",
            "tools",
            "top_k",
            "top_logprobs",
            "top_p",
            "user",
            "verbosity",
            "cache_salt",
        ],
        Operation::Responses => &[
            "include",
            "input",
            "instructions",
            "max_output_tokens",
            "max_tool_calls",
            "metadata",
            "model",
            "parallel_tool_calls",
            "prompt_cache_key",
            "reasoning",
            "safety_identifier",
            "store",
            "stream",
            "stream_options",
            "temperature",
            "text",
            "tool_choice",
            "tools",
            "top_logprobs",
            "top_p",
            "truncation",
            "user",
            "cache_salt",
            "client_metadata",
        ],
        Operation::Embeddings => &["dimensions", "encoding_format", "input", "model", "user"],
        Operation::Images => &[
            "background",
            "model",
            "moderation",
            "n",
            "output_compression",
            "output_format",
            "prompt",
            "quality",
            "response_format",
            "size",
            "style",
            "user",
        ],
        Operation::Messages => &[
            "cache_control",
            "context_management",
            "max_tokens",
            "messages",
            "metadata",
            "model",
            "output_config",
            "stop_sequences",
            "stream",
            "system",
            "temperature",
            "thinking",
            "tool_choice",
            "tools",
            "top_k",
            "top_p",
        ],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let (post, get) = (Method::POST, Method::GET);
        for (method, path, wanted) in [
            (&post, "/gateway/openai/v1/chat/completions", Asks::For(Face::OpenAi, Operation::Chat)),
            (&post, "/gateway/openai/v1/responses", Asks::For(Face::OpenAi, Operation::Responses)),
            (&post, "/gateway/openai/v1/embeddings", Asks::For(Face::OpenAi, Operation::Embeddings)),
            (&post, "/gateway/openai/v1/images/generations", Asks::For(Face::OpenAi, Operation::Images)),
            (&get, "/gateway/openai/v1/models", Asks::For(Face::OpenAi, Operation::Models)),
            (&post, "/gateway/anthropic/v1/messages", Asks::For(Face::Anthropic, Operation::Messages)),
            (&get, "/gateway/anthropic/v1/models", Asks::For(Face::Anthropic, Operation::Models)),
            (&get, "/gateway/openai/v1/chat/completions", Asks::WithMethod(Face::OpenAi, "POST")),
            (&post, "/gateway/openai/v1/models", Asks::WithMethod(Face::OpenAi, "GET")),
            (&post, "/gateway/anthropic/v1/chat/completions", Asks::Nothing(Face::Anthropic)),
            (&post, "/gateway/openai/v1/messages", Asks::Nothing(Face::OpenAi)),
            (&post, "/gateway/openai/v1/chat/completions/", Asks::Nothing(Face::OpenAi)),
            (&post, "/gateway/openai/v1//chat/completions", Asks::Nothing(Face::OpenAi)),
            (&post, "/gateway/openai/v1/../v1/chat/completions", Asks::Nothing(Face::OpenAi)),
            (&post, "/gateway/openai/v1/%63hat/completions", Asks::Nothing(Face::OpenAi)),
            (&post, "/gateway/openai/v1/files", Asks::Nothing(Face::OpenAi)),
            (&post, "/gateway/openai/v1/fine_tuning/jobs", Asks::Nothing(Face::OpenAi)),
            // What a vLLM behind a key still answers.
            (&post, "/gateway/openai/invocations", Asks::Nothing(Face::OpenAi)),
            (&post, "/gateway/openai/v1/pause", Asks::Nothing(Face::OpenAi)),
            (&post, "/gateway/openai/v1/update_weights", Asks::Nothing(Face::OpenAi)),
            (&post, "/v1/chat/completions", Asks::Nothing(Face::OpenAi)),
            (&post, "/gateway/anthropic/v1/messages/batches", Asks::Nothing(Face::Anthropic)),
        ] {
            assert_eq!(asks(method, path), wanted, "{method} {path}");
        }
    }

    #[test]
    fn no_field_says_where_a_call_goes_or_what_it_bears() {
        for operation in
            [Operation::Chat, Operation::Responses, Operation::Embeddings, Operation::Images, Operation::Messages]
        {
            let fields = fields(operation);
            for bad in [
                "api_base",
                "base_url",
                "api_key",
                "api_version",
                "headers",
                "extra_headers",
                "extra_body",
                "provider",
                "deployment",
                "organization",
                "custom_llm_provider",
                "fallbacks",
                "mock_response",
                "conversation",
                "previous_response_id",
                "background_url",
                "webhook",
                "callbacks",
                "mcp_servers",
                "container",
                "inference_geo",
                "service_tier",
                "cache",
                "guardrails",
                "vllm_xargs",
            ] {
                assert!(!fields.contains(&bad), "{operation:?}: {bad}");
            }
            assert!(fields.contains(&"model"), "{operation:?}");
        }
    }
}
