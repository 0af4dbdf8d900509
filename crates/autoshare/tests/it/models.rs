//! Providers in settings, from `autoshare.toml` and the environment to the request that leaves.

use std::os::unix::fs::PermissionsExt;

use autoshare_testkit::{Canary, Fault, Script, ScriptedModel, Turn};

use crate::desk::{Desk, Ran};

fn server() -> ScriptedModel {
    ScriptedModel::start(Script::new([Turn::text("ready \u{1b}[2J")]))
}

/// Writes `autoshare.toml`, and a key file beside it.
fn configure(desk: &Desk, toml: &str, key: &str) {
    let folder = desk.home.join(".config/autoshare");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("key");
    std::fs::write(&file, key).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(folder.join("autoshare.toml"), toml.replace("KEY_FILE", file.to_str().unwrap())).unwrap();
}

fn mine(server: &ScriptedModel) -> String {
    format!(
        "[provider.mine]\ndialect = \"messages\"\nbase_url = \"{}\"\nauth = \"header:x-api-key\"\nkey_file = \"KEY_FILE\"\n",
        server.base_url()
    )
}

#[test]
fn c6_a_provider_of_ones_own_is_called_with_its_own_key_and_no_other() {
    let (desk, server) = (Desk::new(), server());
    let (key, openai) = (Canary::new(), Canary::new());
    configure(&desk, &format!("[model]\nprovider = \"mine\"\n{}", mine(&server)), key.as_str());
    for name in ["mine/some", "some"] {
        let command = |args: &[&str]| {
            let mut command = desk.command(args);
            command.env("OPENAI_API_KEY", openai.as_str()).env("OPENAI_BASE_URL", "https://127.0.0.1:9/v1");
            Ran::of(command.output().unwrap())
        };
        let ran = command(&["model", "test", name]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(ran.out.contains(&format!("{name} said: ready")) && !ran.out.contains('\u{1b}'), "{}", ran.out);
        let sent = server.requests().pop().unwrap();
        assert_eq!((sent.path.as_str(), sent.header("x-api-key")), ("/v1/messages", Some(key.as_str())));
        assert!(sent.headers.iter().all(|(_, value)| !value.contains(openai.as_str())));
        let json = command(&["model", "test", name, "--json"]);
        let told: serde_json::Value = serde_json::from_str(json.out.trim()).unwrap();
        assert_eq!((&told["model"], &told["tries"]), (&name.into(), &1.into()));
        for text in [ran.out, ran.err, json.out, json.err] {
            assert!(!text.contains(key.as_str()) && !text.contains(openai.as_str()), "{text}");
        }
    }
}

#[test]
fn keys_of_providers_are_taken_from_an_env_file_and_go_to_their_provider() {
    let (desk, server) = (Desk::new(), server());
    configure(&desk, &format!("[provider.groq]\nbase_url = \"{}\"\n", server.base_url()), "unused");
    let file = desk.home.join("autogpt.env");
    std::fs::write(&file, "GROQ_API_KEY=of-groq\nOPENAI_API_KEY=of-openai\nANTHROPIC_API_KEY=of-anthropic\n").unwrap();
    let ran = desk.autoshare(["model", "test", "groq/some", "--env-file", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer of-groq"));
}

#[test]
fn another_model_answers_where_the_settings_say_so() {
    let failing = ScriptedModel::start(Script::new([Turn::text("never").fault(Fault::status(402))]));
    let (desk, server) = (Desk::new(), server());
    let toml = format!(
        "[model.fallback]\n\"bad/some\" = [\"mine/other\"]\n{}[provider.bad]\nbase_url = \"{}\"\n",
        mine(&server),
        failing.base_url()
    );
    configure(&desk, &toml, "sk-of-mine");
    let ran = desk.autoshare(["model", "test", "bad/some"]);
    assert!(ran.code == Some(0) && ran.out.contains("mine/other said: ready"), "{} {}", ran.out, ran.err);
    assert_eq!(failing.requests().len(), 1);
}

#[test]
fn a_check_that_is_off_is_told_at_every_start_and_listed_by_doctor() {
    let desk = Desk::new();
    let toml = "[provider.lab]\nbase_url = \"https://localhost:1/v1\"\n[provider.lab.tls]\ndanger_accept_any_certificate = true\n";
    configure(&desk, toml, "k");
    let told = "provider lab: danger_accept_any_certificate is on";
    assert!(desk.autoshare(["ps"]).err.contains(&format!("warning: {told}")));
    let doctor = desk.autoshare(["doctor"]).out;
    assert!(doctor.contains(&format!("settings: {told}")), "{doctor}");
    assert!(doctor.contains("settings: models of lab are called at https://localhost:1"), "{doctor}");
    let json: serde_json::Value = serde_json::from_str(desk.autoshare(["doctor", "--json"]).out.trim()).unwrap();
    assert_eq!(json["settings"].as_array().unwrap().len(), 2, "{json}");
}

#[test]
fn what_is_misspelt_is_refused_with_its_place() {
    let cases = [
        ("[provider.mine]\nbas_url = \"x\"\n", "bas_url"),
        ("[provider.mine]\ndialect = \"chat\"\n", "base_url is missing"),
        ("[provider.mine]\nbase_url = \"http://192.0.2.1/v1\"\n", "plain http"),
        (
            "[provider.mine]\nbase_url = \"https://h/v1\"\n[provider.mine.tls]\npins = [\"sha\"]\n",
            "64 hexadecimal digits",
        ),
        (
            "[provider.mine]\nbase_url = \"https://h/v1\"\n[provider.mine.tls]\nca_file = \"KEY_FILE\"\n",
            "no certificate in PEM",
        ),
        ("[model]\nprovider = \"nobody\"\n", "\"nobody\""),
        ("[limits]\nbreaker_rest_s = 0\n", "limits.breaker_rest_s"),
    ];
    for (toml, expected) in cases {
        let desk = Desk::new();
        configure(&desk, toml, "k");
        let ran = desk.autoshare(["model", "test", "mine/x"]);
        assert!(ran.code != Some(0) && ran.err.contains(expected), "{toml}: {}", ran.err);
    }
}

#[test]
fn the_list_says_who_serves_what_and_what_it_can_do() {
    let desk = Desk::new();
    let rows = desk.autoshare(["model", "list", "--json"]).out;
    let rows: Vec<serde_json::Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let row = |key: &str, name: &str| rows.iter().find(|row| row[key] == name).unwrap();
    let claude = row("name", "claude-opus-4-5");
    assert_eq!((&claude["provider"], &claude["cached_usd_per_million"]), (&"anthropic".into(), &0.5.into()));
    assert_eq!((&claude["abilities"]["tools"], &claude["abilities"]["images"]), (&true.into(), &true.into()));
    assert!(row("name", "kimi-k3")["abilities"]["images"].is_null(), "unknown is not false");
    let provider = |name: &str| rows.iter().find(|row| row["provider"] == name && row["dialect"].is_string()).unwrap();
    assert_eq!(provider("gemini")["dialect"], "gemini");
    assert!(provider("azure")["at"].is_null(), "it has no address before one is said");
    let words = desk.autoshare(["model", "list"]).out;
    assert!(words.contains("groq/NAME") && words.contains("key in GROQ_API_KEY"), "{words}");
}
