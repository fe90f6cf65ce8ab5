//! The effective content of a configuration file: a change of comments or order must not replace pods.

/// The settings of `pgpool.conf`, sorted by name, without comments.
pub(in crate::pgpool::build) fn settings(file: &str) -> Vec<(&str, &str)> {
    let mut settings: Vec<_> = effective(file)
        .map(|line| {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            (name.trim(), value.trim())
        })
        .collect();
    settings.sort_unstable();
    settings
}

fn effective(file: &str) -> impl Iterator<Item = &str> {
    let lines = file.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_effect_counts() {
        let file = "# Written by us\n\n# Pool\nport = 9999\nwork_dir = '/run'\n";
        let rows = [
            ("# Other words\nwork_dir = '/run'\n# Log\nport=9999\n", true),
            ("port = 9998\nwork_dir = '/run'\n", false),
            ("port = 9999\n", false),
            ("port = 9999\nlogdir = '/run'\n", false),
            ("port = 9999\nwork_dir = '/run'\nssl = on\n", false),
        ];
        for (other, same) in rows {
            assert_eq!(settings(other) == settings(file), same, "{other}");
        }
    }
}
