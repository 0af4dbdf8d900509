//! What a cell is given: roots, modes, hidden and frozen paths, ids, limits; and what is no specification.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use autoshare_core::event::RootMode;
use autoshare_sandbox::{CellEnd, CellLimits, Only, SandboxError, Tier};

use crate::Test;
use crate::world::{World, ask, root};

pub(crate) const TESTS: &[Test] = &[
    ("roots_are_where_they_are_outside_with_their_modes", roots_are_where_they_are_outside_with_their_modes),
    ("b1_hidden_paths_are_empty", b1_hidden_paths_are_empty),
    ("b1_frozen_paths_can_only_be_read", b1_frozen_paths_can_only_be_read),
    ("a9_what_is_missing_cannot_be_made", a9_what_is_missing_cannot_be_made),
    ("a9_no_directory_above_a_frozen_or_hidden_path_moves", a9_no_directory_above_a_frozen_or_hidden_path_moves),
    ("b10_one_file_of_a_folder_opens_nothing_beside_it", b10_one_file_of_a_folder_opens_nothing_beside_it),
    (
        "what_was_left_of_the_one_file_can_be_removed_and_nothing_beside_it",
        what_was_left_of_the_one_file_can_be_removed_and_nothing_beside_it,
    ),
    ("a_link_at_a_frozen_or_hidden_path_is_refused", a_link_at_a_frozen_or_hidden_path_is_refused),
    ("b6_only_files_and_folders_can_be_made", b6_only_files_and_folders_can_be_made),
    ("never_root_and_files_keep_their_owner", never_root_and_files_keep_their_owner),
    ("a_specification_is_checked", a_specification_is_checked),
    ("a_replaced_root_is_refused", a_replaced_root_is_refused),
    ("a_cell_that_does_not_hold_is_not_used", a_cell_that_does_not_hold_is_not_used),
    ("seen_from_outside_it_shares_no_namespace", seen_from_outside_it_shares_no_namespace),
    ("every_probe_is_held_and_named_once", every_probe_is_held_and_named_once),
    ("b8_limits_hold", b8_limits_hold),
];

fn as_root() -> bool {
    unsafe { libc::geteuid() == 0 }
}

fn roots_are_where_they_are_outside_with_their_modes(world: &mut World) {
    let mut spec = world.spec();
    spec.roots.push(world.root("extra", RootMode::Read));
    spec.roots.push(world.root("workspace/frozen", RootMode::Read));
    let cell = world.launch(&spec).unwrap();
    let at = |name: &str| world.path(name).display().to_string();
    for (attack, wanted) in [
        (format!("content {}", at("workspace/note")), "ok workspace/note"),
        (format!("write {} new", at("workspace/new")), "ok"),
        (format!("mkdir {}", at("workspace/folder")), "ok"),
        (format!("unlink {}", at("workspace/note")), "ok"),
        (format!("content {}", at("extra/note")), "ok extra/note"),
        (format!("write {} x", at("extra/note")), "EROFS"),
        (format!("create {}", at("extra/new")), "EROFS"),
        (format!("unlink {}", at("extra/note")), "EROFS"),
        // A root below a root has its own mode.
        (format!("content {}", at("workspace/frozen/hook")), "ok workspace/frozen/hook"),
        (format!("create {}", at("workspace/frozen/new")), "EROFS"),
        ("create /tmp/mine".into(), "ok"),
        ("create /dev/shm/mine".into(), "ENOENT"),
        ("open-write /dev/null".into(), "ok"),
        ("read /dev/urandom".into(), "ok"),
    ] {
        let said = ask(&cell, &attack);
        // Landlock may speak before the mount does; both refuse.
        assert!(said == wanted || (wanted == "EROFS" && said == "EACCES"), "{attack}: {said}, not {wanted}");
    }
    assert_eq!(std::fs::read_to_string(world.path("workspace/new")).unwrap(), "new");
    assert!(!PathBuf::from("/tmp/mine").exists());
}

fn b1_hidden_paths_are_empty(world: &mut World) {
    let mut spec = world.spec();
    let at = |name: &str| world.path(name).display().to_string();
    spec.hide = vec![world.path("workspace/.autoshare"), world.path("workspace/note"), world.path("workspace/none")];
    let key = format!("read {}", at("workspace/.autoshare/key"));
    let folder = format!("list {}", at("workspace/.autoshare"));
    let note = format!("read {}", at("workspace/note"));
    let into = format!("create {}", at("workspace/.autoshare/new"));
    let chmod = format!("chmod {}", at("workspace/.autoshare"));
    let removed = format!("unlink {}", at("workspace/note"));
    let control = world.cell();
    for attack in [&key, &folder, &note, &into] {
        assert_eq!(ask(&control, attack), "ok", "the control: not hidden, {attack}");
    }
    std::fs::remove_file(world.path("workspace/.autoshare/new")).unwrap();
    let cell = world.launch(&spec).unwrap();
    for attack in [&key, &folder, &note, &into, &chmod, &removed] {
        let said = ask(&cell, attack);
        println!("    {attack}: {said}");
        assert!(!said.starts_with("ok"), "{attack}");
    }
    assert_eq!(std::fs::read_to_string(world.path("workspace/note")).unwrap(), "workspace/note");
}

