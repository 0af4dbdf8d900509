//! `model list` and `model test`.

use std::process::ExitCode;
use std::time::Instant;

use autoshare_broker::{Abilities, Metered};
use autoshare_core::chat::{Message, Request};
use autoshare_guard::encode;

use crate::assemble;
use crate::exit::{FAILED, Failure};
use crate::screen::{Look, ascii_json, out};
use crate::settings::Settings;

/// The models with known windows and prices, the stand-ins, and the servers found on this machine.
pub(crate) fn list(settings: Settings, look: Look) -> Result<ExitCode, Failure> {
    let broker = assemble::broker(&settings)?;
    let found = super::runtime()?.block_on(autoshare_broker::discover());
    for row in broker.known() {
        if look == Look::Json {
            out(&ascii_json(&serde_json::json!({
                "name": row.name, "window": row.window, "max_output": row.max_output,
                "input_usd_per_million": row.input_usd_per_million, "output_usd_per_million": row.output_usd_per_million,
                "cached_usd_per_million": row.cached_usd_per_million, "provider": row.provider,
                "abilities": row.abilities,
            })));
        } else {
            let (input, output) = (row.input_usd_per_million, row.output_usd_per_million);
            let provider = row.provider.as_deref().unwrap_or("-");
            let able = abilities(&row.abilities);
            out(&format!(
                "{:<32} {provider:<10} window {:>8}  ${input} in, ${output} out per million tokens{able}",
                row.name, row.window
            ));
        }
    }
    for row in found {
        if look == Look::Json {
            out(&ascii_json(&serde_json::json!({"name": row.name, "base_url": row.base_url})));
        } else {
            let (name, url) = (encode::terminal_line(&row.name, 60), encode::terminal_line(&row.base_url, 60));
            out(&format!("{name:<32} at {url}, on this machine"));
        }
    }
    for provider in broker.providers() {
        let (name, dialect) = (provider.name(), provider.dialect().name());
        let at = provider.origin();
        if look == Look::Json {
            let keys = provider.key_names();
            out(&ascii_json(&serde_json::json!({"provider": name, "dialect": dialect, "at": at, "key": keys})));
        } else {
            let at = at.unwrap_or_else(|| "no address yet (docs/providers.md)".to_owned());
            let key = provider.key_names().first().map(|key| format!(", key in {key}")).unwrap_or_default();
            let line = format!("{:<32} any model of {name}: {dialect} at {at}{key}", format!("{name}/NAME"));
            out(&encode::terminal_line(&line, 160));
        }
    }
    if look != Look::Json {
        out(
            "gullible                         a stand-in that obeys every instruction it reads (docs/stand-in-models.md)",
        );
        out("replay:FILE                      a stand-in that plays a recorded conversation");
    }
    Ok(ExitCode::SUCCESS)
}

fn abilities(able: &Abilities) -> String {
    let known = [
        ("tools", able.tools),
        ("images", able.images),
        ("structured", able.structured),
        ("reasoning", able.reasoning),
    ];
    let words: Vec<&str> = known.iter().filter(|(_, able)| *able == Some(true)).map(|(word, _)| *word).collect();
    if words.is_empty() { String::new() } else { format!("; {}", words.join(", ")) }
}

/// Tokens of the reply at most: some models think before they say a word.
const TEST_OUTPUT: u64 = 1_024;

/// One small call. It costs what a few words cost.
pub(crate) fn test(settings: Settings, name: &str, look: Look) -> Result<ExitCode, Failure> {
    let model = assemble::broker(&settings)?.model(name)?;
    let words = Message::User { text: "Reply with the one word: ready".to_owned() };
    let max_output = TEST_OUTPUT.min(model.max_output());
    let request = Request { messages: vec![words], tools: Vec::new(), max_output };
    let started = Instant::now();
    let mut first = None;
    let mut hear = |_| {
        first.get_or_insert_with(|| started.elapsed());
    };
    let completion = super::runtime()?
        .block_on(model.complete_metered(&request, &mut hear))
        .map_err(|error| Failure::new(FAILED, error.to_string()))?;
    let (first, whole) = (first.unwrap_or_default().as_millis(), started.elapsed().as_millis());
    let usage = completion.reply.usage;
    if look == Look::Json {
        out(&ascii_json(&serde_json::json!({
            "model": completion.model, "said": completion.reply.text, "tries": completion.tries,
            "first_ms": u64::try_from(first).unwrap_or(u64::MAX), "whole_ms": u64::try_from(whole).unwrap_or(u64::MAX),
            "usage": usage, "reported": completion.metered == Metered::Reported,
        })));
    } else {
        let said = encode::terminal_line(&completion.reply.text, 200);
        let by = encode::terminal_line(&completion.model, 80);
        let counted = if completion.metered == Metered::Reported { "" } else { ", estimated" };
        out(&format!("{by} said: {said}"));
        out(&format!(
            "{} tokens sent, {} received{counted}, {}; first words after {first} ms, all after {whole} ms, tries: {}",
            usage.input_tokens, usage.output_tokens, usage.cost, completion.tries
        ));
    }
    Ok(ExitCode::SUCCESS)
}
