//! Probes: one wall alone stops what it is there for, and without any wall the same attack succeeds.

use autoshare_sandbox::probe::{Answer, Attempt, Ground, ProbeConfinement, Wall};
use autoshare_sandbox::{Tier, Work};

use crate::Test;
use crate::world::World;

pub(crate) const TESTS: &[Test] = &[
    ("each_wall_alone_stops_what_it_is_there_for", each_wall_alone_stops_what_it_is_there_for),
    ("a_ground_leaves_nothing", a_ground_leaves_nothing),
];

fn each_wall_alone_stops_what_it_is_there_for(world: &mut World) {
    use Wall::{Landlock, Limits, Namespaces, Seccomp};
    let ground = Ground::make(world.launcher()).unwrap();
    // An attack, and the walls of a full cell for programs that stop it.
    #[rustfmt::skip]
    let rows: &[(Attempt, &[Wall])] = &[
        (Attempt::ReadNeighbour,     &[Namespaces, Landlock]),
        (Attempt::WriteShown,        &[Namespaces, Landlock]),
        (Attempt::ChangeMode,        &[Namespaces]),
        (Attempt::WatchNeighbour,    &[Namespaces]),
        (Attempt::ReadEnvironment,   &[Namespaces, Landlock]),
        (Attempt::ConnectLoopback,   &[Namespaces]),
        (Attempt::ConnectPathInside, &[Namespaces]),
        (Attempt::ConnectAbstract,   &[Namespaces, Landlock]),
        (Attempt::Netlink,           &[Seccomp]),
        (Attempt::UserNamespace,     &[Seccomp]),
        (Attempt::Signal,            &[Namespaces, Landlock]),
        (Attempt::Trace,             &[Namespaces, Landlock, Seccomp]),
        (Attempt::SlowDown,          &[Namespaces]),
        (Attempt::Keyring,           &[Seccomp]),
        (Attempt::PlantSetUid,       &[Seccomp]),
        (Attempt::ManyProcesses,     &[Limits]),
        (Attempt::ManyDescriptors,   &[Limits]),
        (Attempt::LargeFile,         &[Limits]),
    ];
    for (attempt, stop) in rows {
        let within = |walls: &ProbeConfinement| world.launcher().probe(walls, &ground, *attempt).unwrap();
        let control = within(&ProbeConfinement::none(Work::Programs, Tier::Full));
        assert_eq!(control, Answer::Through, "{attempt:?}: the control");
        for wall in Wall::ALL {
            let answer = within(&ProbeConfinement::only(wall, Work::Programs, Tier::Full));
            println!("    {attempt:?} within {wall:?}: {answer:?}");
            assert_eq!(answer != Answer::Through, stop.contains(&wall), "{attempt:?} within {wall:?}: {answer:?}");
        }
    }
}

fn a_ground_leaves_nothing(world: &mut World) {
    let grounds = || {
        let mine = format!("autoshare-verify-{}-", std::process::id());
        let names = std::fs::read_dir("/var/tmp").unwrap().flatten().map(|entry| entry.file_name());
        names.filter(|name| name.to_string_lossy().starts_with(&mine)).count()
    };
    assert_eq!(grounds(), 0);
    let ground = Ground::make(world.launcher()).unwrap();
    let second = Ground::make(world.launcher()).unwrap();
    assert_eq!(grounds(), 2, "the control");
    assert_ne!(ground.terrain().workspace(), second.terrain().workspace());
    drop((ground, second));
    assert_eq!(grounds(), 0);
    let launcher = world.launcher().pid();
    let children = || std::fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children")).unwrap_or_default();
    assert_eq!(children().split_whitespace().count(), 2, "the victims, which end with the launcher");
    let victims: Vec<String> = children().split_whitespace().map(str::to_owned).collect();
    world.end_launcher();
    assert!(victims.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()), "{victims:?}");
}
