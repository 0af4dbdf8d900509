//! The Agent Protocol as its own tests have it, and rows F4 and F9 on all routes: what a web page can send, and files with
//! names that are none.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use autoshare_access::{Grant, Scope};
use autoshare_server::api::openapi;
use autoshare_testkit::{Script, Turn};
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::house::{House, told};

fn script() -> Script {
    Script::new([Turn::text("The end.")])
}

/// One answer, and how long it took.
struct Said {
    status: u16,
    headers: HeaderMap,
    body: String,
    took: Duration,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    fn header(&self, name: impl reqwest::header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The assertions of the collection, as they are checked one after the other.
#[derive(Default)]
struct Assertions(Vec<String>);

impl Assertions {
    async fn answered(&mut self, what: &str, request: RequestBuilder) -> Said {
        let begun = Instant::now();
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let said = Said { status, headers, body: response.text().await.unwrap(), took: begun.elapsed() };
        self.holds(what, "status code is 200", &said, said.status == 200);
        said
    }

    fn holds(&mut self, what: &str, name: &str, said: &Said, does: bool) {
        assert!(does, "{what}: {name}: {} {}", said.status, said.body);
        self.0.push(format!("{what}: {name}"));
    }

    /// What is asserted of each of its lists and of a task.
    fn is_quick_json(&mut self, what: &str, said: &Said) {
        self.holds(what, "response time is less than 500 ms", said, said.took < Duration::from_millis(500));
        self.holds(what, "content type is present", said, said.headers.contains_key(CONTENT_TYPE));
        let is_json = said.header(CONTENT_TYPE).contains("application/json");
        self.holds(what, "content type is application/json", said, is_json);
    }
}

/// The collection `Agent Protocol - REST v1` of the protocol's test suite, request by request. (Its first request goes to a
/// server of Postman's.) All of its GET requests have a body.
#[tokio::test(flavor = "multi_thread")]
async fn the_published_collection_twenty_six_assertions_of_twenty_six() {
    let house = House::open(script()).await;
    let (_, token) = house.tenant("acme");
    let mut all = Assertions::default();
    let goal = json!({"input": "Write the word 'Washington' to a .txt file"});
    let ask = |method: Method, path: &str, body: &Value| {
        house.ask(&method, &format!("/ap/v1/agent/tasks{path}"), &token).json(body)
    };
    let get = |path: &str| ask(Method::GET, path, &goal);
    let post = |path: &str, body: &Value| ask(Method::POST, path, body);

    let what = "Basic User Experience";
    let empty = house.ask(&Method::GET, "/ap/v1/agent/tasks", &token).header(CONTENT_TYPE, "application/json").body("");
    all.answered(what, empty).await;
    let with_more = json!({"input": goal["input"], "additional_input": {"test_run_id": "123"}});
    let task = all.answered(what, post("", &with_more)).await.json()["task_id"].as_str().unwrap().to_owned();
    let step = all.answered(what, post(&format!("/{task}/steps"), &goal)).await.json();
    assert_eq!((&step["is_last"], &step["output"]), (&json!(true), &json!("The end.")), "{step}");
    let after = all.answered(what, post(&format!("/{task}/steps"), &json!({"input": "y"}))).await.json();
    assert_eq!((&after["is_last"], &after["step_id"]), (&json!(true), &step["step_id"]), "it has ended: {after}");

    let what = "Tasks";
    all.answered(what, post("", &goal)).await;
    let shown = all.answered(what, get(&format!("/{task}"))).await;
    all.is_quick_json("Get the task", &shown);
    let required = ["task_id", "input", "additional_input", "artifacts"];
    let has_all = required.iter().all(|name| shown.json().get(name).is_some());
    all.holds("Get the task", "response has all required properties", &shown, has_all);
    let listed = all.answered(what, get("")).await;
    all.is_quick_json("Get all the tasks", &listed);
    all.answered(what, post("", &goal)).await;
    let (what, page) = ("Pagination", all.answered(what, get("?page_size=1&current_page=1")).await);
    let said = page.json();
    all.is_quick_json(what, &page);
    all.holds(what, "pagination is set", &page, said["pagination"].is_object());
    all.holds(what, "page size is 1", &page, said["pagination"]["page_size"] == 1);
    let tasks = said["tasks"].as_array().map(Vec::len);
    all.holds(what, "items is an array with one item", &page, tasks == Some(1));
    all.holds(what, "response length respects page_size", &page, tasks <= Some(1));

    let what = "Artifacts";
    let task = all.answered(what, post("", &goal)).await.json()["task_id"].as_str().unwrap().to_owned();
    let upload = form(&house, &token, &task, "test_output.txt", None, "Washington");
    let id = all.answered(what, upload).await.json()["artifact_id"].as_str().unwrap().to_owned();
    let held = all.answered(what, get(&format!("/{task}/artifacts/{id}"))).await;
    assert_eq!(held.body, "Washington");

    assert_eq!(all.0.len(), 26, "{:#?}", all.0);
    // The other spelling of a page's parameters, and a page that is none.
    let (status, page) = house.get("/ap/v1/agent/tasks?pageSize=2&currentPage=2", &token).await;
    assert_eq!(
        (status, page["tasks"].as_array().map(Vec::len), &page["pagination"]["total_pages"]),
        (200, Some(2), &json!(2))
    );
    for wrong in ["page_size=0", "page_size=101", "current_page=0", "pageSize=x"] {
        assert_eq!(house.get(&format!("/ap/v1/agent/tasks?{wrong}"), &token).await.0, 422, "{wrong}");
    }
    house.close().await;
}

/// Some programs of AutoGPT's time ask for a step with no body at all, which a web page could do too.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_without_a_body_is_for_tokens_that_say_so() {
    let house = House::open(script()).await;
    let (access, token) = house.tenant("acme");
    let strict = house.token(&access, Grant { scopes: vec![Scope::Read, Scope::Brains], ..Grant::gateway("strict") });
    let (_, task) = house.post("/ap/v1/agent/tasks", &token, json!({"input": "say the end"})).await;
    let steps = format!("/ap/v1/agent/tasks/{}/steps", task["task_id"].as_str().unwrap());
    let bare = |token: &str| told(house.ask(&Method::POST, &steps, token));
    assert_eq!(bare(&strict).await.0, 415);
    let (_, listed) = house.get(&steps, &token).await;
    assert_eq!(listed["pagination"]["total_items"], 0, "nothing was done: {listed}");
    let (status, step) = bare(&token).await;
    assert_eq!((status, &step["is_last"]), (200, &json!(true)), "{step}");
    house.close().await;
}

/// A file sent as a form. The name stands in it as it is given.
fn form(house: &House, token: &str, task: &str, name: &str, folder: Option<&str>, content: &str) -> RequestBuilder {
    let part = |disposition: &str, content: &str| {
        format!("--edge\r\ncontent-disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
    };
    let folder = folder.map(|folder| part("name=\"relative_path\"", folder)).unwrap_or_default();
    let file = part(&format!("name=\"file\"; filename=\"{name}\""), content);
    let request = house.ask(&Method::POST, &format!("/ap/v1/agent/tasks/{task}/artifacts"), token);
    request.header(CONTENT_TYPE, "multipart/form-data; boundary=edge").body(format!("{file}{folder}--edge--\r\n"))
}

/// What a tenant has, and which tenants there are.
async fn state(house: &House, token: &str, boss: &str, brain: &str) -> Vec<(u16, Value)> {
    let own = ["/api/v1/brains", "/api/v1/tokens", "/api/v1/questions"].map(str::to_owned);
    let of_brain = ["events", "artifacts"].map(|what| format!("/api/v1/brains/{brain}/{what}"));
    let mut seen = vec![house.get("/api/v1/tenants", boss).await];
    for path in own.iter().chain(&of_brain) {
        seen.push(house.get(path, token).await);
    }
    assert!(seen.iter().all(|(status, _)| *status == 200), "{seen:?}");
    seen
}

async fn at_rest(house: &House, token: &str) -> String {
    let begin = json!({"goal": "say the end", "model": "m", "start": false});
    let (status, brain) = house.post("/api/v1/brains", token, begin).await;
    assert_eq!(status, 201, "{brain}");
    brain["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_what_a_web_page_can_send_is_refused_on_every_route_and_changes_nothing() {
    let house = House::open(script()).await;
    let ((_, token), boss) = (house.tenant("acme"), house.boss());
    let brain = at_rest(&house, &token).await;
    let before = state(&house, &token, &boss, &brain).await;
    let description = openapi::description();
    let mut takes_json = 0;
    for route in openapi::routes() {
        let (method, path) = route.split_once(' ').unwrap();
        let body = &description["paths"][path][method.to_ascii_lowercase()]["requestBody"]["content"];
        let method: Method = method.parse().unwrap();
        let token = if path.starts_with("/api/v1/tenants") { &boss } else { &token };
        let filled = path.replace("{brain}", &brain).replace("{tenant}", "acme").replace("{step}", "1");
        let filled =
            filled.replace("{digest}", &"0".repeat(64)).replace("{artifact}", "x").replace("{token}", "abcdefgh");
        let ask = || house.ask(&method, &filled, token);
        let valid = json!({"goal": "x", "input": "x", "words": "x", "name": "x", "answer": "yes", "scopes": ["read"]});

        // A foreign page, and one that has this address by a name of its own: with all else as it should be.
        for (name, value) in [("origin", "https://evil.example"), ("origin", "null"), ("host", "evil.example:80")] {
            let (status, said) = told(ask().header(name, value).json(&valid)).await;
            assert_eq!(status, 403, "{route} with {name}: {value}: {said}");
        }
        // Without a token: a page has none, and no cookie stands for one.
        let bare = house.client.request(method.clone(), format!("{}{filled}", house.base));
        assert_eq!(told(bare.header("cookie", format!("token={token}")).json(&valid)).await.0, 401, "{route}");

        // What a page may send anywhere without asking first, even with a token.
        if body.get("application/json").is_none() {
            continue;
        }
        takes_json += 1;
        let text = valid.to_string();
        let simple = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=edge"];
        for kind in simple {
            let (status, said) = told(ask().header(CONTENT_TYPE, kind).body(text.clone())).await;
            assert_eq!(status, 415, "{route} with {kind}: {said}");
        }
        assert_eq!(told(ask().body(text.clone())).await.0, 415, "{route} without a type");
    }
    assert!(takes_json >= 8, "only {takes_json} routes take JSON: the description is not read right");
    let bodiless = house.ask(&Method::POST, &format!("/api/v1/brains/{brain}/wake"), &token);
    let (status, said) = told(bodiless.header(CONTENT_TYPE, "text/plain").body("x")).await;
    assert_eq!(status, 415, "a route that needs no body takes none of a page's: {said}");
    for path in ["/api/v1/brains", "/api/v1/tokens", "/ap/v1/agent/tasks"] {
        assert_eq!(told(house.ask(&Method::POST, path, &token)).await.0, 415, "{path} without a body");
    }
    assert_eq!(state(&house, &token, &boss, &brain).await, before, "nothing has changed");

    // The control: the same words with the right type.
    let (status, _) = house.post(&format!("/api/v1/brains/{brain}/say"), &token, json!({"words": "x"})).await;
    assert_eq!(status, 204);
    assert_ne!(state(&house, &token, &boss, &brain).await, before);
    house.close().await;
}

/// Where a workspace is that has this file.
fn workspace(below: &Path, file: &str) -> PathBuf {
    let mut pending = vec![below.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            if entry.file_name() == file {
                return folder;
            }
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            }
        }
    }
    panic!("no {file} below {}", below.display());
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f9_an_upload_goes_into_the_workspace_of_a_brain_that_is_there_or_nowhere() {
    let house = House::open(script()).await;
    let (_, token) = house.tenant("acme");
    let (brain, unknown) = (at_rest(&house, &token).await, at_rest(&house, &house.tenant("bolt").1).await);
    let put = |brain: &str, path: &str| {
        let path = format!("/api/v1/brains/{brain}/artifacts?path={}", encoded(path));
        house.ask(&Method::POST, &path, &token).body("planted")
    };
    assert_eq!(told(put(&brain, "docs/kept.txt")).await.0, 201, "the control");
    let files = || async { house.get(&format!("/api/v1/brains/{brain}/artifacts"), &token).await.1 };
    let before = files().await;

    let long = "n".repeat(300);
    let names = ["../x", "docs/../../x", "/etc/x", "", ".", "..", "a\r\nx: y", "a\0b", "a\u{1b}[2J", "docs", &long];
    for name in names {
        let (status, said) = told(put(&brain, name)).await;
        assert_eq!(status, 400, "{name:?}: {said}");
    }
    // By the protocol's form: the name is a name, the folder is judged as any path.
    for (name, folder) in [("x", "../.."), ("x", "/etc"), ("x", "a\u{7}b"), ("a\tb", "."), ("", "."), ("..", ".")] {
        let (status, said) = told(form(&house, &token, &brain, name, Some(folder), "planted")).await;
        assert_eq!(status, 422, "{name:?} in {folder:?}: {said}");
    }
    for unknown in [unknown.as_str(), "0123456789", "..", "%2e%2e%2fx"] {
        assert_eq!(told(put(unknown, "x")).await.0, 404, "{unknown}");
        assert_eq!(told(form(&house, &token, unknown, "x", None, "planted")).await.0, 404, "{unknown}");
    }
    assert_eq!(files().await, before, "nothing was planted");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f9_what_is_too_large_is_refused_before_it_comes() {
    let house = House::open(script()).await;
    let (_, token) = house.tenant("acme");
    let brain = at_rest(&house, &token).await;
    let most = autoshare_server::api::ApiSettings::default();
    let paths = [
        (format!("/api/v1/brains/{brain}/artifacts?path=x"), "application/octet-stream", most.max_upload),
        (
            format!("/ap/v1/agent/tasks/{brain}/artifacts"),
            "multipart/form-data; boundary=x",
            most.max_upload + (64 << 10),
        ),
        ("/api/v1/brains".to_owned(), "application/json", most.max_body),
    ];
    for (path, kind, most) in paths {
        let at = house.base.strip_prefix("http://").unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {at}\r\nauthorization: Bearer {token}\r\ncontent-type: {kind}\r\n\
             content-length: {}\r\n\r\n",
            most + 1
        );
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let said = tokio::task::spawn_blocking(move || {
            stream.write_all(head.as_bytes()).unwrap();
            let mut said = [0; 512];
            let length = stream.read(&mut said).unwrap();
            String::from_utf8_lossy(&said[..length]).into_owned()
        });
        let said = said.await.unwrap();
        assert!(said.starts_with("HTTP/1.1 413 "), "{path}: {said}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f9_a_files_name_stays_one_header_when_it_is_sent_back() {
    let house = House::open(script()).await;
    let (_, token) = house.tenant("acme");
    let brain = at_rest(&house, &token).await;
    assert_eq!(told(form(&house, &token, &brain, "first.txt", None, "x")).await.0, 200);
    // As a brain may call its files: nothing is too odd for a file system.
    let folder = workspace(house.data.path(), "first.txt");
    let odd =
        ["a\r\nx-evil: 1\r\n\r\n<script>.html", "q\"; filename=\"evil.exe", "ü.txt", "a;b=c'd''e%41", "tab\there"];
    for name in odd {
        std::fs::write(folder.join(name), name).unwrap();
    }
    let (status, listed) = house.get(&format!("/api/v1/brains/{brain}/artifacts"), &token).await;
    assert_eq!(status, 200, "{listed}");
    let mut sent = 0;
    for file in listed["items"].as_array().unwrap() {
        let id = file["id"].as_str().unwrap();
        for face in ["api/v1/brains", "ap/v1/agent/tasks"] {
            let path = format!("/{face}/{brain}/artifacts/{id}");
            let response = house.ask(&Method::GET, &path, &token).send().await.unwrap();
            let headers = response.headers().clone();
            assert_eq!(response.status(), 200, "{file}");
            assert!(!headers.contains_key("x-evil"), "{headers:?}");
            assert_eq!(headers.get_all(CONTENT_DISPOSITION).iter().count(), 1, "{headers:?}");
            let disposition = headers[CONTENT_DISPOSITION].to_str().unwrap();
            let (plain, whole) =
                disposition.strip_prefix("attachment; filename=\"").unwrap().split_once("\"; ").unwrap();
            assert!(plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)), "{disposition}");
            let whole = whole.strip_prefix("filename*=UTF-8''").unwrap();
            assert!(whole.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-%".contains(&byte)), "{disposition}");
            assert_eq!(headers[CONTENT_TYPE], "application/octet-stream");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            sent += 1;
        }
    }
    // Two names have control characters: those files are not shown at all.
    assert_eq!(sent, 2 * (odd.len() - 2 + 1), "{listed}");
    assert!(!listed.to_string().contains("evil: 1"), "{listed}");
    house.close().await;
}

/// An address or a file would be opened by the server itself, from where it stands.
#[tokio::test(flavor = "multi_thread")]
async fn f3_who_asks_names_a_model_and_no_address_or_file() {
    let house = House::open(script()).await;
    let (_, token) = house.tenant("acme");
    let here = house.base.replace("http", "m@http");
    for model in
        [here.as_str(), "m@https://evil.example/v1", "openai/m@http://[::1]:1", "replay:/etc/passwd", "replay:x"]
    {
        let begin = json!({"goal": "say the end", "model": model});
        let (status, said) = house.post("/api/v1/brains", &token, begin).await;
        let words = said["detail"].as_str().unwrap_or_default();
        assert!(status == 400 && words.contains("without an address"), "{model}: {status} {said}");
    }
    assert_eq!(house.get("/api/v1/brains", &token).await.1["items"], json!([]));
    assert!(house.model.requests().is_empty());
    house.close().await;
}
