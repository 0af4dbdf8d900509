//! How many files and connections this process may have open.
//!
//! The bound that a process is given is often 1,024, for programs that use select(2); what it may give itself is far more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What an open tenant holds: its files of SQLite with their logs, its folders, and what waits for a provider.
const OF_A_TENANT: u64 = 32;
/// What is held whoever is there.
const OF_ITSELF: u64 = 256;

/// Takes as many as this process may give itself. How many that is; `None` if there is no bound.
pub(super) fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

/// What is wrong with so many, if they do not do for so many connections and open tenants.
pub(super) fn too_few(most: u64, connections: usize, tenants: usize) -> Option<String> {
    let (connections, tenants) = (connections as u64, tenants as u64);
    let needed = OF_ITSELF + connections + tenants * OF_A_TENANT;
    (most < needed).then(|| {
        format!(
            "{most} files may be open, and {connections} connections with {tenants} open tenants may need {needed}: raise it \
             (ulimit -n, LimitNOFILE=), or lower [serve] connections and residents"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_what_it_may_and_says_where_that_is_too_little() {
        assert_eq!(raise(), getrlimit(Resource::Nofile).maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, getrlimit(Resource::Nofile).maximum);
        assert_eq!(too_few(9_448, 1_000, 256), None);
        let words = too_few(9_447, 1_000, 256).unwrap();
        assert!(words.contains("9447") && words.contains("9448") && words.contains("[serve] connections"), "{words}");
    }
}
