//! What tenants share with one another, over HTTP: what is shown before it is accepted, and what others learn of it.

use autoshare_access::{Grant, Scope};
use autoshare_testkit::{Script, Turn};
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, told};

struct Two {
    house: House,
    acme: String,
    bolt: String,
    brain: String,
}

impl Two {
    async fn open() -> Self {
        let house = House::open(Script::new([Turn::text("The end.")])).await;
        let [acme, bolt] = ["acme", "bolt"].map(|name| house.tenant(name).1);
        let new = json!({"goal": "keep files", "model": "m", "start": false});
        let (status, brain) = house.post("/api/v1/brains", &acme, new).await;
        assert_eq!(status, 201, "{brain}");
        let two = Self { house, acme, bolt, brain: brain["id"].as_str().unwrap().to_owned() };
        two.upload("notes/plan.md", "the plan").await;
        two
    }

    async fn upload(&self, path: &str, text: &str) {
        let url = reqwest::Url::parse_with_params(
            &format!("{}/api/v1/brains/{}/artifacts", self.house.base, self.brain),
            [("path", path)],
        );
        let request = self.house.client.post(url.unwrap()).bearer_auth(&self.acme).body(text.to_owned());
        let (status, said) = told(request).await;
        assert_eq!(status, 201, "{said}");
    }

    fn offer_of(&self, to: &str, path: &str) -> Value {
        json!({"to": to, "brain": self.brain, "path": path, "name": "plans", "note": "as agreed"})
    }

    async fn offer(&self, to: &str, path: &str) -> (u16, Value) {
        self.house.post("/api/v1/shares", &self.acme, self.offer_of(to, path)).await
    }

    async fn end(&self, share: &Value, token: &str) -> u16 {
        told(self.house.ask(&Method::DELETE, &at(share), token)).await.0
    }