fn b1_frozen_paths_can_only_be_read(world: &mut World) {
    let mut spec = world.spec();
    let at = |name: &str| world.path(name).display().to_string();
    spec.freeze = vec![world.path("workspace/frozen"), world.path("workspace/note")];
    let writes = [
        format!("write {} x", at("workspace/frozen/hook")),
        format!("create {}", at("workspace/frozen/new")),
        format!("write {} x", at("workspace/note")),
    ];
    let cell = world.launch(&spec).unwrap();
    assert_eq!(ask(&cell, &format!("content {}", at("workspace/frozen/hook"))), "ok workspace/frozen/hook");
    assert_eq!(ask(&cell, &format!("create {}", at("workspace/beside"))), "ok");
    for attack in writes.iter().chain([&format!("unlink {}", at("workspace/note"))]) {
        let said = ask(&cell, attack);
        println!("    {attack}: {said}");
        assert!(!said.starts_with("ok"), "{attack}");
    }
    let control = world.cell();
    for attack in &writes {
        assert_eq!(ask(&control, attack), "ok", "the control: not frozen, {attack}");
    }
}

/// A home directory that is a root: start-up files that a cell makes where there are none run as surely as ones that it
/// changes.
fn a9_what_is_missing_cannot_be_made(world: &mut World) {
    let at = |name: &str| world.path(name).display().to_string();
    for folder in ["workspace/config/app", "workspace/docs"] {
        std::fs::create_dir_all(world.path(folder)).unwrap();
        world.as_workspace(folder);
    }
    world.as_workspace("workspace/config");
    let mut spec = world.spec();
    spec.freeze = ["workspace/rc", "workspace/config/shell/rc", "workspace/config/git"].map(|p| world.path(p)).into();
    spec.hide = vec![world.path("workspace/keys/id"), world.path("workspace/.autoshare")];
    let attacks = [
        format!("create {}", at("workspace/rc")),
        format!("rename {} {}", at("workspace/docs"), at("workspace/rc")),
        format!("mkdir {}", at("workspace/keys")),
        format!("mkdir {}", at("workspace/config/shell")),
        format!("create {}", at("workspace/config/git")),
        format!("rename {} {}", at("workspace/config"), at("workspace/other")),
    ];
    let cell = world.launch(&spec).unwrap();
    for attack in &attacks {
        let said = ask(&cell, attack);
        println!("    {attack}: {said}");
        assert!(!said.starts_with("ok"), "{attack}");
    }
    for fine in ["workspace/docs/new", "workspace/config/app/new", "workspace/frozen/new"] {
        assert_eq!(ask(&cell, &format!("create {}", at(fine))), "ok", "what is there already is worked in: {fine}");
    }
    let control = world.cell();
    for attack in [&attacks[0], &attacks[2], &attacks[3], &attacks[4], &attacks[5]] {
        assert_eq!(ask(&control, attack), "ok", "the control: {attack}");
    }
}

fn a9_no_directory_above_a_frozen_or_hidden_path_moves(world: &mut World) {
    let at = |name: &str| world.path(name).display().to_string();
    std::fs::create_dir_all(world.path("workspace/up/down/frozen")).unwrap();
    std::fs::write(world.path("workspace/up/down/frozen/hook"), "hook").unwrap();
    for folder in ["workspace/up", "workspace/up/down", "workspace/up/down/frozen"] {
        world.as_workspace(folder);
    }
    let moves = [("workspace/up", "workspace/away"), ("workspace/up/down", "workspace/up/away")];
    let moves = moves.map(|(from, to)| format!("rename {} {}", at(from), at(to)));
    for hide in [true, false] {
        let mut spec = world.spec();
        if hide { &mut spec.hide } else { &mut spec.freeze }.push(world.path("workspace/up/down/frozen"));
        let cell = world.launch(&spec).unwrap();
        for attack in &moves {
            assert_eq!(ask(&cell, attack), "EBUSY", "{attack}");
        }
        for fine in ["workspace/new", "workspace/up/new", "workspace/up/down/new"] {
            assert_eq!(ask(&cell, &format!("create {}", at(fine))), "ok", "{fine}");
        }
    }
    assert_eq!(ask(&world.cell(), &moves[0]), "ok", "the control");
}

