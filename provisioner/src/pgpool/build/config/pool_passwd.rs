//! `pool_passwd`: the users pgpool can log in to PostgreSQL as.

use crate::credential::Credential;

/// One line a user. `TEXT` marks a plain password, which serves every method on both sides.
pub(in crate::pgpool::build) fn render(users: &[Credential]) -> String {
    let line = |user: &Credential| format!("{}:TEXT{}\n", user.user, escaped(user.password.expose()));
    users.iter().map(line).collect()
}

/// A colon ends a field unless a backslash stands before it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(':', "\\:")
}