    /// What a trail says of shares, once it says so many things.
    async fn trail(&self, token: &str, entries: usize) -> Vec<(String, String)> {
        for _ in 0..200 {
            let (_, page) = self.house.get("/api/v1/audit?limit=100", token).await;
            let all = page["items"].as_array().unwrap().iter();
            let told: Vec<_> = all
                .map(|entry| (entry["act"].to_string(), entry["about"].as_str().unwrap_or_default().to_owned()))
                .filter(|(act, _)| act.contains("share."))
                .collect();
            if told.len() >= entries {
                return told;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("fewer than {entries}: {:?}", self.house.get("/api/v1/audit?limit=100", token).await);
    }
}

fn at(share: &Value) -> String {
    format!("/api/v1/shares/{}", share["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_shown_accepted_used_and_ended_and_both_trails_tell_it() {
    let two = Two::open().await;
    let (house, acme, bolt) = (&two.house, &two.acme, &two.bolt);
    let (status, share) = two.offer("bolt", "notes").await;
    assert_eq!((status, &share["state"], &share["side"]), (201, &json!("offered"), &json!("sent")), "{share}");

    let (_, list) = house.get("/api/v1/shares", bolt).await;
    assert_eq!((&list["items"][0]["side"], &list["items"][0]["from"]), (&json!("received"), &json!("acme")));
    let (_, shown) = house.get(&at(&share), bolt).await;
    assert_eq!(shown["contents"], json!([{"path": "plan.md", "bytes": 8}]));
    assert!(shown["risk"].as_str().unwrap().contains("somebody else's files"), "{shown}");
    assert_eq!((&shown["note"], &shown["digest"]), (&json!("as agreed"), &share["digest"]));

    let begin = json!({"goal": "read", "model": "m", "start": false, "shares": [share["id"]]});
    let (status, said) = house.post("/api/v1/brains", bolt, begin.clone()).await;
    assert!(status == 400 && said["detail"].as_str().unwrap().contains("that this tenant has accepted"), "{said}");
    let path = format!("{}/accept", at(&share));
    let accept = |digest: &Value| house.post(&path, bolt, json!({"digest": digest}));
    let (status, said) = accept(&json!("0".repeat(64))).await;
    assert!(status == 409 && said["detail"].as_str().unwrap().contains("look at it again"), "{said}");
    assert_eq!(accept(&share["digest"]).await.0, 200);
    // Its owner may not begin a brain with it, nor a third tenant.
    let third = house.tenant("third").1;
    for token in [acme, &third] {
        assert_eq!(house.post("/api/v1/brains", token, begin.clone()).await.0, 400);
    }
    let (status, brain) = house.post("/api/v1/brains", bolt, begin.clone()).await;
    assert_eq!(status, 201, "{brain}");

    assert_eq!(two.end(&share, acme).await, 204);
    for token in [acme, bolt] {
        assert_eq!(house.get(&at(&share), token).await.0, 404);
        assert_eq!(house.get("/api/v1/shares", token).await.1["items"], json!([]));
    }
    assert_eq!(accept(&share["digest"]).await.0, 404);
    assert_eq!(house.post("/api/v1/brains", bolt, begin).await.0, 400);
    assert_eq!(std::fs::read_dir(house.data.path().join("homes/acme/shared")).unwrap().count(), 0);
    for (token, with) in [(acme, "to bolt"), (bolt, "from acme")] {
        let told = two.trail(token, 4).await;
        for (act, (said, about)) in ["offered", "accepted", "read", "revoked"].iter().zip(&told) {
            assert!(said.contains(&format!("share.{act}")) && about.contains(with), "{told:?}");
        }
        assert_eq!(told.len(), 4, "{told:?}");
    }
    two.house.close().await;
}

/// Whoever offers learns nothing of who there is; whoever is not offered learns nothing at all.
#[tokio::test(flavor = "multi_thread")]
async fn f8_whether_a_tenant_exists_is_not_told() {
    let two = Two::open().await;
    let (house, acme) = (&two.house, &two.acme);
    let form = |mut answer: (u16, Value)| {
        for field in ["id", "digest", "offered_at", "to"] {
            assert!(answer.1[field].take().is_string(), "{}", answer.1);
        }
        answer
    };
    let (real, none) = (two.offer("bolt", "notes").await, two.offer("nobody", "notes").await);
    let ids = (real.1.clone(), none.1.clone());
    assert_eq!(form(real), form(none));
    let shown = |answer: (u16, Value)| (answer.0, answer.1["contents"].clone(), answer.1["state"].clone());
    assert_eq!(shown(house.get(&at(&ids.0), acme).await), shown(house.get(&at(&ids.1), acme).await));
    assert_eq!(two.end(&ids.0, acme).await, two.end(&ids.1, acme).await);
    // What bounds offers is the same too, and says the same.
    for to in ["bolt", "nobody"] {
        for _ in 0..10 {
            assert_eq!(two.offer(to, "notes").await.0, 201);
        }
        let (status, said) = two.offer(to, "notes").await;
        let words = said["detail"].as_str().unwrap().replace(to, "X");
        assert_eq!((status, words.contains("10 offers to X wait")), (409, true), "{said}");
    }
    two.house.close().await;
}

/// Rows A2, A3, A6: nothing leads out of what is offered, and nothing is there that cannot be shown.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_offered_that_leads_elsewhere_or_cannot_be_shown() {
    let two = Two::open().await;
    let house = &two.house;
    let work = house.data.path().join("homes/acme").join(&two.brain);
    let outside = house.data.path().join("outside.txt");
    std::fs::write(&outside, "of the host").unwrap();
    std::os::unix::fs::symlink(&outside, work.join("link")).unwrap();
    let plant = |folder: &str, plant: &dyn Fn(&std::path::Path)| {
        std::fs::create_dir(work.join(folder)).unwrap();
        plant(&work.join(folder));
    };
    plant("linked", &|at| std::os::unix::fs::symlink("/etc", at.join("etc")).unwrap());
    plant("hard", &|at| std::fs::hard_link(&outside, at.join("name")).unwrap());
    plant("fifo", &|at| {
        rustix::fs::mknodat(rustix::fs::CWD, at.join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    });
    plant("escape", &|at| std::fs::write(at.join("a\u{1b}[2J"), "x").unwrap());
    plant("keys", &|at| std::fs::write(at.join("id_rsa"), "x").unwrap());
    plant("many", &|at| (0..1_001).for_each(|n| std::fs::write(at.join(n.to_string()), "").unwrap()));
    plant("large", &|at| std::fs::File::create(at.join("zeros")).unwrap().set_len((64 << 20) + 1).unwrap());
    for (path, says) in [
        ("link", "link"),
        ("linked", "is a link"),
        ("hard", "hard links"),
        ("fifo", "a FIFO"),
        ("escape", "a name that cannot be shown"),
        ("keys", "holds keys or passwords"),
        ("many", "more than 1000 files and folders"),
        ("large", "more than 67108864 bytes"),
        ("..", "leads out of the workspace"),
        ("../../bolt", "leads out of the workspace"),
        ("/etc", "leads out of the workspace"),
        ("nothing", "there is no"),
    ] {
        let (status, said) = two.offer("bolt", path).await;
        assert!(status == 400 && said["detail"].as_str().unwrap().contains(says), "{path}: {status} {said}");
    }
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("n".repeat(65))),
        ("name", json!("a\nb")),
        ("note", json!("n".repeat(1_001))),
        ("note", json!("\u{1b}[2J")),
        ("to", json!("acme")),
        ("to", json!("No Name")),
        ("brain", json!("x")),
    ] {
        let mut offer = two.offer_of("bolt", "notes");
        offer[field] = value;
        let (status, said) = house.post("/api/v1/shares", &two.acme, offer).await;
        assert_eq!(status, 400, "{field}: {said}");
    }
    assert_eq!(std::fs::read_dir(house.data.path().join("homes/acme/shared")).unwrap().count(), 0, "nothing is left");
    assert_eq!(house.get("/api/v1/shares", &two.bolt).await.1["items"], json!([]));
    two.house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_notes_that_would_deceive_whoever_looks_are_shown_as_what_they_are() {
    let two = Two::open().await;
    let house = &two.house;
    two.upload("tricks/invoice\u{202e}fdp.exe", "x").await;
    two.upload("tricks/pla\u{200b}in", "x").await;
    let offer = json!({"to": "bolt", "brain": two.brain, "path": "tricks", "name": "a\u{202e}b", "note": "c\u{2066}d"});
    let (status, share) = house.post("/api/v1/shares", &two.acme, offer).await;
    assert_eq!(status, 201, "{share}");
    let shown = house.get(&at(&share), &two.bolt).await.1.to_string();
    for hidden in ['\u{202e}', '\u{200b}', '\u{2066}'] {
        assert!(!shown.contains(hidden), "{shown:?}");
    }
    assert!(shown.contains("invoice<U+202E>fdp.exe") && shown.contains("a<U+202E>b"), "{shown}");
    two.house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sharing_needs_its_own_scope_and_looking_does_not() {
    let two = Two::open().await;
    let house = &two.house;
    let (_, share) = two.offer("bolt", "notes").await;
    let access = house.tenants.access(&house.operator, &"bolt".parse().unwrap()).unwrap();
    let scopes = vec![Scope::Read, Scope::Brains, Scope::Approve];
    let poor = house.token(&access, Grant { scopes, ..Grant::gateway("poor") });
    assert_eq!(house.get(&at(&share), &poor).await.0, 200);
    let accept = house.post(&format!("{}/accept", at(&share)), &poor, json!({"digest": share["digest"]})).await;
    assert_eq!((accept.0, two.end(&share, &poor).await), (403, 403), "{accept:?}");
    two.house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_removed_takes_what_it_shares_along() {
    let two = Two::open().await;
    let house = &two.house;
    let (_, share) = two.offer("bolt", "notes").await;
    let accept = house.post(&format!("{}/accept", at(&share)), &two.bolt, json!({"digest": share["digest"]})).await;
    assert_eq!(accept.0, 200, "{accept:?}");
    let boss = house.boss();
    let (status, said) = told(house.ask(&Method::DELETE, "/api/v1/tenants/acme", &boss)).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(house.get("/api/v1/shares", &two.bolt).await.1["items"], json!([]));
    assert!(!house.data.path().join("homes/acme").exists());
    let last = two.trail(&two.bolt, 3).await.pop().unwrap();
    assert!(last.0.contains("share.ended") && last.1.ends_with("from acme: removed"), "{last:?}");
    two.house.close().await;
}
