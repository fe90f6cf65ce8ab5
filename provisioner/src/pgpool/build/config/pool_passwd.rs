//! `pool_passwd`: the users that pgpool can log in to PostgreSQL as.

use crate::credential::Credential;

/// One line per user. `TEXT` marks a clear-text password, which works with every method towards clients and PostgreSQL.
pub(in crate::pgpool::build) fn render(users: &[Credential]) -> String {
    let line = |user: &Credential| format!("{}:TEXT{}\n", user.user, escaped(user.password.expose()));
    users.iter().map(line).collect()
}

/// A colon ends a field unless it is escaped by a backslash.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(':', "\\:")
}