fn b10_one_file_of_a_folder_opens_nothing_beside_it(world: &mut World) {
    let at = |name: &str| world.path(name).display().to_string();
    for folder in ["extra/sub", "extra/inner"] {
        std::fs::create_dir_all(world.path(folder)).unwrap();
        world.as_workspace(folder);
    }
    for file in ["extra/other", "extra/sub/deep", "extra/inner/note"] {
        std::fs::write(world.path(file), file).unwrap();
        world.as_workspace(file);
    }
    for file in ["extra", "extra/note"] {
        world.as_workspace(file);
    }
    let beside = [
        format!("read {}", at("extra/other")),
        format!("write {} x", at("extra/other")),
        format!("read {}", at("extra/sub/deep")),
        format!("create {}", at("extra/sub/new")),
    ];
    for mode in [RootMode::Read, RootMode::Write] {
        let mut spec = world.spec();
        // A workspace below the very folder, which stays what it is.
        spec.roots = vec![world.root("extra/inner", RootMode::Write), world.root("extra", mode)];
        let control = world.launch(&spec).unwrap();
        spec.roots[1].only = Some(Only::file("note"));
        let cell = world.launch(&spec).unwrap();
        assert_eq!(ask(&cell, &format!("content {}", at("extra/note"))), "ok extra/note");
        assert_eq!(ask(&cell, &format!("create {}", at("extra/inner/new"))), "ok");
        for attack in &beside {
            let said = ask(&cell, attack);
            println!("    {mode:?}, {attack}: {said}");
            // To be read, the file lies in a folder of the cell's own /tmp here, where what it writes is nobody's.
            let in_vain = mode == RootMode::Read && attack.starts_with("write");
            assert!(in_vain || !said.starts_with("ok"), "{mode:?} {attack}");
        }
        assert_eq!(ask(&control, &beside[0]), "ok", "the control");
        let make = ask(&cell, &format!("create {}", at("extra/made")));
        assert_eq!(world.path("extra/made").exists(), mode == RootMode::Write, "{mode:?}: {make}");
        let replace = ask(&cell, &format!("rename {} {}", at("extra/made"), at("extra/note")));
        assert_eq!(replace == "ok", mode == RootMode::Write, "{mode:?}: {replace}");
        std::fs::write(world.path("extra/note"), "extra/note").unwrap();
        world.as_workspace("extra/note");
    }
    assert_eq!(std::fs::read_to_string(world.path("extra/other")).unwrap(), "extra/other");
    assert!(!world.path("extra/sub/new").exists());
    std::os::unix::fs::symlink("other", world.path("extra/link")).unwrap();
    for name in ["link", "sub", "missing"] {
        let mut spec = world.spec();
        spec.roots.push(world.root("extra", RootMode::Read));
        spec.roots[1].only = Some(Only::file(name));
        let error = world.launch(&spec).unwrap_err();
        assert!(matches!(&error, SandboxError::Path { path, .. } if path.ends_with(name)), "{error}");
    }
}

fn what_was_left_of_the_one_file_can_be_removed_and_nothing_beside_it(world: &mut World) {
    let at = |name: &str| world.path(name).display().to_string();
    std::fs::create_dir_all(world.path("extra/sub")).unwrap();
    for name in ["extra/note", "extra/left", "extra/other", "extra/sub/deep"] {
        std::fs::write(world.path(name), name).unwrap();
    }
    for name in ["extra", "extra/note", "extra/left", "extra/other", "extra/sub", "extra/sub/deep"] {
        world.as_workspace(name);
    }
    let mut spec = world.spec();
    spec.roots.push(world.root("extra", RootMode::Write));
    let mut of = |leftover: &str| {
        spec.roots[1].only = Some(Only { name: "note".to_owned(), leftover: Some(leftover.to_owned()) });
        world.launch(&spec).unwrap()
    };
    assert_eq!(ask(&of("nothing"), &format!("unlink {}", at("extra/left"))), "EBUSY", "the control");
    let cell = of("left");
    assert_eq!(ask(&cell, &format!("unlink {}", at("extra/other"))), "EBUSY");
    assert_eq!(ask(&cell, &format!("unlink {}", at("extra/left"))), "ok");
    assert!(!world.path("extra/left").exists());
    let deep = ask(&of("sub"), &format!("content {}", at("extra/sub/deep")));
    assert!(!deep.starts_with("ok"), "a folder is nothing that a write leaves: {deep}");
}

