//! Two tenants' hosts that share places: nobody waits for ever, nobody is kept out by a flood, and who waits costs nothing.
//!
//! Everything is real but the model, which is scripted. This test has a `main` of its own because a host forks its launcher
//! while it has one thread, which the standard harness does not let it have.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;
mod tenants;

use std::sync::Arc;
use std::time::{Duration, Instant};

use autoshare_brain::Status;
use autoshare_core::TenantName;
use autoshare_core::event::{Answer, Answerer, FinishReason};
use autoshare_core::fair::{Counts, Flow, Places, Room, Weight};
use autoshare_host::{Standing, Stop};
use autoshare_sandbox::{Inside, Launcher};
use autoshare_testkit::{Script, ScriptedModel, Turn};
use serde_json::json;
use tokio::time::timeout;

use tenants::{Tenant, drive};

/// Longer than any of this takes, and shorter than for ever.
const SOON: Duration = Duration::from_secs(40);
const DONE: Status = Status::Finished(FinishReason::Done);

fn main() {
    let launcher = Arc::new(Launcher::start(entry).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut count = 0;
    let mut test = |name: &str, what: &dyn Fn()| {
        print!("test {name} ... ");
        what();
        println!("ok");
        count += 1;
    };
    test("brains_with_cells_of_two_kinds_never_wait_for_each_other", &|| {
        runtime.block_on(two_kinds_of_cells(&launcher));
    });
    test("a_question_that_waits_for_a_person_keeps_no_other_tenant_out", &|| {
        runtime.block_on(a_question(&launcher));
    });
    test("a_brain_that_is_always_at_work_gives_its_place_up_between_two_actions", &|| {
        runtime.block_on(always_at_work(&launcher));
    });
    test("e7_a_tenant_with_many_brains_leaves_another_its_turns", &|| {
        runtime.block_on(many_brains(&launcher));
    });
    test("a_call_that_waits_for_its_turn_costs_nothing_when_it_is_stopped", &|| {
        runtime.block_on(stopped_in_the_queue(&launcher));
    });
    println!("test result: ok. {count} passed; 0 failed");
}

fn entry(inside: Inside) -> i32 {
    if let Some(programs) = inside.programs {
        return i32::from(autoshare_cell::serve_programs(inside.socket, programs).is_err());
    }
    if inside.roots.is_empty() {
        return i32::from(autoshare_cell::serve_reader(inside.socket, inside.probes).is_err());
    }
    let roots = inside.roots.into_iter();
    let roots =
        roots.map(|root| autoshare_cell::CellRoot { path: root.path, dir: root.dir, mode: root.mode }).collect();
    i32::from(autoshare_cell::serve(inside.socket, roots, inside.quota, inside.probes).is_err())
}

fn places(room: Room, places: usize) -> Arc<Places> {
    Places::new(Room { places, each: places, ..room })
}

async fn all_left(of: &[&Arc<Places>]) {
    for places in of {
        assert_eq!(places.counts(), Counts::default());
    }
}

/// Each of four brains needs a cell for its tools and, while it has that, one for programs and one for a document. There are
/// two places: if each cell took one, two brains would hold one each and wait for another for ever.
async fn two_kinds_of_cells(launcher: &Arc<Launcher>) {
    let model = ScriptedModel::start(Script::new([
        Turn::call("read_file", json!({"path": "notes.md"})),
        Turn::call("execute_shell", json!({"command": "echo hello"})),
        Turn::call("read_document", json!({"path": "page.html"})),
        Turn::text("The end."),
    ]));
    let (calls, cells) = (places(Room::MODEL_CALLS, 2), places(Room::CELLS, 2));
    let tenants = ["acme", "bolt"].map(|name| Tenant::new(name, launcher, &model, &calls, &cells));
    let brains: Vec<_> =
        tenants.iter().flat_map(|tenant| [(tenant, tenant.admit()), (tenant, tenant.admit())]).collect();
    let driven = futures_util::future::join_all(brains.iter().map(|(tenant, brain)| drive(&tenant.host, brain)));
    let standings: Vec<Standing> = timeout(SOON, driven).await.expect("they wait for each other");
    for ((tenant, brain), standing) in brains.iter().zip(standings) {
        assert_eq!((standing.status, standing.words.as_str()), (DONE, "The end."));
        let told = tenant.observations(brain);
        assert!(told.len() == 3 && told[1].contains("hello") && told[2].contains("a page"), "{told:?}");
    }
    all_left(&[&calls, &cells]).await;
}

/// There is one place, and its brain asks a person who does not come. Its cells would be kept for half a minute; that the
/// place is wanted lets them go before.
async fn a_question(launcher: &Arc<Launcher>) {
    let ask = ScriptedModel::start(Script::new([
        Turn::call("read_file", json!({"path": "notes.md"})),
        Turn::call("read_file", json!({"path": "/usr/lib/os-release"})),
        Turn::text("The end."),
    ]));
    let read = ScriptedModel::start(Script::new([
        Turn::call("read_file", json!({"path": "notes.md"})),
        Turn::text("The end."),
    ]));
    let (calls, cells) = (places(Room::MODEL_CALLS, 1), places(Room::CELLS, 1));
    let asking = Tenant::new("acme", launcher, &ask, &calls, &cells);
    let other = Tenant::new("bolt", launcher, &read, &calls, &cells);
    let (asker, brain) = (asking.admit(), other.admit());
    let meanwhile = async {
        let question = loop {
            if let Some(question) = asking.host.switchboard().questions().pop() {
                break question;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!((calls.counts().taken, cells.counts().taken), (0, 1), "it holds its cell, and no call of a model");
        let began = Instant::now();
        let standing = drive(&other.host, &brain).await;
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        let person = Answerer::Person { name: "eva".into() };
        asking.host.switchboard().answer(&asker, &question.digest, Answer::No, person).unwrap();
        standing
    };
    let both = async { tokio::join!(drive(&asking.host, &asker), meanwhile) };
    let (asked, driven) = timeout(SOON, both).await.expect("the question keeps the other out");
    assert_eq!((asked.status, driven.status), (DONE, DONE));
    all_left(&[&calls, &cells]).await;
}

/// There is one place, and its brain never waits for long: its model answers at once, twenty times.
async fn always_at_work(launcher: &Arc<Launcher>) {
    let sleep = |number| Turn::call("execute_shell", json!({"command": format!("sleep 0.2; echo {number}")}));
    let long = ScriptedModel::start(Script::new((0..20).map(sleep).chain([Turn::text("The end.")])));
    let short = ScriptedModel::start(Script::new([sleep(0), Turn::text("The end.")]));
    let (calls, cells) = (places(Room::MODEL_CALLS, 2), places(Room::CELLS, 1));
    let busy = Tenant::new("acme", launcher, &long, &calls, &cells);
    let other = Tenant::new("bolt", launcher, &short, &calls, &cells);
    let (busy_brain, brain) = (busy.admit(), other.admit());
    let meanwhile = async {
        while cells.counts().taken == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let standing = drive(&other.host, &brain).await;
        (standing, busy.observations(&busy_brain).len())
    };
    let both = async { tokio::join!(drive(&busy.host, &busy_brain), meanwhile) };
    let (one, (two, done)) = timeout(SOON, both).await.expect("both end");
    assert_eq!((one.status, two.status), (DONE, DONE), "{one:?} {two:?}");
    assert!(done < 15, "the other ended when {done} of 20 actions were done");
    all_left(&[&calls, &cells]).await;
}

/// Eight brains of one tenant, and one of another, want one place among the calls of models.
async fn many_brains(launcher: &Arc<Launcher>) {
    let turns = || {
        let read = || Turn::call("read_file", json!({"path": "notes.md"}));
        Script::new([read(), read(), read(), Turn::text("The end.")])
    };
    let (many, few) = (ScriptedModel::start(turns()), ScriptedModel::start(turns()));
    let (calls, cells) = (places(Room::MODEL_CALLS, 1), places(Room::CELLS, 16));
    let flooder = Tenant::new("acme", launcher, &many, &calls, &cells);
    let victim = Tenant::new("bolt", launcher, &few, &calls, &cells);
    let flood: Vec<_> = (0..8).map(|_| flooder.admit()).collect();
    let flooding = futures_util::future::join_all(flood.iter().map(|brain| drive(&flooder.host, brain)));
    let brain = victim.admit();
    let both = async { tokio::join!(flooding, drive(&victim.host, &brain)) };
    let (all, one) = timeout(SOON, both).await.expect("all of them end");
    assert!(all.iter().chain([&one]).all(|standing| standing.status == DONE), "{all:?} {one:?}");
    // By turns, it has had its four calls when the other has had about as many; in the order of coming, one in nine.
    let last = few.requests().last().unwrap().at;
    let before = many.requests().iter().filter(|request| request.at < last).count();
    assert_eq!((many.requests().len(), few.requests().len()), (32, 4));
    assert!(before <= 14, "{before} calls of the other's were made before its fourth");
    all_left(&[&calls, &cells]).await;
}

async fn stopped_in_the_queue(launcher: &Arc<Launcher>) {
    let model = ScriptedModel::start(Script::new([Turn::text("The end.")]));
    let (calls, cells) = (places(Room::MODEL_CALLS, 1), places(Room::CELLS, 1));
    let tenant = Tenant::new("acme", launcher, &model, &calls, &cells);
    let neighbour = calls.share(TenantName::parse("bolt").unwrap(), Weight::default());
    let held = neighbour.enter(Flow::Tenant).await.unwrap();
    let brain = tenant.admit();
    let stop = async {
        while calls.counts().waiting == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tenant.host.switchboard().stop(&brain, Stop::AfterStep);
    };
    let both = async { tokio::join!(drive(&tenant.host, &brain), stop) };
    let (standing, ()) = timeout(SOON, both).await.expect("it can be stopped");
    assert_eq!(standing.status, Status::Stopped);
    assert_eq!((model.requests().len(), calls.counts().waiting), (0, 0));
    assert_eq!(tenant.calls_paid_for(), 0, "nothing was sent");
    drop(held);
    let standing = timeout(SOON, drive(&tenant.host, &brain)).await.unwrap();
    assert_eq!((standing.status, tenant.calls_paid_for()), (DONE, 1));
    all_left(&[&calls, &cells]).await;
}
