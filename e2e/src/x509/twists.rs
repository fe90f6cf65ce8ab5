//! What may be unusual or wrong about a bundle, one thing each. Which form it takes is random.

mod authorities;
mod constraints;
mod encoding;
mod files;
mod leaf;
mod usage;

use rand::rngs::StdRng;

use super::plan::Plan;

/// One kind of change.
#[derive(Clone, Copy)]
pub(super) struct Twist {
    pub(super) name: &'static str,
    pub(super) apply: fn(&mut Plan, &mut StdRng),
}

const fn twist(name: &'static str, apply: fn(&mut Plan, &mut StdRng)) -> Twist {
    Twist { name, apply }
}

/// What a fuzz run adds to every bundle: damage at a random place.
pub(super) const DAMAGE: &[Twist] = &[
    twist("reshaped", encoding::reshaped),
    twist("reshaped", encoding::reshaped),
    twist("reshaped", encoding::reshaped),
    twist("flip", encoding::flip),
    twist("cut", files::cut),
    twist("pem", files::pem),
];

pub(super) const TWISTS: &[Twist] = &[
    twist("nothing", |_, _| {}),
    twist("trusted", authorities::trusted),
    twist("no-root", authorities::no_root),
    twist("renewed", authorities::renewed),
    twist("twin", authorities::twin),
    twist("cross-signed", authorities::cross_signed),
    twist("key-ids", authorities::key_ids),
    twist("own-issuer-name", authorities::own_issuer_name),
    twist("self-signed", authorities::self_signed),
    twist("unneeded", authorities::unneeded),
    twist("order", authorities::order),
    twist("long-chain", authorities::long_chain),
    twist("extended-usage", usage::extended),
    twist("key-usage", usage::key),
    twist("basic-constraints", usage::basic_constraints),
    twist("netscape", usage::netscape),
    twist("role", usage::role),
    twist("client", usage::client),
    twist("critical", usage::critical),
    twist("dns-constraints", constraints::dns_names),
    twist("other-constraints", constraints::other_names),
    twist("directory-constraints", constraints::directory),
    twist("odd-constraints", constraints::odd),
    twist("names", leaf::names),
    twist("odd-names", leaf::odd_names),
    twist("common-name", leaf::common_name_only),
    twist("addresses", leaf::addresses),
    twist("validity", encoding::validity),
    twist("odd-times", encoding::odd_times),
    twist("name-strings", encoding::name_strings),
    twist("odd-strings", encoding::odd_strings),
    twist("odd-extensions", encoding::odd_extensions),
    twist("version-and-serial", encoding::version_and_serial),
    twist("flip", encoding::flip),
    twist("reshaped", encoding::reshaped),
    twist("algorithms", encoding::algorithms),
    twist("keys", encoding::keys),
    twist("pem", files::pem),
    twist("pem-labels", files::labels),
    twist("private-key", files::private_key),
    twist("cut", files::cut),
];