fn a_link_at_a_frozen_or_hidden_path_is_refused(world: &mut World) {
    std::os::unix::fs::symlink("frozen", world.path("workspace/link")).unwrap();
    for path in ["workspace/link", "workspace/link/hook"] {
        for hide in [true, false] {
            let mut spec = world.spec();
            if hide { &mut spec.hide } else { &mut spec.freeze }.push(world.path(path));
            let error = world.launch(&spec).unwrap_err();
            assert!(matches!(&error, SandboxError::Path { path: named, .. } if named.contains("link")), "{error}");
        }
    }
}

fn b6_only_files_and_folders_can_be_made(world: &mut World) {
    let cell = world.cell();
    let at = |name: &str| world.path(name).display().to_string();
    let attacks = [
        (format!("mkfifo {}", at("workspace/fifo")), crate::world::Control::Succeeds),
        (format!("chmod {}", at("workspace/note")), crate::world::Control::Succeeds),
        (format!("touch {}", at("workspace/note")), crate::world::Control::Succeeds),
    ];
    for (attack, control) in attacks {
        crate::world::refused(&cell, &[(&attack, control)]);
    }
}

fn never_root_and_files_keep_their_owner(world: &mut World) {
    let owners: &[u32] = if as_root() { &[0, 12_345] } else { &[unsafe { libc::geteuid() }] };
    for owner in owners {
        if as_root() {
            std::os::unix::fs::chown(world.path("workspace"), Some(*owner), Some(*owner)).unwrap();
        }
        let cell = world.cell();
        let held = cell.confinement();
        println!("    workspace of {owner}: uid {} on the host, id-mapped: {}", held.uid, held.id_mapped);
        assert_eq!(ask(&cell, "ids"), "ok 1000 1000 1");
        assert!(held.uid != 0 && held.gid != 0);
        assert_eq!(held.uid == *owner, *owner != 0);
        assert_eq!(held.id_mapped, *owner == 0);
        let file = world.path("workspace").join(format!("by-{owner}"));
        assert_eq!(ask(&cell, &format!("write {} x", file.display())), "ok");
        assert_eq!(std::fs::metadata(&file).unwrap().uid(), *owner);
        let umask = unsafe { libc::umask(0o022) };
        unsafe { libc::umask(umask) };
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o666 & !umask, "the user's umask is kept");
    }
}

fn a_specification_is_checked(world: &mut World) {
    let base = world.spec();
    let with_path = |path: &str| {
        let mut spec = base.clone();
        spec.roots[0].path = PathBuf::from(path);
        spec
    };
    let twice = {
        let mut spec = base.clone();
        spec.roots.push(spec.roots[0].clone());
        spec
    };
    let many = {
        let mut spec = base.clone();
        spec.roots = (0..300).map(|_| spec.roots[0].clone()).collect();
        spec
    };
    let hide = {
        let mut spec = base.clone();
        spec.hide.push(PathBuf::from("relative"));
        spec
    };
    let endless = {
        let mut spec = base.clone();
        spec.hide = (0..3000).map(|number| world.path(&format!("workspace/hidden-{number}"))).collect();
        spec
    };
    let file = {
        let mut spec = base.clone();
        spec.roots[0] = root(&world.path("workspace/note"), RootMode::Read);
        spec
    };
    let here = base.roots[0].path.display().to_string();
    let cases = [
        (with_path("/"), "root directory of its own"),
        (with_path("workspace"), "normal form"),
        (with_path(&format!("{here}/../workspace")), "normal form"),
        (with_path(&format!("{here}/.")), "normal form"),
        (with_path("/proc/self/root"), "/proc and /dev of its own"),
        (with_path("/sys"), "no /sys"),
        (with_path("/dev/shm"), "/proc and /dev of its own"),
        (with_path("/nonexistent/autoshare"), "ENOENT"),
        (with_path("/usr"), "taken its place"),
        (twice, "named twice"),
        (many, "300 roots; 249 are allowed"),
        (hide, "normal form"),
        (endless, "name fewer paths"),
        (file, "ENOTDIR"),
    ];
    for (spec, wanted) in cases {
        let said = world.launch(&spec).unwrap_err().to_string();
        println!("    {said}");
        assert!(said.contains(wanted), "{said:?} lacks {wanted:?}");
    }
    assert_eq!(ask(&world.cell(), "ids"), "ok 1000 1000 1", "the launcher lives on");
}

