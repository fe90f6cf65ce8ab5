//! Checks user names and passwords for `pool_passwd` and `pcp.conf`, which have lines `name:password` with backslash as the
//! escape.

use crate::credential::{Credential, Password};

/// PostgreSQL truncates longer role names.
const MAX_USER_LENGTH: usize = 63;
/// pgpool reads so many bytes of a password, without its `TEXT` prefix.
const MAX_PASSWORD_LENGTH: usize = 124;

/// Checks a user name and its password.
///
/// # Errors
/// The end of a sentence about the object that contains them; never with either of them: whoever may write an `AppBinding`
/// decides which key of a Secret is taken for the user name.
pub(super) fn credential(user: &str, password: &str) -> Result<Credential, String> {
    if user.is_empty() {
        return Err("has an empty user name".to_owned());
    }
    if user.len() > MAX_USER_LENGTH {
        return Err(format!("has a user name longer than {MAX_USER_LENGTH} bytes"));
    }
    if user.contains([':', '\\']) || user.contains(char::is_control) {
        return Err("has a user name that contains a colon, a backslash or a line break".to_owned());
    }
    if user.starts_with('#') {
        return Err("has a user name that begins with `#`, which would make it a comment".to_owned());
    }
    if password.is_empty() {
        return Err("has an empty password".to_owned());
    }
    if password.len() > MAX_PASSWORD_LENGTH {
        return Err(format!(
            "has a password longer than {MAX_PASSWORD_LENGTH} bytes, which pgpool would truncate"
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
