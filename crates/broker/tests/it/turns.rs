//! Calls through gateways of several tenants, which share places.

use std::sync::Arc;
use std::time::Duration;

use autoshare_access::Access;
use autoshare_broker::gateway::{Answer, Caller, Gateway, GatewaySettings};
use autoshare_broker::{Broker, Timeouts};
use autoshare_core::event::Exchange;
use autoshare_core::fair::{Counts, Flow, Place, Places, Room, Weight};
use autoshare_core::{TenantName, TokenId};
use autoshare_store::ledger::{Budgets, Ledger};
use autoshare_testkit::{Script, ScriptedModel, Turn};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::RETRY_AFTER;
use hyper::{Request, Response};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const TOTAL: Duration = Duration::from_secs(2);

/// A tenant's gateway with a model of its own, and places that a neighbour uses too.
struct Scene {
    model: ScriptedModel,
    places: Arc<Places>,
    gateway: Gateway,
    access: Access,
    ledger: Arc<Ledger>,
    _data: tempfile::TempDir,
}

impl Scene {
    fn new(room: Room) -> Self {
        let data = tempfile::tempdir().unwrap();
        let model = ScriptedModel::start(Script::new([Turn::text("The end.")]));
        let access = Access::local(data.path()).unwrap();
        let ledger = Arc::new(Ledger::open(data.path(), &access, Budgets::default()).unwrap());
        let timeouts = Timeouts { total: TOTAL, ..Timeouts::default() };
        let settings = autoshare_broker::Settings { base_url: Some(model.base_url()), timeouts, ..Default::default() };
        let places = Places::new(room);
        let share = places.share(TenantName::parse("acme").unwrap(), Weight::default());
        let gateway =
            Gateway::new(Arc::new(Broker::new(settings).unwrap()), Arc::clone(&ledger), GatewaySettings::default())
                .with_places(share);
        Self { model, places, gateway, access, ledger, _data: data }
    }

    /// A place that another tenant has.
    async fn neighbour(&self) -> Place {
        let share = self.places.share(TenantName::parse("bolt").unwrap(), Weight::default());
        share.enter(Flow::Tenant).await.unwrap()
    }

    async fn call(&self, token: u8) -> (u16, Option<String>, String, Vec<Exchange>) {
        let (records, mut told) = mpsc::unbounded_channel();
        let token = Some(TokenId::from_random([token; 5]));
        let caller = Caller { token, brain: None, limits: Arc::new([]), allows: Arc::new(|_| true), records };
        let body = r#"{"model": "scripted", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi."}]}"#;
        let request = Request::post("/gateway/openai/v1/chat/completions").header("content-type", "application/json");
        let response: Response<Answer> =
            self.gateway.answer(&caller, request.body(Full::new(Bytes::from(body))).unwrap()).await;
        let status = response.status().as_u16();
        let later = response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
        let text = response.into_body().collect().await.unwrap().to_bytes();
        drop(caller);
        let mut exchanges = Vec::new();
        while let Ok(exchange) = told.try_recv() {
            exchanges.push(exchange);
        }
        (status, later, String::from_utf8(text.to_vec()).unwrap(), exchanges)
    }

    async fn until_waiting(&self, count: usize) {
        while self.places.counts().waiting < count {
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Calls that were paid for, and their tokens.
    fn paid(&self) -> (u64, u64) {
        let rows = self.ledger.usage(&self.access, self.ledger.today().0).unwrap();
        rows.iter().fold((0, 0), |(calls, tokens), row| (calls + row.requests, tokens + row.used.tokens()))
    }
}

fn one() -> Room {
    Room { places: 1, each: 1, ..Room::MODEL_CALLS }
}

#[tokio::test]
async fn a_call_waits_for_its_turn_and_has_its_answer() {
    let scene = Scene::new(one());
    let held = scene.neighbour().await;
    let free = async {
        scene.until_waiting(1).await;
        assert_eq!(scene.model.requests().len(), 0, "it is not its turn");
        drop(held);
    };
    let ((status, _, text, told), ()) = tokio::join!(scene.call(1), free);
    assert_eq!((status, text.contains("The end.")), (200, true), "{text}");
    assert_eq!((told.len(), scene.model.requests().len(), scene.paid().0), (1, 1, 1));
    assert_eq!(scene.places.counts(), Counts::default());
}

#[tokio::test]
async fn where_the_queue_is_full_it_is_told_when_to_come_back() {
    let scene = Scene::new(Room { queue_each: 1, ..one() });
    let held = scene.neighbour().await;
    let more = async {
        scene.until_waiting(1).await;
        let refused = scene.call(1).await;
        drop(held);
        refused
    };
    let (first, (status, later, text, told)) = tokio::join!(scene.call(1), more);
    assert_eq!((status, later.as_deref()), (429, Some("10")), "{text}");
    assert!(text.contains("1 of this tenant are waiting already") && text.contains("[fair]"), "{text}");
    assert_eq!((told.len(), told[0].status, told[0].usage.tokens()), (1, 429, 0));
    // It cost nothing and was not sent; the other was.
    assert_eq!((first.0, scene.model.requests().len(), scene.paid().0), (200, 1, 1));
}

#[tokio::test]
async fn one_whose_turn_does_not_come_is_told_so_in_time() {
    let scene = Scene::new(one());
    let _held = scene.neighbour().await;
    let (status, later, text, _) = timeout(TOTAL * 4, scene.call(1)).await.unwrap();
    assert_eq!((status, later.as_deref()), (503, Some("30")), "{text}");
    assert!(text.contains("its turn among the calls of all tenants did not come in time"), "{text}");
    assert_eq!((scene.model.requests().len(), scene.paid()), (0, (0, 0)));
    assert_eq!(scene.places.counts().waiting, 0);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_queue_and_pays_nothing() {
    let scene = Scene::new(one());
    let held = scene.neighbour().await;
    let gone = timeout(Duration::from_millis(200), scene.call(1)).await;
    assert!(gone.is_err());
    assert_eq!((scene.places.counts().waiting, scene.paid()), (0, (0, 0)));
    drop(held);
    assert_eq!(scene.call(1).await.0, 200, "and its next call has its turn");
    assert_eq!(scene.places.counts(), Counts::default());
}

/// Of one tenant's tokens, the one with many calls does not keep the other's waiting behind them.
#[tokio::test]
async fn e7_tokens_of_one_tenant_take_turns() {
    let scene = Arc::new(Scene::new(one()));
    let held = scene.neighbour().await;
    let mut many = JoinSet::new();
    for _ in 0..20 {
        let scene = Arc::clone(&scene);
        many.spawn(async move { scene.call(1).await.0 });
    }
    scene.until_waiting(20).await;
    let last = async {
        scene.until_waiting(21).await;
        drop(held);
    };
    let (answered, ()) = tokio::join!(scene.call(2), last);
    let made = scene.model.requests().len();
    assert_eq!(answered.0, 200);
    assert_eq!(many.join_all().await, [200; 20]);
    assert!(made <= 6, "{made} calls were made when its own had its answer");
}
