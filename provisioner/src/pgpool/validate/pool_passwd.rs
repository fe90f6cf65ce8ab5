//! Reads back `pool_passwd`: users and passwords that are in force stay when their Secret is lost.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

/// The passwords by user name in the password file that this operator wrote.
pub(super) fn read(users_secret: &Secret) -> BTreeMap<String, String> {
    let data = users_secret.data.as_ref();
    let Some(file) = data.and_then(|data| data.get("pool_passwd")) else {
        return BTreeMap::new();
    };
    String::from_utf8_lossy(&file.0)
        .lines()
        .filter_map(parse)
        .collect()
}

/// A line is `name:TEXTpassword`, with backslash as the escape in the password.
fn parse(line: &str) -> Option<(String, String)> {
    let (user, entry) = line.split_once(':')?;
    let mut letters = entry.strip_prefix("TEXT")?.chars();
    let mut password = String::new();
    while let Some(letter) = letters.next() {
        password.push(if letter == '\\' { letters.next()? } else { letter });
    }
    Some((user.to_owned(), password))
}
