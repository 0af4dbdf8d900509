//! What is counted where: an account in one of its windows.

use autoshare_core::BrainId;
use autoshare_core::budget::{Account, Window};
use autoshare_core::day::{Day, Month};

/// One window, such as the 25th of November.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Period {
    Run(BrainId),
    Day(Day),
    Month(Month),
}

impl Period {
    /// When it ends: milliseconds since 1970 (UTC).
    pub(super) fn until_ms(&self) -> Option<u64> {
        match self {
            Self::Run(_) => None,
            Self::Day(day) => Some(day.next().start_ms()),
            Self::Month(month) => Some(month.next().first_day().start_ms()),
        }
    }

    /// Whether it is over on `today`.
    pub(super) fn is_over(&self, today: Day) -> bool {
        match self {
            Self::Run(_) => false,
            Self::Day(day) => *day < today,
            Self::Month(month) => *month < today.month(),
        }
    }

    /// The window of a cap that was passed; `None` for that of a call.
    pub(super) fn of(window: Window, brain: Option<&BrainId>, until_ms: Option<u64>) -> Option<Self> {
        let last = until_ms.map(|until_ms| Day::of_ms(until_ms).before(1));
        match window {
            Window::Call => None,
            Window::Run => brain.cloned().map(Self::Run),
            Window::Day => last.map(Self::Day),
            Window::Month => last.map(|day| Self::Month(day.month())),
        }
    }

    pub(super) const fn window(&self) -> Window {
        match self {
            Self::Run(_) => Window::Run,
            Self::Day(_) => Window::Day,
            Self::Month(_) => Window::Month,
        }
    }

    pub(super) fn brain(&self) -> Option<BrainId> {
        match self {
            Self::Run(brain) => Some(brain.clone()),
            Self::Day(_) | Self::Month(_) => None,
        }
    }

    /// As it stands in the file.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Run(brain) => format!("run:{brain}"),
            Self::Day(day) => format!("day:{day}"),
            Self::Month(month) => format!("month:{month}"),
        }
    }
}

/// An account in one of its windows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) account: Account,
    pub(super) period: Period,
}

/// An account as it stands in the file.
pub(super) fn account_text(account: &Account) -> String {
    match account {
        Account::Tenant => "tenant".to_owned(),
        Account::Token(id) => format!("token:{id}"),
        Account::Model(pattern) => format!("model:{pattern}"),
    }
}
