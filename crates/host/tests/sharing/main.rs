//! What one tenant shares, and what brains of another do with it, in real cells: they read it, as somebody else's; they cannot
//! change it; and when it ends, it is gone at once.
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

mod desk;
#[path = "../support/mod.rs"]
mod support;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::sync::Arc;
use std::time::{Duration, Instant};

use autoshare_access::{AccessError, TenantState};
use autoshare_core::Digest;
use autoshare_core::event::{Event, RootMode};
use autoshare_host::resident::ResidentError;
use autoshare_host::shares::{ShareError, Sharing, SharingSettings};
use autoshare_sandbox::{Inside, Launcher};
use autoshare_testkit::{Script, ScriptedModel, Turn};
use serde_json::json;

use desk::{Desk, ann, begin, ended, events, name, names, results, until};

fn main() {
    let launcher = Arc::new(Launcher::start(entry).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let mut count = 0;
    let mut test = |name: &str, what: &dyn Fn()| {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            return;
        }
        print!("test {name} ... ");
        what();
        println!("ok");
        count += 1;
    };
    test("what_is_shared_is_read_as_somebody_elses_and_cannot_be_written", &|| {
        runtime.block_on(read_and_not_written(&launcher));
    });
    test("d2_what_was_accepted_is_what_is_read_whatever_its_owner_does_later", &|| {
        runtime.block_on(a_snapshot(&launcher));
    });
    test("a_share_that_ends_takes_the_cells_that_show_it_along", &|| runtime.block_on(revoked_in_use(&launcher)));
    test("a_brain_at_rest_goes_on_without_what_ended_meanwhile", &|| runtime.block_on(revoked_at_rest(&launcher)));
    test("a_suspended_owner_shares_nothing_until_it_is_served_again", &|| runtime.block_on(suspended(&launcher)));
    test("f3_nobody_but_its_two_tenants_reaches_a_share", &third);
    test("d2_an_acceptance_is_of_what_was_shown_and_of_what_still_stands", &accepting);
    test("f8_an_offer_to_nobody_looks_like_one_that_nobody_answers", &nobody);
    test("e7_offers_that_wait_are_bounded", &flood);
    test("an_offer_that_nobody_answers_in_time_lapses", &lapsed);
    test("c1_what_was_killed_in_the_middle_is_finished", &killed);
    test("a_tenant_that_leaves_takes_its_shares_along", &leaving);
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

async fn read_and_not_written(launcher: &Arc<Launcher>) {
    let desk = Desk::new();
    std::fs::write(desk.at("work/notes/tool.sh"), "#!/bin/sh\necho ran").unwrap();
    std::fs::set_permissions(desk.at("work/notes/tool.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    let share = desk.accepted("notes");
    let root = desk.copy(&share).display().to_string();
    let tries = format!(
        "cat {root}/inner/b.txt; for f in plan.md new.md; do echo x > {root}/$f; rm -f {root}/plan.md; \
         chmod 777 {root} {root}/plan.md; mv {root}/inner {root}/outer; done; {root}/tool.sh; echo done"
    );
    let model = ScriptedModel::start(Script::new([
        Turn::call("execute_shell", json!({"command": tries})),
        Turn::call("read_file", json!({"path": format!("{root}/plan.md")})),
        Turn::call("list_folder", json!({"path": &root})),
        Turn::call("write_file", json!({"path": format!("{root}/plan.md"), "content": "mine"})),
        Turn::text("The end."),
    ]));
    let bolt = desk.bolt(launcher, &model);
    let brain = begin(&bolt, std::slice::from_ref(&share.id)).unwrap();
    bolt.wake(&brain).unwrap();
    ended(&bolt, &brain).await;

    let seen = results(&bolt, &brain);
    let (by_shell, by_tool, listed) = (&seen[0].1, &seen[1], &seen[2]);
    assert!(by_shell.contains("bbb") && by_shell.contains("done"), "{by_shell}");
    assert!(by_shell.matches("Read-only file system").count() >= 8, "{by_shell}");
    assert!(by_shell.contains("Permission denied") && !by_shell.contains("ran\n"), "nothing there runs: {by_shell}");
    let of = format!("shared:acme/{}", share.id);
    assert_eq!(by_tool, &(format!("{of}/plan.md"), "the plan of acme".to_owned()));
    assert!(listed.0.starts_with(&of) && listed.1.contains("plan.md"), "{listed:?}");
    // A write is refused, whatever anybody says.
    let denied = events(&bolt, &brain).iter().any(|event| {
        matches!(event, Event::Verdict { verdict, .. } if verdict.reasons.iter().any(|reason| reason.rule == "read-only"))
    });
    assert!(denied && seen.len() == 3, "{seen:?}");
    assert_eq!(std::fs::read_to_string(desk.copy(&share).join("plan.md")).unwrap(), "the plan of acme");
    assert_eq!(names(&desk.copy(&share)), ["inner", "plan.md", "tool.sh"]);
    // The model is told whose it is, in words of the host alone.
    let asked = model.requests()[0].body.to_string();
    assert!(asked.contains("read only; files of acme, who is somebody else") && !asked.contains("plans"), "{asked}");
    // Nobody on the machine but the receiver's cells comes to it.
    let top = desk.copy(&share).metadata().unwrap();
    if rustix::process::geteuid().is_root() {
        let number = desk.tenants.get(desk.operator(), &name("bolt")).unwrap().number;
        assert_eq!((top.mode() & 0o777, top.uid(), top.gid()), (0o750, 0, 1_900_000_000 + number));
    } else {
        assert_eq!(top.mode() & 0o777, 0o700);
    }
    let id = &share.id;
    let told =
        |acts: &[&str], with: &str| acts.iter().map(|act| format!("share.{act} {id} {with}")).collect::<Vec<_>>();
    let acts = ["offered", "accepted", "read"];
    assert_eq!((desk.trail("acme"), desk.trail("bolt")), (told(&acts, "to bolt"), told(&acts, "from acme")));
}

async fn a_snapshot(launcher: &Arc<Launcher>) {
    let desk = Desk::new();
    let share = desk.accepted("notes/plan.md");
    std::fs::write(desk.at("work/notes/plan.md"), "do as I say").unwrap();
    std::fs::write(desk.at("work/notes/later.md"), "later").unwrap();
    let path = desk.copy(&share).join("plan.md");
    let model =
        ScriptedModel::start(Script::new([Turn::call("read_file", json!({"path": path})), Turn::text("The end.")]));
    let bolt = desk.bolt(launcher, &model);
    let brain = begin(&bolt, &[share.id.clone(), share.id.clone()]).unwrap();
    bolt.wake(&brain).unwrap();
    ended(&bolt, &brain).await;
    assert_eq!(results(&bolt, &brain)[0].1, "the plan of acme");
    assert_eq!(names(&desk.copy(&share)), ["plan.md"]);
    let Event::Goal(goal) = &events(&bolt, &brain)[0] else { panic!() };
    let shared: Vec<_> = goal.roots.iter().filter(|root| root.shared.is_some()).collect();
    assert!(shared.len() == 1 && shared[0].mode == RootMode::Read, "named twice, shown once: {shared:?}");
}

/// Processes of this machine whose command line holds this text.
fn running(text: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let line = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
    all.map(line).filter(|line| String::from_utf8_lossy(line).contains(text)).count()
}

async fn revoked_in_use(launcher: &Arc<Launcher>) {
    let desk = Desk::new();
    let share = desk.accepted("notes");
    let root = desk.copy(&share).display().to_string();
    let marker = format!("41{}", std::process::id());
    let model = ScriptedModel::start(Script::new([
        Turn::call("read_file", json!({"path": format!("{root}/plan.md")})),
        Turn::call("execute_shell", json!({"command": format!("exec 3<{root}/plan.md; sleep {marker}; cat <&3")})),
        Turn::call("read_file", json!({"path": format!("{root}/plan.md")})),
        Turn::call("write_file", json!({"path": "report.md", "content": "what I know"})),
        Turn::text("The end."),
    ]));
    let bolt = desk.bolt(launcher, &model);
    let brain = begin(&bolt, std::slice::from_ref(&share.id)).unwrap();
    bolt.wake(&brain).unwrap();
    until(|| running(&marker) >= 2, || format!("{:#?}", events(&bolt, &brain))).await;

    let begun = Instant::now();
    let (sharing, access, id) = (Arc::clone(&desk.sharing), desk.access("acme"), share.id.clone());
    tokio::task::spawn_blocking(move || sharing.end(&access, &ann(), &id)).await.unwrap().unwrap();
    // When the owner is told that it is over, it is.
    assert_eq!((running(&marker), names(&desk.at("homes/acme/shared"))), (0, Vec::<String>::new()));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());

    ended(&bolt, &brain).await;
    let seen = results(&bolt, &brain);
    assert!(seen[1].1.contains("cannot be told whether it happened"), "{seen:?}");
    let texts: Vec<_> = seen.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts.iter().filter(|text| text.contains("the plan of acme")).count(), 1, "{texts:?}");
    let ends: Vec<_> = events(&bolt, &brain)
        .into_iter()
        .filter_map(|event| match event {
            Event::ShareEnded { share, text } => Some((share, text)),
            _ => None,
        })
        .collect();
    assert!(ends.len() == 1 && ends[0].0 == share.id && ends[0].1.contains("which acme shared"), "{ends:?}");
    let requests = model.requests();
    let last = requests.last().unwrap().body.to_string();
    assert!(last.contains("is shared no more") && !last.contains("files of acme"), "{last}");
    assert_eq!(std::fs::read_to_string(bolt_file(&desk, &brain, "report.md")).unwrap(), "what I know", "it went on");
    let id = &share.id;
    assert_eq!(desk.trail("acme").last().unwrap(), &format!("share.revoked {id} to bolt: revoked"));
    assert_eq!(desk.trail("bolt").last().unwrap(), &format!("share.revoked {id} from acme: revoked"));
    // And no other brain is begun with it.
    assert!(matches!(begin(&bolt, &[share.id]), Err(ResidentError::Wrong(_))));
}

fn bolt_file(desk: &Desk, brain: &autoshare_core::BrainId, path: &str) -> std::path::PathBuf {
    desk.at("homes/bolt").join(brain.as_str()).join(path)
}

async fn revoked_at_rest(launcher: &Arc<Launcher>) {
    let desk = Desk::new();
    let share = desk.accepted("notes");
    let path = desk.copy(&share).join("plan.md");
    let model =
        ScriptedModel::start(Script::new([Turn::call("read_file", json!({"path": path})), Turn::text("The end.")]));
    let bolt = desk.bolt(launcher, &model);
    let brain = begin(&bolt, std::slice::from_ref(&share.id)).unwrap();
    // The receiver gives it back, before the brain has done anything.
    desk.sharing.end(&desk.access("bolt"), &ann(), &share.id).unwrap();
    // Somebody puts other files in its place.
    std::fs::create_dir_all(desk.copy(&share)).unwrap();
    std::fs::write(&path, "planted").unwrap();
    bolt.wake(&brain).unwrap();
    ended(&bolt, &brain).await;
    let told = format!("{:?}", events(&bolt, &brain));
    assert!(told.contains("is shared no more") && !told.contains("planted"), "{told}");
    assert_eq!(desk.trail("acme").last().unwrap(), &format!("share.ended {} to bolt: returned", share.id));
}

async fn suspended(launcher: &Arc<Launcher>) {
    let desk = Desk::new();
    let (share, offered) = (desk.accepted("notes"), desk.offer_to("bolt", "notes/plan.md").unwrap());
    let path = desk.copy(&share).join("plan.md");
    let model =
        ScriptedModel::start(Script::new([Turn::call("read_file", json!({"path": path})), Turn::text("The end.")]));
    let bolt = desk.bolt(launcher, &model);
    desk.tenants.set_state(desk.operator(), &name("acme"), TenantState::Suspended).unwrap();
    assert!(matches!(begin(&bolt, std::slice::from_ref(&share.id)), Err(ResidentError::Wrong(_))));
    let accepted = desk.sharing.accept(&desk.access("bolt"), &ann(), &offered.id, &offered.digest);
    assert!(matches!(accepted, Err(ShareError::Access(AccessError::Share(_)))), "{accepted:?}");
    desk.tenants.set_state(desk.operator(), &name("acme"), TenantState::Active).unwrap();
    let brain = begin(&bolt, std::slice::from_ref(&share.id)).unwrap();
    bolt.wake(&brain).unwrap();
    ended(&bolt, &brain).await;
    assert_eq!(results(&bolt, &brain)[0].1, "the plan of acme");
}

fn third() {
    let desk = Desk::new();
    let share = desk.accepted("notes");
    let (cube, id) = (desk.access("cube"), &share.id);
    let none = |done: Result<(), ShareError>| matches!(done, Err(ShareError::Access(AccessError::NoShare(_))));
    assert!(none(desk.sharing.show(&cube, id).map(|_| ())));
    assert!(none(desk.sharing.accept(&cube, &ann(), id, &share.digest).map(|_| ())));
    assert!(none(desk.sharing.end(&cube, &ann(), id)));
    assert!(none(desk.sharing.root(&cube, id).map(|_| ())));
    assert!(none(desk.sharing.root(&desk.access("acme"), id).map(|_| ())), "nor is its owner its reader");
    assert!(none(desk.sharing.accept(&desk.access("acme"), &ann(), id, &share.digest).map(|_| ())));
    assert_eq!(desk.sharing.list(&cube).unwrap(), []);
    // The controls.
    for tenant in ["acme", "bolt"] {
        assert_eq!(desk.sharing.list(&desk.access(tenant)).unwrap().len(), 1);
    }
    assert!(desk.sharing.root(&desk.access("bolt"), id).is_ok());
}

fn accepting() {
    let desk = Desk::new();
    let share = desk.offer_to("bolt", "notes").unwrap();
    let (bolt, id) = (desk.access("bolt"), &share.id);
    assert!(desk.sharing.root(&bolt, id).is_err(), "not before it is accepted");
    let accept = |digest: &Digest| desk.sharing.accept(&bolt, &ann(), id, digest);
    let other = accept(&Digest::of(b"another"));
    assert!(matches!(other, Err(ShareError::Access(AccessError::OtherShare(_)))), "{other:?}");
    // Another share of the same files has another digest.
    let again = desk.offer_to("bolt", "notes").unwrap();
    assert!(accept(&again.digest).is_err());
    assert!(accept(&share.digest).is_ok() && accept(&share.digest).is_err(), "once");
    desk.sharing.end(&desk.access("acme"), &ann(), &again.id).unwrap();
    let late = desk.sharing.accept(&bolt, &ann(), &again.id, &again.digest);
    assert!(matches!(late, Err(ShareError::Access(AccessError::NoShare(_)))), "{late:?}");
    // One that is declined is gone for both, and the owner's trail says so.
    let third = desk.offer_to("bolt", "notes").unwrap();
    desk.sharing.end(&bolt, &ann(), &third.id).unwrap();
    assert!(desk.sharing.show(&desk.access("acme"), &third.id).is_err());
    assert_eq!(desk.trail("acme").last().unwrap(), &format!("share.declined {} to bolt: declined", third.id));
}

fn nobody() {
    let desk = Desk::new();
    let (to, none) = (desk.offer_to("cube", "notes").unwrap(), desk.offer_to("nobody", "notes").unwrap());
    let seen = |share: &autoshare_access::ShareRecord| (share.files, share.bytes, share.state, share.name.clone());
    assert_eq!(seen(&to), seen(&none));
    assert_eq!(desk.sharing.list(&desk.access("acme")).unwrap().len(), 2);
    // The bound of offers that wait is the same.
    let more = |to: &str| (0..20).take_while(|_| desk.offer_to(to, "notes/plan.md").is_ok()).count();
    assert_eq!((more("cube"), more("nobody")), (9, 9));
    // One who comes later by that name was offered nothing.
    std::thread::sleep(Duration::from_millis(5));
    desk.tenants.create(desk.operator(), &name("nobody"), autoshare_access::Terms::default()).unwrap();
    assert_eq!(desk.sharing.list(&desk.access("nobody")).unwrap(), []);
    assert!(desk.sharing.show(&desk.access("nobody"), &none.id).is_err());
    // It ends as any other, and leaves nothing.
    desk.sharing.end(&desk.access("acme"), &ann(), &none.id).unwrap();
    assert!(!desk.copy(&none).exists());
}

fn flood() {
    let mut desk = Desk::new();
    let settings = SharingSettings {
        bounds: autoshare_access::ShareBounds { each: 4, waiting: 3, reaching: 2, days: 7 },
        ..SharingSettings::default()
    };
    desk.sharing = Arc::new(Sharing::open(&desk.data, desk.homes.clone(), settings).unwrap());
    let refused = |done: Result<autoshare_access::ShareRecord, ShareError>| match done {
        Err(ShareError::Access(AccessError::TooManyShares(words))) => words,
        other => panic!("{other:?}"),
    };
    for _ in 0..3 {
        desk.offer_to("bolt", "notes/plan.md").unwrap();
    }
    let words = refused(desk.offer_to("bolt", "notes/plan.md"));
    assert!(words.contains("3 offers to bolt wait") && words.contains("[share] waiting"), "{words}");
    desk.offer_to("cube", "notes/plan.md").unwrap();
    let words = refused(desk.offer_to("cube", "notes/plan.md"));
    assert!(words.contains("4 shares are all") && words.contains("[share] each"), "{words}");
    // No more than so many reach one tenant, and whoever offers is not told.
    let bolt = desk.access("bolt");
    let reached = desk.sharing.list(&bolt).unwrap();
    assert_eq!((reached.len(), desk.sharing.list(&desk.access("acme")).unwrap().len()), (2, 4));
    // Nothing is left of what was refused.
    assert_eq!(names(&desk.at("homes/acme/shared")).len(), 4);
    // What is declined makes room.
    desk.sharing.end(&bolt, &ann(), &reached[0].id).unwrap();
    desk.offer_to("bolt", "notes/plan.md").unwrap();
    assert_eq!(desk.sharing.list(&bolt).unwrap().len(), 2);
}

fn lapsed() {
    let mut desk = Desk::new();
    let share = desk.offer_to("bolt", "notes").unwrap();
    let bounds = autoshare_access::ShareBounds { days: 0, ..Default::default() };
    let settings = SharingSettings { bounds, ..SharingSettings::default() };
    desk.sharing = Arc::new(Sharing::open(&desk.data, desk.homes.clone(), settings).unwrap());
    let bolt = desk.access("bolt");
    assert!(desk.sharing.show(&bolt, &share.id).is_err());
    assert!(desk.sharing.accept(&bolt, &ann(), &share.id, &share.digest).is_err());
    assert_eq!(desk.sharing.list(&bolt).unwrap(), []);
    assert!(!desk.copy(&share).exists() && !desk.data.join("shares/bolt").exists());
    assert_eq!(desk.trail("acme").last().unwrap(), &format!("share.declined {} to bolt: lapsed", share.id));
    assert_eq!(desk.trail("bolt").last().unwrap(), &format!("share.declined {} from acme: lapsed", share.id));
}

/// Each state that a kill may leave, and what becomes of it at the next start.
fn killed() {
    let desk = Desk::new();
    let [over, lost, untold, kept] = [(); 4].map(|()| desk.accepted("notes"));
    let waiting = desk.offer_to("bolt", "notes/plan.md").unwrap();
    let vault = autoshare_vault::Vault::open(&desk.data).unwrap();
    let shares = autoshare_access::Shares::open(&desk.data, &vault, Default::default()).unwrap();
    // Off the record, before its copy was removed.
    shares.end(&desk.access("acme"), &over.id).unwrap();
    // Its copy is gone, as after a backup was put back.
    std::fs::remove_dir_all(desk.copy(&lost)).unwrap();
    // A copy that was never offered, and one that is being made by somebody.
    let orphan = desk.at("homes/acme/shared/00000000");
    let making = desk.at("homes/acme/shared/11111111");
    std::fs::create_dir_all(orphan.join("deep/er")).unwrap();
    std::fs::create_dir(&making).unwrap();
    let held = std::fs::File::open(&making).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    // Its receiver is not told of it yet, nor was it entered among what reaches it.
    std::fs::remove_dir_all(desk.data.join("shares/bolt")).unwrap();
    let before = desk.trail("bolt").len();

    desk.sharing.mend().unwrap();
    desk.sharing.mend().unwrap();
    for gone in [&desk.copy(&over), &desk.copy(&lost), &orphan] {
        assert!(!gone.exists(), "{}", gone.display());
    }
    assert!(making.exists() && desk.copy(&kept).join("plan.md").exists());
    let bolt = desk.access("bolt");
    let left: Vec<_> = desk.sharing.list(&bolt).unwrap().into_iter().map(|share| share.id).collect();
    assert!(left.len() == 3 && [&untold, &kept, &waiting].iter().all(|share| left.contains(&share.id)), "{left:?}");
    let told = desk.trail("bolt")[before..].to_vec();
    let (revoked, ended) =
        (format!("share.revoked {} from acme: revoked", over.id), format!("share.ended {} from acme: lost", lost.id));
    assert!(told.len() == 2 && told.contains(&revoked) && told.contains(&ended), "{told:?}");
    assert!(desk.trail("acme").contains(&format!("share.revoked {} to bolt: revoked", over.id)));
    assert!(desk.sharing.root(&bolt, &over.id).is_err() && desk.sharing.root(&bolt, &kept.id).is_ok());
}

fn leaving() {
    let desk = Desk::new();
    let (from, to) = (desk.accepted("notes"), desk.offer_to("cube", "notes").unwrap());
    desk.tenants.set_state(desk.operator(), &name("acme"), TenantState::Leaving).unwrap();
    assert!(desk.sharing.root(&desk.access("bolt"), &from.id).is_err());
    desk.sharing.end_all(&name("acme")).unwrap();
    assert!(!desk.copy(&from).exists() && !desk.copy(&to).exists());
    for tenant in ["acme", "bolt", "cube"] {
        assert_eq!(desk.sharing.list(&desk.access(tenant)).unwrap(), [], "{tenant}");
    }
    assert_eq!(desk.trail("bolt").last().unwrap(), &format!("share.ended {} from acme: removed", from.id));
}
