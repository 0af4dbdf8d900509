//! Packages of others that tests run: installed once for each lock file, below the target directory. A lock pins every
//! byte and names no registry; nothing of theirs runs while it is installed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

const NPM: &str = "these tests run programs of npm's: install Node.js and npm where cells see them, in /usr (Debian: \
                   apt-get install nodejs npm)";
const PIP: &str = "these tests run packages of PyPI's: install Python with venv (Debian: apt-get install python3-venv)";

/// The folder `node_modules` of a `package-lock.json`.
pub fn npm(name: &str, package: &str, lock: &str) -> PathBuf {
    assert!(["/usr/bin/node", "/usr/local/bin/node"].iter().any(|node| Path::new(node).exists()), "{NPM}");
    let folder = installed(name, lock, |folder| {
        std::fs::write(folder.join("package.json"), package).unwrap();
        std::fs::write(folder.join("package-lock.json"), lock).unwrap();
        // `ci` installs what the lock names, and refuses what has another digest.
        run("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder, NPM);
    });
    folder.join("node_modules")
}

/// The Python of a virtual environment with what a list of pinned wheels names.
pub fn pip(name: &str, lock: &str) -> PathBuf {
    let folder = installed(name, lock, |folder| {
        let list = folder.join("requirements.txt");
        std::fs::write(&list, lock).unwrap();
        run("python3", &["-m", "venv", "--clear", "venv"], folder, PIP);
        let args = ["-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:", "-r"];
        let args: Vec<&str> = args.into_iter().chain(list.to_str()).collect();
        run(folder.join("venv/bin/python").to_str().unwrap(), &args, folder, PIP);
    });
    folder.join("venv/bin/python")
}

fn installed(name: &str, lock: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    // Another run of the tests may be at it.
    let alone = File::create(folder.join("lock")).unwrap();
    alone.lock().unwrap();
    let done = folder.join("installed.lock");
    if !std::fs::read_to_string(&done).is_ok_and(|known| known == lock) {
        // What is cut off in the middle is done again.
        let _ = std::fs::remove_file(&done);
        install(&folder);
        std::fs::write(&done, lock).unwrap();
    }
    folder
}

fn run(program: &str, args: &[&str], folder: &Path, needed: &str) {
    let done = Command::new(program).args(args).current_dir(folder).output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}; {needed}"));
    assert!(done.status.success(), "{program} {args:?}: {}; {needed}", String::from_utf8_lossy(&done.stderr));
}

/// Each package of an npm lock has its digest and no address.
pub fn assert_pinned(lock: &str) {
    let lock: serde_json::Value = serde_json::from_str(lock).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    assert!(packages.len() > 1, "{packages:?}");
    for (path, package) in packages.iter().filter(|(path, _)| !path.is_empty()) {
        assert!(package["integrity"].as_str().unwrap().starts_with("sha512-"), "{path}");
        assert_eq!(package.get("resolved"), None, "{path}: write it with npm's omit-lockfile-registry-resolved");
    }
}
