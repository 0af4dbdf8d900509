//! What systemd tells a service that it starts: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).

use std::time::Duration;

use super::{SettingsError, os};

/// As the environment says; nothing of it for a process that was started otherwise.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Activation {
    /// How many sockets were handed over.
    pub(crate) sockets: u32,
    /// Where it is told how the service stands: a path, or an abstract name after `@`.
    pub(crate) notify: Option<String>,
    /// Within which time it wants to be told that the service lives.
    pub(crate) watchdog: Option<Duration>,
}

impl Activation {
    pub(crate) fn read() -> Result<Self, SettingsError> {
        Self::of(&os, std::process::id())
    }

    /// What is meant for another process, such as one that started this one, is not for this one.
    fn of(get: &dyn Fn(&str) -> Option<String>, own: u32) -> Result<Self, SettingsError> {
        let number = |name: &str| -> Result<Option<u64>, SettingsError> {
            let Some(value) = get(name) else { return Ok(None) };
            value.parse().map(Some).map_err(|_| SettingsError::Wrong {
                name: name.to_owned(),
                value,
                why: "systemd sets this to a number; unset it if you start the program by hand".to_owned(),
            })
        };
        let is_for_us = |pid: Option<u64>| pid == Some(u64::from(own));
        let sockets = if is_for_us(number("LISTEN_PID")?) { number("LISTEN_FDS")? } else { None };
        let watchdog = number("WATCHDOG_USEC")?.filter(|within| *within > 0);
        let is_watched = number("WATCHDOG_PID")?.is_none_or(|pid| is_for_us(Some(pid)));
        Ok(Self {
            sockets: sockets.map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX)),
            notify: get("NOTIFY_SOCKET").filter(|at| at.starts_with(['/', '@']) && at.len() > 1),
            watchdog: watchdog.filter(|_| is_watched).map(Duration::from_micros),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_for_another_process_is_not_for_this_one() {
        let none = Activation::default;
        let second = Some(Duration::from_secs(1));
        type Row<'a> = (&'a [(&'a str, &'a str)], Result<Activation, &'a str>);
        let rows: [Row<'_>; 10] = [
            (&[], Ok(none())),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "1")], Ok(Activation { sockets: 1, ..none() })),
            (&[("LISTEN_PID", "8"), ("LISTEN_FDS", "1")], Ok(none())),
            (&[("LISTEN_FDS", "1")], Ok(none())),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "one")], Err("LISTEN_FDS")),
            (&[("NOTIFY_SOCKET", "/run/x")], Ok(Activation { notify: Some("/run/x".into()), ..none() })),
            (&[("NOTIFY_SOCKET", "vsock:2:1")], Ok(none())),
            (&[("WATCHDOG_USEC", "1000000")], Ok(Activation { watchdog: second, ..none() })),
            (&[("WATCHDOG_USEC", "1000000"), ("WATCHDOG_PID", "8")], Ok(none())),
            (&[("WATCHDOG_USEC", "0")], Ok(none())),
        ];
        for (variables, wanted) in rows {
            let get =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            match (Activation::of(&get, 7), wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{variables:?}"),
                (Err(error), Err(name)) => assert!(error.to_string().starts_with(name), "{error}"),
                (found, _) => panic!("{variables:?}: {found:?}"),
            }
        }
    }
}
