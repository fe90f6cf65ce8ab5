//! How large a bundle may be, so that the work for one is bounded. A real bundle stays far below every limit.

/// Bytes of `tls.crt`, and of `ca.crt`. All public CAs together take less.
pub const CERTIFICATES_BYTES: usize = 256 << 10;

/// Bytes of `tls.key`. An RSA key of 8192 bits has about 6.4 KiB.
pub const KEY_BYTES: usize = 16 << 10;

/// Certificates in `tls.crt`, and in `ca.crt`. There are about 150 public CAs.
pub const CERTIFICATES: usize = 256;

/// Certificates of a chain, from the leaf to the root. Longer than any in use: each is one signature to verify, and one of
/// P-521 takes about a millisecond.
pub const CHAIN: usize = 16;

/// Comparisons of a name of a certificate with a name constraint of a CA, in a whole chain. OpenSSL stops, too, at 2^20 for
/// each pair of certificates.
pub const CONSTRAINT_COMPARISONS: usize = 1 << 16;

/// Bytes of a subject or issuer that messages show. Longer ones are described by their length.
pub(crate) const SHOWN_NAME_BYTES: usize = 1 << 10;

/// Characters of a name that messages show.
pub(crate) const SHOWN_NAME: usize = 160;

/// Bytes of an object identifier that messages show, since converting one to decimal takes quadratic time.
pub(crate) const SHOWN_OID_BYTES: usize = 64;
