//! A client certificate as identity, over real TLS: it is the token that is bound to it, and that token is nothing without
//! it (RFC 8705, 3).

use autoshare_access::{Grant, Scope};
use autoshare_broker::gateway::GatewaySettings;
use autoshare_core::Digest;
use autoshare_server::http::{ClientCa, Demand, HttpSettings, TlsPair, certificate_digest};
use autoshare_store::ledger::Budgets;
use autoshare_testkit::{Certified, CertifiedClient};
use reqwest::{Certificate, Client, Identity};
use serde_json::json;

use crate::gateway::{Place, WHOLE, hello};
use crate::http2::curl;
use crate::upstream::Says;

/// A client that trusts the server, and shows this certificate.
fn client(server: &Certified, shown: Option<&CertifiedClient>) -> Client {
    let ca = Certificate::from_pem(server.ca.as_bytes()).unwrap();
    let builder = Client::builder().no_proxy().tls_certs_only([ca]);
    let builder = match shown {
        Some(shown) => {
            builder.identity(Identity::from_pem(format!("{}{}", shown.certificate, shown.key).as_bytes()).unwrap())
        }
        None => builder,
    };
    builder.build().unwrap()
}

/// A server that trusts these authorities of callers.
async fn over(server: &Certified, roots: &str) -> Place {
    let clients = ClientCa { roots: ("clients.pem", roots.as_bytes()), demand: Demand::Optional };
    let (cert, key) = (("cert.pem", server.certificate.as_bytes()), ("key.pem", server.key.as_bytes()));
    let tls = Some(TlsPair { cert, key, clients: Some(clients) });
    let (http, settings) = (HttpSettings::default(), GatewaySettings::default());
    Place::over(|_| Says::json(WHOLE), settings, Budgets::default(), http, tls).await
}

/// What is shown beside a certificate: the name of a header and its value.
type Beside<'a> = Option<(&'static str, &'a str)>;

