//! Where generated passwords come from. A value that is passed on, as the time is, so that pure steps stay testable.

use rand::RngExt;
use rand::distr::Alphanumeric;

/// Makes passwords.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PasswordSource(fn() -> String);

impl Default for PasswordSource {
    fn default() -> Self {
        Self(random)
    }
}

impl PasswordSource {
    #[cfg(test)]
    pub(crate) fn of(source: fn() -> String) -> Self {
        Self(source)
    }

    pub(crate) fn password(self) -> String {
        self.0()
    }
}

/// 16 letters and digits from a cryptographic generator: 95 bits.
fn random() -> String {
    let letters = rand::rng().sample_iter(Alphanumeric).take(16);
    letters.map(char::from).collect()
}
