//! Rows C1, F3, F7 and F8: a tenant with a valid token who means harm.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use autoshare_server::api::ApiSettings;
use autoshare_testkit::{Script, Turn};
use reqwest::Method;
use serde_json::json;

use crate::house::{House, all_scopes, told};

fn script() -> Script {
    Script::new([Turn::call("execute_shell", json!({"command": "echo hello"})), Turn::text("The end.")])
}

/// Row C1: an address in the name of a model would have the server connect to it, and tell what it answered; one of this
/// machine's would be taken from the tenants who use it. A file would be read.
#[tokio::test(flavor = "multi_thread")]
async fn c1_a_caller_names_a_model_and_neither_an_address_nor_a_file() {
    let house = House::open(script()).await;
    let (_, token) = house.tenant("acme");
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let at = inside.local_addr().unwrap();
    for model in [
        format!("m@http://{at}/v1"),
        format!("openai/m@http://{at}/v1"),
        "m@https://169.254.169.254/latest".to_owned(),
        "replay:/etc/passwd".to_owned(),
        "replay:/dev/zero".to_owned(),
    ] {
        let (status, told) = house.post("/api/v1/brains", &token, json!({"goal": "go", "model": model})).await;
        assert_eq!(status, 400, "{model}: {told}");
        assert!(told["detail"].as_str().unwrap().contains("without an address and without a file"), "{model}: {told}");
    }
    assert!(inside.accept().is_err(), "nobody has connected");
    let (_, brains) = house.get("/api/v1/brains", &token).await;
    assert_eq!(brains["items"], json!([]), "none of them was begun");
    // The control: a name alone is taken.
    assert_eq!(house.post("/api/v1/brains", &token, json!({"goal": "go", "model": "m"})).await.0, 201);
    house.close().await;
}

/// Row F7: each parameter is compared with those before it, so there are few.
#[tokio::test(flavor = "multi_thread")]
async fn f7_a_query_of_many_parameters_is_refused_and_not_worked_through() {
    let house = House::open(script()).await;
    let (_, token) = house.tenant("acme");
    let query = |count: usize| (0..count).map(|n| format!("{n:x}")).collect::<Vec<_>>().join("&");
    let (status, told) = house.get(&format!("/api/v1/me?{}", query(10_000)), &token).await;
    assert_eq!((status, told["status"].as_u64()), (400, Some(400)), "{told}");
    assert_eq!(house.get(&format!("/api/v1/me?{}", query(16)), &token).await.0, 200);
    house.close().await;
}

/// Row F7: a tenant has so many requests under way, whose bodies may never come; the others notice nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn f7_one_tenant_has_so_many_requests_under_way_and_the_others_are_answered() {
    let house = House::open(script()).await;
    let ((_, token), (_, bolt)) = (house.tenant("acme"), house.tenant("bolt"));
    let at = house.base.strip_prefix("http://").unwrap();
    let head = format!(
        "POST /api/v1/brains HTTP/1.1\r\nhost: {at}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 9\r\n\r\n{{"
    );
    let most = ApiSettings::default().requests_each;
    let open: Vec<TcpStream> = (0..most)
        .map(|_| {
            let mut connection = TcpStream::connect(at).unwrap();
            connection.write_all(head.as_bytes()).unwrap();
            connection
        })
        .collect();
    let me = async |token: &str| house.get("/api/v1/me", token).await;
    let until = async |wanted: u16| {
        for _ in 0..80 {
            let (status, told) = me(&token).await;
            if status == wanted {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("it is not answered with {wanted}");
    };
    let told = until(429).await;
    assert!(told["detail"].as_str().unwrap().contains("[serve] requests_each"), "{told}");
    assert_eq!(me(&bolt).await.0, 200);
    drop(open);
    until(200).await;
    house.close().await;
}

/// Row F3: what was begun with a token ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn f3_a_stream_ends_when_its_token_does() {
    let house = House::open(script()).await;
    let (access, token) = house.tenant("acme");
    let reader = house.tokens.mint(&access, all_scopes()).unwrap();
    let brain = house.brain(&token, "a goal", "asking").await;
    let path = format!("/api/v1/brains/{brain}/stream");
    let (mut ended, mut control) = (
        house.ask(&Method::GET, &path, reader.token.expose()).send().await.unwrap(),
        house.ask(&Method::GET, &path, &token).send().await.unwrap(),
    );
    house.tokens.revoke(&access, &reader.id).unwrap();
    let (_, asked) = house.get("/api/v1/questions", &token).await;
    let digest = asked["items"][0]["digest"].as_str().unwrap();
    let answer = format!("/api/v1/brains/{brain}/questions/{digest}");
    assert_eq!(house.post(&answer, &token, json!({"answer": "no"})).await.0, 204);
    let mut texts = [String::new(), String::new()];
    for (stream, text) in [&mut ended, &mut control].into_iter().zip(&mut texts) {
        while let Some(piece) = stream.chunk().await.unwrap() {
            text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }
    let [ended, control] = texts;
    assert!(control.contains("event: approval") && control.contains("event: rest"), "{control}");
    assert!(!ended.contains("event: approval") && !ended.contains("event: rest"), "{ended}");
    house.close().await;
}

/// Row F8: what is left of one who was removed is no name either, and one who is suspended wakes nobody.
#[tokio::test(flavor = "multi_thread")]
async fn f8_a_tenant_that_is_removed_leaves_no_brain_to_be_woken() {
    let house = House::open(script()).await;
    let (_, token) = house.tenant("acme");
    let brain = house.brain(&token, "a goal", "asking").await;
    let awake = || {
        let names = std::fs::read_dir(house.data.path().join("awake")).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("acme."))
            .count()
    };
    assert_eq!(awake(), 1, "{brain} is awake");
    let held = house.faces.residents.open_now().await.pop().unwrap();
    let gone = told(house.ask(&Method::DELETE, "/api/v1/tenants/acme", &house.boss())).await;
    assert_eq!(gone.0, 200, "{gone:?}");
    assert_eq!(awake(), 0);
    // Whoever came before and holds it still.
    assert!(held.wake(&brain.parse().unwrap()).is_err(), "it is closed to them");
    assert_eq!((held.awake(), awake()), (0, 0));
    house.close().await;
}