async fn me(place: &Place, client: &Client, beside: Beside<'_>) -> (u16, String) {
    let base = place.base.trim_end_matches("/gateway");
    let mut request = client.get(format!("{base}/api/v1/me"));
    if let Some((name, value)) = beside {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn chat(place: &Place, client: &Client, beside: Beside<'_>) -> u16 {
    let url = format!("{}/openai/v1/chat/completions", place.base);
    let mut request = client.post(url).json(&hello("m"));
    if let Some((name, value)) = beside {
        request = request.header(name, value);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_the_token_that_is_bound_to_it_at_the_api_and_at_the_gateway() {
    let server = Certified::new(&["127.0.0.1"]);
    let (ann, bob) =
        (CertifiedClient::new("ann", &["ann.example.org"]), CertifiedClient::new("ann", &["ann.example.org"]));
    let place = over(&server, &format!("{}{}", ann.ca, bob.ca)).await;

    let digest = certificate_digest("ann.pem", ann.certificate.as_bytes()).unwrap();
    let scopes = vec![Scope::Gateway, Scope::Read];
    let bound = place.token(Grant { scopes, certificate: Some(digest), ..Grant::gateway("of ann") });
    let plain = place.token(Grant::gateway("plain"));
    let (none, anns, bobs) = (client(&server, None), client(&server, Some(&ann)), client(&server, Some(&bob)));
    let (bearer, of_plain) = (format!("Bearer {bound}"), format!("Bearer {plain}"));
    let bearer = Some(("authorization", bearer.as_str()));

    // Who it is, and that it stands in the certificate's place.
    let (status, told) = me(&place, &anns, None).await;
    assert!(status == 200 && told.contains("of ann"), "{told}");
    let (status, told) = me(&place, &anns, Some(("authorization", &of_plain))).await;
    assert!(status == 200 && told.contains("plain"), "a token of one's own goes before the certificate: {told}");

    for (what, client, beside, wanted) in [
        ("the certificate alone", &anns, None, 200),
        ("the certificate and its token", &anns, bearer, 200),
        ("the token alone", &none, bearer, 401),
        // Of the same names, signed by an authority that is trusted as well.
        ("the token with another's certificate", &bobs, bearer, 401),
        ("a certificate that no token is bound to", &bobs, None, 401),
        ("nothing", &none, None, 401),
        ("garbage beside the certificate", &anns, Some(("authorization", "Bearer garbage")), 401),
        ("another scheme beside the certificate", &anns, Some(("authorization", "Basic YTpi")), 401),
        ("an unbound token without a certificate", &none, Some(("authorization", of_plain.as_str())), 200),
    ] {
        assert_eq!(me(&place, client, beside).await.0, wanted, "{what}, at the API");
        assert_eq!(chat(&place, client, beside).await, wanted, "{what}, at the gateway");
    }
    // One who says to have shown a certificate shows none.
    let forged =
        [("x-client-cert", ann.certificate.replace('\n', " ")), ("x-forwarded-client-cert", digest.to_string())];
    for (name, value) in &forged {
        assert_eq!(me(&place, &none, Some((name, value))).await.0, 401, "{name}");
    }
    // A browser shows the certificate by itself: not where another site has sent it.
    for (site, wanted) in [("cross-site", 401), ("same-site", 401), ("same-origin", 200), ("none", 200)] {
        assert_eq!(me(&place, &anns, Some(("sec-fetch-site", site))).await.0, wanted, "{site}");
    }
    // It ends with its token.
    let id = place.listed().into_iter().find(|record| record.certificate == Some(digest)).unwrap().id.clone();
    place.revoke(&id);
    assert_eq!(me(&place, &anns, None).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binding_holds_at_all_faces_in_all_versions_and_where_a_connection_goes_on() {
    let server = Certified::new(&["127.0.0.1"]);
    let [ann, bob] = ["ann", "bob"].map(|name| CertifiedClient::new(name, &[]));
    let roots = format!("{}{}", ann.ca, bob.ca);
    let place = over(&server, &roots).await;
    let digest = certificate_digest("ann.pem", ann.certificate.as_bytes()).unwrap();
    let scopes = vec![Scope::Gateway, Scope::Read];
    let bound = place.token(Grant { scopes, certificate: Some(digest), ..Grant::gateway("of ann") });
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let ca = file("ca.pem", &server.ca);
    let [ann, bob] =
        [("ann", &ann), ("bob", &bob)].map(|(name, one)| file(name, &format!("{}{}", one.certificate, one.key)));
    let bearer = format!("authorization: Bearer {bound}");
    let base = place.base.trim_end_matches("/gateway");
    // What each says to who may ask. The gateway has no such path, and says so to nobody else.
    let faces =
        [("/api/v1/me", "200"), ("/api/v1/brains", "200"), ("/ap/v1/agent/tasks", "200"), ("/gateway/openai/x", "404")];
    for (path, welcome) in faces {
        let url = &format!("{base}{path}");
        for version in [&["--http2"][..], &["--http1.1"], &["--http2", "--tls-max", "1.2"]] {
            for (shown, token, wanted) in [
                (Some(&ann), false, welcome),
                (Some(&ann), true, welcome),
                (Some(&bob), false, "401"),
                (Some(&bob), true, "401"),
                (None, true, "401"),
            ] {
                // Twice over one connection.
                let twice = ["-o", "/dev/null", url, "-o", "/dev/null", url, "--cacert", &ca, "-w", "%{http_code} "];
                let shown = shown.iter().flat_map(|file| ["--cert", file.as_str()]);
                let token = token.then_some(["-H", bearer.as_str()]).into_iter().flatten();
                let args: Vec<&str> = version.iter().copied().chain(twice).chain(shown).chain(token).collect();
                let said = curl(&args).await;
                assert_eq!(said, format!("{wanted} {wanted} "), "{args:?}");
            }
        }
    }
}

/// Over the API a token binds one to the certificate of its own connection, and to nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_bound_over_the_api_by_who_has_its_key_alone() {
    let server = Certified::new(&["127.0.0.1"]);
    let [ann, bob] = ["ann", "bob"].map(|name| CertifiedClient::new(name, &[]));
    let place = over(&server, &format!("{}{}", ann.ca, bob.ca)).await;
    let free = place.token(Grant { scopes: vec![Scope::Read, Scope::Tokens], ..Grant::gateway("free") });
    let url = format!("{}/api/v1/tokens", place.base.trim_end_matches("/gateway"));
    let (anns, none) = (client(&server, Some(&ann)), client(&server, None));
    for (what, client, of, wanted) in [
        ("another's", &anns, &bob, 403),
        ("one that is not shown", &none, &ann, 403),
        ("its own", &anns, &ann, 201),
        ("its own again", &anns, &ann, 400),
    ] {
        let digest = certificate_digest("x.pem", of.certificate.as_bytes()).unwrap();
        let body = json!({"name": "machine", "scopes": ["read"], "certificate": digest});
        let answer = client.post(&url).bearer_auth(&free).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), wanted, "{what}: {}", answer.text().await.unwrap());
    }
    let (status, told) = me(&place, &anns, None).await;
    assert!(status == 200 && told.contains("machine"), "{told}");
}

#[test]
fn the_digest_is_of_the_first_certificate_and_of_nothing_else() {
    let ann = CertifiedClient::new("ann", &[]);
    let alone = certificate_digest("ann.pem", ann.certificate.as_bytes()).unwrap();
    let whole = format!("{}{}{}", ann.key, ann.certificate, ann.ca);
    assert_eq!(certificate_digest("all.pem", whole.as_bytes()).unwrap(), alone);
    assert_ne!(alone, Digest::of(ann.certificate.as_bytes()), "of the DER form, as TLS has it");
    let error = certificate_digest("key.pem", ann.key.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("key.pem: no certificate in PEM form"), "{error}");
}
