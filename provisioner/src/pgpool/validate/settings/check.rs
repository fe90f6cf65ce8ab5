//! Rejects settings that pgpool accepts but misinterprets: names that it ignores, words that it reads as `on`, and numbers that
//! in combination lock every client out or end pgpool at its start.

use shared_types::limits;

use super::Setting;
use crate::pgpool::validate::settings_catalog::{self, Known, Version};

/// Defaults of pgpool; where the operator writes a value, that one.
const CHILDREN: u64 = 5;
const LARGEST_RESULT: u64 = 400 << 10;
const CACHE_BLOCK: u64 = 1 << 20;
const CACHE: u64 = 8 << 20;

/// Rejects a name or a value that is longer than any of pgpool.
pub(super) fn length(name: &str, token: &str) -> Result<(), String> {
    let longest = [
        ("the name of a setting", name, limits::SETTING_NAME_BYTES),
        ("a value", token, limits::SETTING_VALUE_BYTES),
    ];
    match longest.iter().find(|(_, text, most)| text.len() > *most) {
        Some((what, text, most)) => Err(format!(
            "{what} of {} bytes, and at most {most} are accepted: shorten it",
            text.len()
        )),
        None => Ok(()),
    }
}

/// Rejects a name that this version does not know.
pub(super) fn name(name: &str, version: Version) -> Result<(), String> {
    let text = |(major, minor): Version| format!("{major}.{minor}");
    let this = text(version);
    Err(match settings_catalog::known(name, version) {
        Known::Yes => return Ok(()),
        Known::As(new) => format!("pgpool {this} calls `{new}`: rename it"),
        Known::Since(since) => format!(
            "requires pgpool {} or later, but this is {this}: remove the line, or choose a later `spec.version`",
            text(since)
        ),
        Known::Until(last) => format!("pgpool removed after {}: remove the line", text(last)),
        Known::No(Some(likely)) => {
            format!("pgpool {this} does not support and would ignore: write `{likely}` instead")
        }
        Known::No(None) => {
            format!("pgpool {this} does not support and would ignore: correct the name, or remove the line")
        }
    })
}

/// Rejects a word that pgpool would silently read as `on`, and the watchdog.
pub(super) fn value(name: &str, token: &str) -> Result<(), String> {
    if !settings_catalog::is_switch(name) {
        return Ok(());
    }
    let word = bare(token).to_ascii_lowercase();
    match word.as_str() {
        "on" | "true" | "yes" | "1" if name == "use_watchdog" => Err(
            "to on, but Pgpool pods do not form a watchdog cluster: remove the line; Kubernetes replaces failed pods"
                .to_owned(),
        ),
        "on" | "true" | "yes" | "1" | "off" | "false" | "no" | "0" => Ok(()),
        // The value is not repeated: it may come from a Secret.
        _ => Err("to something that pgpool would read as `on`: write `on` or `off`".to_owned()),
    }
}

/// Rejects numbers that contradict each other.
pub(super) fn together(settings: &[Setting]) -> Result<(), String> {
    let token = |name: &str| {
        settings
            .iter()
            .find(|it| it.name == name)
            .map(|it| it.token.as_str())
    };
    let number = |name, default| token(name).map_or(Some(default), size);
    // A number that cannot be parsed is left to the config check.
    if let (Some(reserved), Some(children)) = (
        number("reserved_connections", 0),
        number("num_init_children", CHILDREN),
    ) && reserved > 0
        && reserved >= children
    {
        return Err(
            "reserves all connections of `num_init_children` with `reserved_connections`, so that no client could log in: \
             lower `reserved_connections` or raise `num_init_children`"
                .to_owned(),
        );
    }
    let cached = token("memory_cache_enabled").map(|token| bare(token).to_ascii_lowercase());
    if !matches!(cached.as_deref(), Some("on" | "true" | "yes" | "1")) {
        return Ok(());
    }
    // pgpool does not start with a part that is larger than the whole.
    let sizes = [
        (
            "memqcache_maxcache",
            LARGEST_RESULT,
            "memqcache_cache_block_size",
            CACHE_BLOCK,
        ),
        (
            "memqcache_cache_block_size",
            CACHE_BLOCK,
            "memqcache_total_size",
            CACHE,
        ),
    ];
    for (part, least, whole, most) in sizes {
        if let (Some(part_size), Some(whole_size)) = (number(part, least), number(whole, most))
            && part_size > whole_size
        {
            return Err(format!(
                "has a `{part}` that does not fit into `{whole}`: lower `{part}` or raise `{whole}`"
            ));
        }
    }
    Ok(())
}

fn bare(token: &str) -> &str {
    token
        .strip_prefix('\'')
        .and_then(|inside| inside.strip_suffix('\''))
        .unwrap_or(token)
        .trim()
}

/// A whole number with one of pgpool's units of memory, or none.
fn size(token: &str) -> Option<u64> {
    let token = bare(token);
    let unit = token.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = token.strip_suffix(unit)?;
    let shift = match unit {
        "" | "B" => 0,
        "kB" => 10,
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_pgpool_reads_them() {
        let table = [
            ("1048576", Some(1 << 20)),
            ("1MB", Some(1 << 20)),
            ("'2kB'", Some(2 << 10)),
            ("3B", Some(3)),
            ("1mb", None),
            ("MB", None),
            ("-1", None),
            ("99999999999TB", None),
        ];
        for (token, expected) in table {
            assert_eq!(size(token), expected, "{token}");
        }
    }
}
