//! The settings of pgpool by version, and whether a changed value needs a restart. Pure.
//!
//! pgpool silently ignores a name that it does not know, so a typo would do nothing; and it silently ignores a changed value
//! of a setting that it reads only at its start.

mod misspelling;
mod table;

#[cfg(test)]
mod tests;

use table::{INDEXED, OLD_NAMES, RELOADED, RELOADED_SWITCHES, SINCE, STARTED, STARTED_SWITCHES, UNTIL};

/// Major and minor version of pgpool.
pub(crate) type Version = (u32, u32);

/// The newest version whose settings are listed: beyond it a name may be new rather than wrong.
const NEWEST: Version = (4, 7);

/// Whether a version of pgpool knows a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// pgpool of this version has such a setting.
    Yes,
    /// It has another name in this version.
    As(&'static str),
    /// It comes with a later version.
    Since(Version),
    /// It belongs to an earlier version, and nothing took its place.
    Until(Version),
    /// pgpool would ignore it; the name that is probably meant, if there is one.
    No(Option<&'static str>),
}

/// Looks a name up as pgpool does, with regard to case.
pub(crate) fn known(name: &str, version: Version) -> Known {
    let base = base(name);
    if let Some((_, new, at)) = OLD_NAMES.iter().find(|(old, ..)| *old == base)
        && version >= *at
    {
        return Known::As(new);
    }
    if let Some((_, since)) = SINCE.iter().find(|(name, _)| *name == base)
        && version < *since
    {
        // Where only the name is new, the setting is there under its old one.
        let old = OLD_NAMES.iter().find(|(_, new, at)| *new == base && at == since);
        return old.map_or(Known::Since(*since), |(old, ..)| Known::As(old));
    }
    if let Some((_, last)) = UNTIL.iter().find(|(name, _)| *name == base)
        && version > *last
    {
        return Known::Until(*last);
    }
    if all().any(|name| name == base) {
        return Known::Yes;
    }
    match misspelling::likely(name, candidates(version)) {
        None if version > NEWEST => Known::Yes,
        likely => Known::No(likely),
    }
}

/// Whether a changed value takes effect only after a restart. Assumed of unknown settings.
pub(crate) fn needs_restart(name: &str) -> bool {
    let base = base(name);
    // Listed among those that are read again, but pgpool keeps the address, the port and the directory of a node that
    // it has (documentation of `backend_hostname`; seen with 4.3), and looks for the primary only at its start.
    let node = [
        "backend_hostname",
        "backend_port",
        "backend_flag",
        "backend_data_directory",
    ];
    node.contains(&base)
        || !(INDEXED.contains(&base) || RELOADED.contains(&base) || RELOADED_SWITCHES.contains(&base))
}

/// Whether the value is `on` or `off`. pgpool silently reads any unknown word as `on` (verified
/// with 4.3).
pub(crate) fn is_switch(name: &str) -> bool {
    STARTED_SWITCHES.contains(&name) || RELOADED_SWITCHES.contains(&name)
}

/// Whether the value must not be shown. pgpool itself hides these, except the key of its watchdog.
pub(crate) fn is_secret(name: &str) -> bool {
    let base = base(name);
    base.ends_with("_password") || base == "wd_authkey"
}

/// The name without the number of a node, where there are nodes to number.
fn base(name: &str) -> &str {
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if INDEXED.contains(&base) { base } else { name }
}

fn all() -> impl Iterator<Item = &'static str> {
    [STARTED, STARTED_SWITCHES, RELOADED, RELOADED_SWITCHES, INDEXED]
        .into_iter()
        .flatten()
        .copied()
}

/// The names that a typo could mean in this version.
fn candidates(version: Version) -> impl Iterator<Item = &'static str> {
    let later = move |name: &str| SINCE.iter().any(|(it, since)| *it == name && version < *since);
    let renamed = move |name: &str| {
        OLD_NAMES
            .iter()
            .any(|(old, _, at)| *old == name && version >= *at)
    };
    all().filter(move |name| !later(name) && !renamed(name))
}
