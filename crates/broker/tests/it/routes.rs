//! Where a name leads, what fails is left alone, and what is called instead.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autoshare_broker::{
    BreakerSettings, Broker, BrokerError, Credentials, Dialect, ModelError, Operation, Prices, ProviderSpec, Providers,
    Retries, Settings, TlsSettings,
};
use autoshare_testkit::{Fault, Turn};
use autoshare_vault::Sensitive;

use crate::dialects::at;
use crate::{ask, serve, settings};

fn keys(names: &[&str]) -> Box<dyn Credentials> {
    let key = |name: &&str| ((*name).to_owned(), Arc::new(Sensitive::new(format!("key-of-{name}"))));
    let keys: BTreeMap<String, Arc<Sensitive>> = names.iter().map(key).collect();
    Box::new(keys)
}

fn all_keys() -> Box<dyn Credentials> {
    keys(&["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY", "OPENROUTER_API_KEY"])
}

#[test]
fn all_providers_of_the_table_are_taken() {
    let providers = Providers::default();
    let names: Vec<&str> = providers.all().map(|provider| provider.name()).collect();
    let expected = "anthropic azure deepseek fireworks gemini groq llamacpp lmstudio mistral ollama openai openrouter \
                    together vllm xai";
    assert_eq!(names.join(" "), expected);
    assert!(providers.all().all(|provider| provider.notices().is_empty()));
}

#[test]
fn a_name_leads_to_its_provider() {
    let broker = Broker::new(Settings { credentials: all_keys(), ..Settings::default() }).unwrap();
    let cases = [
        ("gpt-5", "openai", "https://api.openai.com/v1/chat/completions", "gpt-5"),
        ("openai/gpt-5", "openai", "https://api.openai.com/v1/chat/completions", "gpt-5"),
        ("claude-opus-5", "anthropic", "https://api.anthropic.com/v1/messages", "claude-opus-5"),
        (
            "claude-sonnet-4-5-20250929",
            "anthropic",
            "https://api.anthropic.com/v1/messages",
            "claude-sonnet-4-5-20250929",
        ),
        (
            "gemini-2.5-pro",
            "gemini",
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
            "gemini-2.5-pro",
        ),
        (
            "openrouter/anthropic/claude-opus-5",
            "openrouter",
            "https://openrouter.ai/api/v1/chat/completions",
            "anthropic/claude-opus-5",
        ),
        ("maker/unheard-of", "openai", "https://api.openai.com/v1/chat/completions", "maker/unheard-of"),
        ("ollama/qwen3:8b", "ollama", "http://127.0.0.1:11434/v1/chat/completions", "qwen3:8b"),
        (
            "gemini/../../evil?x#y",
            "gemini",
            "https://generativelanguage.googleapis.com/v1beta/models/..%2F..%2Fevil%3Fx%23y:streamGenerateContent?alt=sse",
            "../../evil?x#y",
        ),
    ];
    for (name, provider, url, model) in cases {
        let route = broker.route(name).unwrap();
        assert_eq!((route.provider(), route.model()), (provider, model), "{name}");
        assert_eq!(route.url(route.dialect().operation()).unwrap().as_str(), url, "{name}");
    }
    let azure = ProviderSpec {
        base_url: Some("https://mine.openai.azure.com/openai/deployments/{model}".into()),
        ..ProviderSpec::default()
    };
    assert!(matches!(Broker::new(Settings::default()).unwrap().route("azure/x"), Err(BrokerError::NoAddress { .. })));
    let with_azure = || {
        let mut settings = Settings { credentials: keys(&["AZURE_OPENAI_API_KEY"]), ..Settings::default() };
        settings.providers.extend("azure", &azure, TlsSettings::default()).unwrap();
        Broker::new(settings).unwrap()
    };
    let route = with_azure().route("azure/my/gpt").unwrap();
    assert!(with_azure().route("azure/..").unwrap().url(Operation::Chat).is_err());
    assert_eq!(
        route.url(Operation::Chat).unwrap().as_str(),
        "https://mine.openai.azure.com/openai/deployments/my%2Fgpt/chat/completions?api-version=2024-10-21"
    );
}

#[test]
fn with_an_address_of_ones_own_plain_names_go_there() {
    let broker = Broker::new(Settings { credentials: all_keys(), ..settings("http://127.0.0.1:9/v1") }).unwrap();
    for name in ["claude-opus-5", "gpt-5", "maker/unheard-of"] {
        assert_eq!(broker.route(name).unwrap().origin(), "http://127.0.0.1:9", "{name}");
    }
    assert_eq!(broker.route("anthropic/claude-opus-5").unwrap().origin(), "https://api.anthropic.com");
}