fn a_replaced_root_is_refused(world: &mut World) {
    let spec = world.spec();
    std::fs::rename(world.path("workspace"), world.path("moved")).unwrap();
    std::os::unix::fs::symlink(world.path("data"), world.path("workspace")).unwrap();
    let error = world.launch(&spec).unwrap_err();
    assert!(matches!(&error, SandboxError::Path { why, .. } if why.contains("taken its place")), "{error}");
}

/// `/etc` as a root shows what the battery must not be able to read: the cell is refused, not used.
fn a_cell_that_does_not_hold_is_not_used(world: &mut World) {
    if !as_root() {
        println!("    not applicable: a user cannot read /etc/shadow outside of a cell either");
        return;
    }
    let mut spec = world.spec();
    spec.roots.push(root(std::path::Path::new("/etc"), RootMode::Read));
    let error = world.launch(&spec).unwrap_err();
    assert!(matches!(&error, SandboxError::NotHeld { name, .. } if name == "read-shadow"), "{error}");
    // Nor does leave to take less help: what does not hold is no reason for a lower tier.
    spec.least = Tier::Narrow;
    let error = world.launch(&spec).unwrap_err();
    assert!(matches!(error, SandboxError::NotHeld { .. }), "{error}");
}

fn seen_from_outside_it_shares_no_namespace(world: &mut World) {
    let cell = world.cell();
    let held = cell.confinement();
    for name in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        let own = std::fs::metadata(format!("/proc/self/ns/{name}")).unwrap().ino();
        assert_ne!(held.namespaces[name], own, "{name}");
    }
    assert_eq!(held.tier, Tier::Full);
    assert!(held.landlock_abi >= 2 && held.seccomp_filters >= 1);
    let status = std::fs::read_to_string(format!("/proc/{}/status", cell.pid())).unwrap();
    for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    let second = world.cell();
    assert!(second.confinement().namespaces["net"] != cell.confinement().namespaces["net"]);
}

fn every_probe_is_held_and_named_once(world: &mut World) {
    let mut spec = world.spec();
    spec.hide = vec![world.path("workspace/.autoshare"), world.path("workspace/none")];
    spec.freeze = vec![world.path("workspace/frozen"), world.path("workspace/note")];
    let cell = world.launch(&spec).unwrap();
    let probes = cell.probes();
    assert!(["read-hidden", "write-frozen"].iter().all(|name| probes.iter().any(|probe| probe.name == *name)));
    for probe in probes {
        println!("    {}: {}", probe.name, probe.answer);
        assert!(probe.held);
        assert_eq!(probes.iter().filter(|other| other.name == probe.name).count(), 1, "{}", probe.name);
    }
    assert!(probes.len() > 30);
}

fn b8_limits_hold(world: &mut World) {
    let mut spec = world.spec();
    spec.limits = CellLimits {
        memory: 64 << 20,
        processes: 8,
        cpu_percent: 100,
        cpu_weight: 100,
        open_files: 32,
        file_size: 4 << 20,
        cpu_seconds: 1,
        tmp_bytes: 2 << 20,
        tmp_files: 8,
    };
    let at = |name: &str| world.path(name).display().to_string();
    let big = at("workspace/big");
    let cell = world.launch(&spec).unwrap();
    assert!(ask(&cell, "fill-descriptors").starts_with("EMFILE"));
    let cell = world.launch(&spec).unwrap();
    assert_eq!(ask(&cell, &format!("fill-file {big} {}", 64 << 20)), "EFBIG");
    assert_eq!(std::fs::metadata(world.path("workspace/big")).unwrap().len(), 4 << 20);
    assert_eq!(ask(&cell, &format!("fill-file /tmp/big {}", 64 << 20)), "ENOSPC");
    for number in 0..8 {
        ask(&cell, &format!("create /tmp/{number}"));
    }
    assert_eq!(ask(&cell, "create /tmp/one-too-many"), "ENOSPC");
    assert_eq!(ask(&cell, &format!("fill-shared {}", 1u64 << 30)), "ENOMEM");
    let threads = ask(&cell, "threads 20");
    assert!(threads.starts_with("EAGAIN"), "{threads}");
    for (attack, end) in [("fill-memory", CellEnd::OutOfMemory), ("spin", CellEnd::OutOfTime)] {
        let mut cell = world.launch(&spec).unwrap();
        assert_eq!(ask(&cell, attack), "");
        assert_eq!(cell.wait(), end, "{attack}");
    }
    let roomy = world.cell();
    assert_eq!(ask(&roomy, &format!("fill-file {big} {}", 8 << 20)), "ok", "the control: other limits");
    assert_eq!(ask(&roomy, "threads 20"), "ok", "the control: other limits");
}
