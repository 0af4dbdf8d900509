//! People of a tenant, over the API: nobody gives or takes what they have not, and what is done is in the trail.

use std::time::Duration;

use autoshare_access::{Grant, Identity, NewPerson, RoleName, Scope, SignedIn};
use autoshare_testkit::Script;
use reqwest::Method;
use serde_json::json;

use crate::house::{House, told};

#[tokio::test(flavor = "multi_thread")]
async fn people_are_added_given_roles_and_removed_and_the_trail_tells_it() {
    let house = House::open(Script::new([])).await;
    let (_, token) = house.tenant("acme");
    let ann =
        json!({"name": "Ann", "roles": ["viewer", "approver"], "issuer": "https://id.example", "subject": "ann-1"});
    let (status, person) = house.post("/api/v1/people", &token, ann.clone()).await;
    assert_eq!((status, &person["roles"], &person["subject"]), (201, &json!(["approver", "viewer"]), &json!("ann-1")));
    let path = format!("/api/v1/people/{}", person["id"].as_str().unwrap());
    assert_eq!(house.get(&path, &token).await, (200, person.clone()));
    assert_eq!(house.post("/api/v1/people", &token, ann).await.0, 400, "she is there already");

    let bob = json!({"name": "Bob", "roles": ["member"], "email": "Bob@Example.org"});
    let (status, bob) = house.post("/api/v1/people", &token, bob).await;
    assert_eq!((status, &bob["email"], bob.get("subject")), (201, &json!("bob@example.org"), None));
    let (_, all) = house.get("/api/v1/people", &token).await;
    let names: Vec<_> = all["items"].as_array().unwrap().iter().map(|person| &person["name"]).collect();
    assert_eq!(names, ["Ann", "Bob"]);

    let changed = told(house.ask(&Method::PATCH, &path, &token).json(&json!({"roles": ["auditor"]}))).await;
    assert_eq!((changed.0, &changed.1["roles"]), (200, &json!(["auditor"])));
    assert_eq!(told(house.ask(&Method::DELETE, &path, &token)).await.0, 204);
    assert_eq!(told(house.ask(&Method::DELETE, &path, &token)).await.0, 404);
    assert_eq!(house.get(&path, &token).await.0, 404);

    let (_, trail) = house.get("/api/v1/audit?limit=100", &token).await;
    let trail = trail.to_string();
    for act in ["person.added", "person.changed", "person.removed"] {
        assert!(trail.contains(act), "{act}: {trail}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_or_takes_what_they_have_not() {
    let house = House::open(Script::new([])).await;
    let (access, all) = house.tenant("acme");
    let scopes = vec![Scope::People, Scope::Read];
    let clerk = house.token(&access, Grant { scopes, ..Grant::gateway("clerk") });
    let invite = |role: &str| json!({"name": "x", "roles": [role], "email": format!("{role}@example.org")});
    for (role, wanted) in [("viewer", 201), ("member", 403), ("auditor", 403), ("owner", 403), ("operator", 400)] {
        let (status, told) = house.post("/api/v1/people", &clerk, invite(role)).await;
        assert_eq!(status, wanted, "{role}: {told}");
    }
    let (_, owner) = house.post("/api/v1/people", &all, invite("owner")).await;
    let path = format!("/api/v1/people/{}", owner["id"].as_str().unwrap());
    let narrowed = told(house.ask(&Method::PATCH, &path, &clerk).json(&json!({"roles": ["viewer"]}))).await;
    assert_eq!(narrowed.0, 403, "{narrowed:?}");
    assert_eq!(told(house.ask(&Method::DELETE, &path, &clerk)).await.0, 403);
    assert_eq!(house.get(&path, &all).await.1, owner, "nothing has changed");

    for (body, part) in [
        (json!({"name": "x", "roles": []}), "say who it is"),
        (json!({"name": "x", "roles": [], "issuer": "https://id.example"}), "say who it is"),
        (json!({"name": "x", "roles": [], "email": "a@b", "subject": "s", "issuer": "i"}), "say who it is"),
        (json!({"name": "x", "roles": [], "email": "nobody"}), "no e-mail address"),
        (json!({"name": "", "roles": [], "email": "a@b.example"}), "1 to 64 characters"),
        (json!({"name": "x", "roles": ["Owner"], "email": "a@b.example"}), "no role's name"),
        (json!({"name": "x", "roles": ["king"], "email": "a@b.example"}), "there is no role king"),
    ] {
        let (status, told) = house.post("/api/v1/people", &all, body.clone()).await;
        assert!(status == 400 && told["detail"].as_str().unwrap().contains(part), "{body}: {told}");
    }
    house.close().await;
}

/// What people get by signing in reaches as far as their roles, at the API as well, and for no longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_reaches_what_the_roles_say_and_ends_with_them_and_so_does_what_it_made() {
    let house = House::open(Script::new([])).await;
    let ((acme, all), (_, bolts)) = (house.tenant("acme"), house.tenant("bolt"));
    let sign_in = |subject: &str, role: &str| {
        let issuer = "https://id.example".to_owned();
        let identity = Identity::Account { issuer: issuer.clone(), subject: subject.to_owned() };
        let new = NewPerson { name: subject.to_owned(), identity, roles: vec![RoleName::parse(role).unwrap()] };
        house.tokens.people().add(&acme, new).unwrap();
        let who = SignedIn { issuer, subject: subject.to_owned(), verified_email: None, groups: Vec::new() };
        let session = house.tokens.log_in(acme.tenant(), &who, Duration::from_secs(600)).unwrap();
        (format!("/api/v1/people/{}", session.person), session.minted.token.expose().to_owned())
    };
    let ((ann, owner), (bob, viewer)) = (sign_in("ann", "owner"), sign_in("bob", "viewer"));
    let give = |path: &str, token: &str, role: &str| {
        told(house.ask(&Method::PATCH, path, token).json(&json!({"roles": [role]})))
    };

    // A viewer gives themselves nothing, in no way.
    assert_eq!(give(&bob, &viewer, "owner").await.0, 403);
    assert_eq!(house.get("/api/v1/people", &viewer).await.0, 403);
    for scope in ["read", "people", "tokens", "operator"] {
        let wish = json!({"name": "more", "scopes": [scope]});
        assert_eq!(house.post("/api/v1/tokens", &viewer, wish).await.0, 403, "{scope}");
    }
    // Nor an owner what is above a tenant, nor anything of another's people.
    let wish = json!({"name": "more", "scopes": ["operator"]});
    assert_eq!(house.post("/api/v1/tokens", &owner, wish).await.0, 400);
    assert_eq!(house.get("/api/v1/tenants", &owner).await.0, 404);
    for (path, token) in [(&ann, &bolts), (&bob, &bolts)] {
        assert_eq!(give(path, token, "viewer").await.0, 404);
        assert_eq!(told(house.ask(&Method::DELETE, path, token)).await.0, 404);
    }
    // The last owner stays.
    let (status, words) = give(&ann, &owner, "viewer").await;
    assert!(status == 409 && words["detail"].as_str().unwrap().contains("the last who may add people"), "{words}");
    assert_eq!(told(house.ask(&Method::DELETE, &ann, &owner)).await.0, 409);
    assert_eq!(give(&bob, &owner, "owner").await.0, 200);

    // What a session made is below it, ends with it, and with the role.
    let (status, below) = house.post("/api/v1/tokens", &owner, json!({"name": "mine", "scopes": ["read"]})).await;
    assert_eq!(status, 201, "{below}");
    let below = below["token"].as_str().unwrap();
    assert_eq!(house.get("/api/v1/brains", below).await.0, 200);
    let forever = json!({"name": "mine", "scopes": ["read"], "expires_in_s": 601});
    assert_eq!(house.post("/api/v1/tokens", &owner, forever).await.0, 403);
    let rotated =
        told(house.ask(&Method::POST, &format!("/api/v1/tokens/{}/rotate", me(&house, &owner).await), &owner)).await;
    assert_eq!(rotated.0, 200, "{rotated:?}");
    let owner = rotated.1["token"].as_str().unwrap();
    assert_eq!(give(&ann, &all, "member").await.0, 200);
    for token in [owner, below] {
        assert_eq!(house.get("/api/v1/brains", token).await.0, 401);
    }
    // The viewer who is an owner now has what they signed in for, until they sign in again.
    assert_eq!(house.get("/api/v1/people", &viewer).await.0, 403);
    house.close().await;
}

/// The id of the token that is shown.
async fn me(house: &House, token: &str) -> String {
    house.get("/api/v1/me", token).await.1["token"]["id"].as_str().unwrap().to_owned()
}