#[test]
fn no_name_of_a_caller_leads_anywhere_but_to_a_provider_of_the_settings() {
    let broker = Broker::new(Settings { credentials: all_keys(), ..Settings::default() }).unwrap();
    for name in
        ["m@http://127.0.0.1:1/v1", "openai/m@https://evil.example/v1", "replay:/etc/passwd", "gullible", "", "a b"]
    {
        let error = broker.route(name).unwrap_err();
        assert!(matches!(error, BrokerError::NotHere { .. } | BrokerError::ModelName { .. }), "{name}: {error:?}");
    }
    let without = Broker::new(Settings::default()).unwrap();
    let error = without.route("groq/llama").unwrap_err().to_string();
    assert!(error.contains("set GROQ_API_KEY"), "{error}");
    assert!(broker.route("anthropic/m").unwrap().url(Operation::Images).unwrap_err().to_string().contains("no images"));
}

#[test]
fn settings_of_providers_that_cannot_be_are_refused_with_their_name() {
    let spec = |text: &str| toml::from_str::<ProviderSpec>(text);
    let cases = [
        ("mine", "", "base_url is missing"),
        ("Mine", "base_url = 'https://h/v1'", "a name is"),
        ("mine", "base_url = 'http://h/v1'", "plain http"),
        ("mine", "base_url = 'https://h/v1'\nauth = 'cookie'", "auth is \"cookie\""),
        ("mine", "base_url = 'https://h/v1'\n[headers]\nauthorization = 'x'", "cannot be set here"),
        ("mine", "base_url = 'https://h/v1'\n[headers]\nx = \"a\\nb\"", "cannot be one"),
    ];
    for (name, text, expected) in cases {
        let error = Providers::default().extend(name, &spec(text).unwrap(), TlsSettings::default()).unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
    for text in ["bas_url = 'x'", "dialect = 'smtp'", "[tls]\nverify = false"] {
        assert!(spec(text).is_err(), "{text}");
    }
    let mut providers = Providers::default();
    providers.extend("openai", &spec("shared_cache = false").unwrap(), TlsSettings::default()).unwrap();
    assert_eq!(providers.get("openai").unwrap().origin().as_deref(), Some("https://api.openai.com"));
}

fn failing(code: u16) -> Fault {
    Fault::Status { status: code, retry_after: None, location: None, message: Some("no".into()), code: None }
}

fn quick(mut settings: Settings) -> Settings {
    settings.retries = Retries { tries: 2, first_wait: Duration::from_millis(1), ..Retries::default() };
    settings.breaker =
        BreakerSettings { faults: 4, rest: Duration::from_millis(300), longest_rest: Duration::from_secs(1) };
    settings
}

#[tokio::test]
async fn who_fails_is_left_alone_for_a_while_and_then_asked_once() {
    let server = serve([Turn::text("here").fault_times(4, failing(503))]);
    let broker = Broker::new(quick(at(&server.base_url(), Dialect::Chat, |_| {}))).unwrap();
    let model = || broker.model("test/m").unwrap();
    for _ in 0..2 {
        assert!(matches!(ask(&model()).await.0, Err(ModelError::Busy { status: 503, .. })));
    }
    let error = ask(&model()).await.0.unwrap_err();
    assert!(matches!(error, ModelError::Resting { .. }), "{error:?}");
    assert!(error.to_string().contains("left alone for"), "{error}");
    assert_eq!(server.requests().len(), 4, "nothing was sent");
    // Another model of the same provider is not held for it.
    let other = serve([Turn::text("x")]);
    drop(other);
    assert!(!matches!(ask(&broker.model("test/n").unwrap()).await.0, Err(ModelError::Resting { .. })));
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert_eq!(ask(&model()).await.0.unwrap().reply.text, "here");
    assert!(model().complete(&crate::request(), &mut |_| {}).await.is_ok());
}

#[tokio::test]
async fn what_a_caller_did_wrong_opens_no_breaker() {
    for code in [400, 401, 403, 404, 413, 422, 429] {
        let server = serve([Turn::text("never").fault(failing(code))]);
        let broker = Broker::new(quick(at(&server.base_url(), Dialect::Messages, |_| {}))).unwrap();
        for _ in 0..6 {
            let error = ask(&broker.model("test/m").unwrap()).await.0.unwrap_err();
            assert!(!matches!(error, ModelError::Resting { .. }), "{code}: {error}");
        }
    }
}

#[tokio::test]
async fn cut_streams_silence_and_refused_connections_open_it() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cut = serve([Turn::text("one two three four five").fault(Fault::Cut { after: 400, clean: false })]);
    let silent = serve([Turn::text("x").fault(Fault::Silence { after: None })]);
    for url in [format!("http://{closed}/v1"), cut.base_url(), silent.base_url()] {
        let mut settings = quick(at(&url, Dialect::Chat, |_| {}));
        settings.timeouts.first_byte = Duration::from_millis(100);
        settings.breaker.rest = Duration::from_secs(60);
        let broker = Broker::new(settings).unwrap();
        let mut rested = false;
        for _ in 0..5 {
            rested = matches!(ask(&broker.model("test/m").unwrap()).await.0, Err(ModelError::Resting { .. }));
        }
        assert!(rested, "{url}");
    }
}

