//! Tenants are kept apart: connections, prompt caches, local servers.

use std::sync::Arc;

use autoshare_broker::{Broker, BrokerError, Claims, Dialect, ProviderSpec, Settings};
use autoshare_testkit::Turn;

use crate::dialects::at;
use crate::{ask, serve};

fn tenant(name: &str, claims: &Arc<Claims>, settings: Settings) -> Settings {
    Settings { tenant: name.to_owned(), claims: Arc::clone(claims), ..settings }
}

#[tokio::test]
async fn a_server_that_takes_a_salt_gets_each_tenants_own() {
    let server = serve([Turn::text("hi")]);
    let claims = Arc::default();
    let settings =
        |name| tenant(name, &claims, at(&server.base_url(), Dialect::Chat, |spec| spec.cache_salt = Some(true)));
    for name in ["acme", "bolt"] {
        let broker = Broker::new(settings(name)).unwrap();
        for _ in 0..2 {
            ask(&broker.model("test/m").unwrap()).await.0.unwrap();
        }
    }
    let salts: Vec<String> =
        server.requests().iter().map(|sent| sent.body["cache_salt"].as_str().unwrap().to_owned()).collect();
    assert!(salts[0] == salts[1] && salts[2] == salts[3] && salts[0] != salts[2], "{salts:?}");
    assert!(salts[0].len() >= 32);
    let given = Settings { cache_salt: Some("mine".into()), ..settings("acme") };
    ask(&Broker::new(given).unwrap().model("test/m").unwrap()).await.0.unwrap();
    assert_eq!(server.requests()[4].body["cache_salt"], "mine");
}

#[tokio::test]
async fn a_server_without_a_salt_is_one_tenants_or_shared_by_recorded_leave() {
    let server = serve([Turn::text("hi")]);
    let plain = || at(&server.base_url(), Dialect::Chat, |_| {});
    let claims = Arc::default();
    let (acme, bolt) = (tenant("acme", &claims, plain()), tenant("bolt", &claims, plain()));
    let (acme, bolt) = (Broker::new(acme).unwrap(), Broker::new(bolt).unwrap());
    acme.route("test/m").unwrap();
    let error = bolt.route("test/m").unwrap_err();
    assert!(
        matches!(error, BrokerError::OtherTenants { .. }) && error.to_string().contains("shared = true"),
        "{error}"
    );
    assert!(bolt.model(&format!("m@{}", server.base_url())).is_err(), "by its address neither");
    assert!(server.requests().is_empty());
    Broker::new(tenant("acme", &claims, plain())).unwrap().route("test/m").unwrap();

    let shared = at(&server.base_url(), Dialect::Chat, |spec: &mut ProviderSpec| {
        (spec.shared, spec.local) = (Some(true), Some(true));
    });
    assert!(shared.providers.get("test").unwrap().notices()[0].contains("shared is on"));
    Broker::new(tenant("bolt", &claims, shared)).unwrap().route("test/m").unwrap();
}

#[tokio::test]
async fn where_a_cache_is_shared_by_account_each_tenants_conversations_may_begin_with_a_line_of_its_own() {
    let server = serve([Turn::text("hi")]);
    let claims = Arc::default();
    for (name, on) in [("acme", true), ("bolt", true), ("core", false)] {
        let settings = at(&server.base_url(), Dialect::Chat, |spec| {
            (spec.shared_cache, spec.first_line, spec.shared) = (Some(true), Some(on), Some(true));
        });
        ask(&Broker::new(tenant(name, &claims, settings)).unwrap().model("test/m").unwrap()).await.0.unwrap();
    }
    let first: Vec<String> =
        server.requests().iter().map(|sent| sent.body["messages"][0]["content"].to_string()).collect();
    assert!(first[0].contains("Conversation space") && first[1].contains("Conversation space"), "{first:?}");
    assert_ne!(first[0], first[1]);
    assert_eq!(first[2], "\"Work.\"", "off unless it is set");
}
