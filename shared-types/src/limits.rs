//! How large what users write may be. One home for each number: the code that applies a limit takes it from here, and the
//! reference page is generated from [`ALL`]. The schemas have limits of their own beside their types; what has none there gets
//! one of [`TEXT`], [`LONG_TEXT`], [`ITEMS`] and [`ENTRIES`].
//!
//! A limit keeps the work for one object below 50 ms and its memory small, whoever writes it. Sizes are bytes.

use std::time::Duration;

/// Characters of a text in a schema that names no limit.
pub const TEXT: i64 = 4 << 10;
/// Characters of a text in a schema that may be a script or a file.
pub const LONG_TEXT: i64 = 64 << 10;
/// Items of a list in a schema that names no limit.
pub const ITEMS: i64 = 128;
/// Entries of a map in a schema that names no limit.
pub const ENTRIES: i64 = 128;

/// A limit, as documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is limited.
    pub what: &'static str,
    /// The number, with its unit.
    pub most: &'static str,
    /// What happens beyond it.
    pub beyond: &'static str,
}

/// Defines constants with their rows in [`ALL`]. The text of a number is tested against its constant.
macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ident = $value:expr, $what:literal, $most:literal, $beyond:literal;)*) => {
        $($(#[doc = $doc])* pub const $name: $type = $value;)*

        /// Every limit that is no keyword of a schema.
        pub const ALL: &[Limit] = &[$(Limit { what: $what, most: $most, beyond: $beyond },)*];

        /// The constants as numbers, in the order of [`ALL`]; durations in seconds.
        #[cfg(test)]
        fn numbers() -> Vec<u64> {
            vec![$(number!($value, $type),)*]
        }
    };
}

#[cfg(test)]
macro_rules! number {
    ($value:expr, usize) => {
        $value as u64
    };
    ($value:expr, Duration) => {
        $value.as_secs()
    };
}

limits! {
    /// Size of the spec of a Pgpool as JSON.
    SPEC_BYTES: usize = 256 << 10,
        "the spec of a `Pgpool`, as JSON", "262144 bytes", "`ConfigurationInvalid`: nothing of the spec is applied";
    /// Labels of a Pgpool, which every generated object gets.
    LABELS: usize = 64,
        "labels of a `Pgpool`", "64", "`ConfigurationInvalid`: nothing of the spec is applied";
    /// Size of the value of an annotation that is parsed.
    ANNOTATION_BYTES: usize = 1 << 10,
        "an annotation of a `Pgpool` that an operator reads", "1024 bytes", "it is reported as one that cannot be read";
    /// Size of `pgpool.conf` in a Secret or inline.
    SETTINGS_BYTES: usize = 64 << 10,
        "`pgpool.conf` in a Secret or in `spec.configuration.inline`", "65536 bytes",
        "`ConfigurationInvalid`: pods keep their settings";
    /// Settings in a Secret and inline together. pgpool of 128 nodes has fewer.
    SETTINGS: usize = 1024,
        "settings in both together", "1024", "`ConfigurationInvalid`: pods keep their settings";
    /// Size of the name of a setting.
    SETTING_NAME_BYTES: usize = 128,
        "the name of a setting", "128 bytes", "`ConfigurationInvalid`: pods keep their settings";
    /// Size of the value of a setting.
    SETTING_VALUE_BYTES: usize = 4 << 10,
        "the value of a setting", "4096 bytes", "`ConfigurationInvalid`: pods keep their settings";
    /// Size of a value of a Secret that is read as text, other than `pgpool.conf`.
    SECRET_VALUE_BYTES: usize = 4 << 10,
        "a user name or password in a Secret", "4096 bytes", "the Secret is reported as invalid";
    /// Size of the CA certificates of a PostgreSQL, in the `AppBinding` and in its TLS Secret each.
    CA_BUNDLE_BYTES: usize = tls_bundle::limits::CERTIFICATES_BYTES,
        "CA certificates of a PostgreSQL, in `caBundle` and in the TLS Secret each", "262144 bytes",
        "the AppBinding or Secret is reported as invalid";
    /// CA certificates of a PostgreSQL, in the `AppBinding` and in its TLS Secret each.
    CA_BUNDLE_CERTIFICATES: usize = tls_bundle::limits::CERTIFICATES,
        "number of these certificates", "256", "the AppBinding or Secret is reported as invalid";
    /// Size of `tls.crt` and of `ca.crt`.
    CERTIFICATES_BYTES: usize = tls_bundle::limits::CERTIFICATES_BYTES,
        "`tls.crt` and `ca.crt` of a certificate Secret, each", "262144 bytes", "the certificate is not ready";
    /// Size of `tls.key`.
    KEY_BYTES: usize = tls_bundle::limits::KEY_BYTES,
        "`tls.key` of a certificate Secret", "16384 bytes", "the certificate is not ready";
    /// Certificates in `tls.crt` and in `ca.crt`.
    CERTIFICATES: usize = tls_bundle::limits::CERTIFICATES,
        "certificates in `tls.crt` and in `ca.crt`, each", "256", "the certificate is not ready";
    /// Certificates of a chain.
    CHAIN: usize = tls_bundle::limits::CHAIN,
        "certificates of a chain, from the leaf to the root", "16", "the certificate is not ready";
    /// Names of a certificate times name constraints of its CAs.
    CONSTRAINT_COMPARISONS: usize = tls_bundle::limits::CONSTRAINT_COMPARISONS,
        "names of the certificates of a chain times name constraints of the CAs above them", "65536", "the certificate is not ready";
    /// Secrets that the environment of container `pgpool` names.
    ENV_SECRETS: usize = 32,
        "Secrets that the environment of container `pgpool` names for users", "32",
        "`ConfigurationInvalid`: nothing of the spec is applied";
    /// Secrets and config maps that `spec.init` names.
    INIT_REFERENCES: usize = 16,
        "Secrets and ConfigMaps that `spec.init.script` names", "16", "the scripts do not run";
    /// Users of a pool from labeled Secrets.
    SYNCED_SECRETS: usize = 1000,
        "labeled Secrets of one PostgreSQL that `spec.syncUsers` reads", "1000",
        "the oldest count, and condition `UsersIncomplete` says so";
    /// Size of an object in a cache, as JSON and without what nobody reads of it.
    CACHED_OBJECT_BYTES: usize = 1 << 20,
        "an object that an operator keeps in memory, as JSON and without what it does not read", "1048576 bytes",
        "the object is left out: what is known of it from before stays, and what refers to it says so";
    /// Size of all objects of a kind in a namespace, in a cache.
    CACHED_NAMESPACE_BYTES: usize = 64 << 20,
        "all these objects of one kind in one namespace", "67108864 bytes",
        "further objects of that namespace are left out, until they change when there is room";
    /// Size of a message in a status.
    MESSAGE_BYTES: usize = 1 << 10,
        "a message in a status", "1024 bytes", "it is cut";
    /// Open requests of type `Reconfigure` of one Pgpool. Of the other types, only the newest stays open.
    OPEN_REQUESTS: usize = 16,
        "open `PgpoolOpsRequest`s of type `Reconfigure` for one `Pgpool`; of the others, only the newest stays open", "16",
        "the request fails with `TooManyRequests`";
    /// Requests without `ttlSecondsAfterFinished` that are kept after they have finished, for each Pgpool.
    FINISHED_REQUESTS: usize = 100,
        "finished `PgpoolOpsRequest`s for one `Pgpool`", "100", "the oldest is deleted";
    /// How long a step of a request may take when the request does not say.
    DEFAULT_TIMEOUT: Duration = Duration::from_hours(1),
        "a step of a `PgpoolOpsRequest` without `spec.timeout`", "3600 seconds", "the request fails with `TimedOut`";
    /// How long a step of a request may take at most.
    LONGEST_TIMEOUT: Duration = Duration::from_hours(168),
        "a step of a `PgpoolOpsRequest`, whatever its `spec.timeout`", "604800 seconds",
        "the request fails with `TimedOut`";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_numbers_are_those_of_the_code() {
        let documented = ALL
            .iter()
            .map(|limit| limit.most.split(' ').next().unwrap_or_default());
        let applied: Vec<_> = numbers().iter().map(ToString::to_string).collect();
        assert_eq!(documented.collect::<Vec<_>>(), applied);
    }
}