/// Two providers, `test` (the one that fails) and `spare`.
fn with_spare(test: &str, spare: &str) -> Settings {
    let mut settings = quick(at(test, Dialect::Chat, |_| {}));
    let spec =
        ProviderSpec { dialect: Some(Dialect::Messages), base_url: Some(spare.to_owned()), ..ProviderSpec::default() };
    settings.providers.extend("spare", &spec, TlsSettings::default()).unwrap();
    settings.fallbacks = BTreeMap::from([("test/m".to_owned(), vec!["spare/n".to_owned()])]);
    settings
}

#[tokio::test]
async fn another_model_is_called_where_one_fails_and_its_price_is_reserved() {
    let spare = serve([Turn::text("from the spare")]);
    for fault in [failing(503), failing(429), failing(402), Fault::Cut { after: 0, clean: false }] {
        let server = serve([Turn::text("never").fault(fault.clone())]);
        let mut settings = with_spare(&server.base_url(), &spare.base_url());
        let row = |name: &str, price: u32| {
            format!("[[model]]\nname = \"{name}\"\nwindow = 9000\nmax_output = 9\ninput = {price}\noutput = {price}\n")
        };
        settings.prices = Prices::parse(&format!("version = 1\n{}{}", row("m", 1), row("n", 50))).unwrap();
        let model = Broker::new(settings).unwrap().model("test/m").unwrap();
        let completion = ask(&model).await.0.unwrap();
        assert_eq!(
            (completion.reply.text.as_str(), completion.model.as_str()),
            ("from the spare", "spare/n"),
            "{fault:?}"
        );
        let reserved = model.reserve(&crate::request());
        assert!(reserved.cost.0 >= reserved.tokens() * 50, "{reserved:?}");
    }
}

#[tokio::test]
async fn no_other_is_called_for_what_the_request_is_to_blame_for_or_once_a_part_was_heard() {
    let spare = serve([Turn::text("from the spare")]);
    for fault in [failing(400), failing(401), failing(404), Fault::Cut { after: 600, clean: false }] {
        let server = serve([Turn::text("one two three four five six seven").fault(fault.clone())]);
        let model = Broker::new(with_spare(&server.base_url(), &spare.base_url())).unwrap().model("test/m").unwrap();
        assert!(ask(&model).await.0.is_err(), "{fault:?}");
    }
    assert!(spare.requests().is_empty());
}

#[test]
fn a_chain_that_cannot_be_is_refused_at_the_start() {
    for others in [vec!["gullible"], vec!["m@http://127.0.0.1:1/v1"], vec!["m"; 9], vec!["a b"]] {
        let others: Vec<String> = others.into_iter().map(str::to_owned).collect();
        let fallbacks = BTreeMap::from([("m".to_owned(), others)]);
        assert!(Broker::new(Settings { fallbacks, ..Settings::default() }).is_err());
    }
}

#[tokio::test]
async fn where_all_fail_the_first_is_told() {
    let server = serve([Turn::text("never").fault(failing(503))]);
    let spare = serve([Turn::text("never").fault(failing(400))]);
    let model = Broker::new(with_spare(&server.base_url(), &spare.base_url())).unwrap().model("test/m").unwrap();
    assert!(matches!(ask(&model).await.0, Err(ModelError::Busy { status: 503, .. })));
    assert_eq!(spare.requests().len(), 1);
}
