//! Names and passwords as they must be to stand in `pool_passwd` and `pcp.conf`, which are lines of
//! `name:password` with backslash as the escape.

use crate::credential::{Credential, Password};

/// PostgreSQL cuts longer role names.
const LONGEST_USER: usize = 63;
/// What pgpool reads of a password, less its `TEXT` mark.
const LONGEST_PASSWORD: usize = 124;

/// Checks a pair.
///
/// # Errors
/// The end of a sentence about the place that holds the pair, never with the password in it.
pub(super) fn credential(user: &str, password: &str) -> Result<Credential, String> {
    if user.is_empty() {
        return Err("has an empty user name".to_owned());
    }
    if user.len() > LONGEST_USER {
        return Err(format!("has a user name longer than {LONGEST_USER} bytes"));
    }
    if user.contains([':', '\\']) || user.contains(char::is_control) {
        return Err(format!(
            "has the user name {user:?}: a colon, a backslash or a line break cannot stand in it"
        ));
    }
    if user.starts_with('#') {
        return Err(format!(
            "has the user name {user:?}: a leading `#` would make it a comment"
        ));
    }
    if password.is_empty() {
        return Err("has an empty password".to_owned());
    }
    if password.len() > LONGEST_PASSWORD {
        return Err(format!(
            "has a password longer than {LONGEST_PASSWORD} bytes, which pgpool would cut"
        ));
    }
    if password.contains(['\n', '\r', '\0']) {
        return Err("has a password with a line break (a trailing one is easily added by `echo`)".to_owned());
    }
    Ok(Credential {
        user: user.to_owned(),
        password: Password::new(password),
    })
}
