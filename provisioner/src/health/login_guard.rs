//! Reads along what a pod asks for during the login, and refuses what would give the password away. Does no I/O.
//!
//! tokio-postgres answers every request for a password that a server makes, also one for the password in clear text. Here
//! a request is refused before tokio-postgres has received all of it, so it is never answered.
//!
//! Message formats: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

/// The type byte of all messages about authentication.
const AUTHENTICATION: u8 = b'R';
/// Longer than any message about authentication, in bytes without the type: pgpool's longest has less than 100.
const LONGEST_AUTHENTICATION: u32 = 4096;
/// Iterations of SCRAM: at least as many as RFC 7677 demands, which pgpool (`SCRAM_DEFAULT_ITERATIONS`) uses. Fewer would
/// make it cheap to guess the password from the answer; the upper bound limits the time that the answer takes.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=32_768;

/// A request for the password that is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordRequest {
    #[error("asks for the password in clear text")]
    ClearText,
    #[error("asks for an md5 hash of the password without TLS, although `spec.clientAuthMode` is not `md5`")]
    Md5,
    #[error("asks for SASL authentication without offering SCRAM-SHA-256")]
    Sasl,
    #[error(
        "asks for SCRAM authentication with {} iterations, but only {} to {} are accepted",
        .0.map_or_else(|| "an unreadable number of".to_owned(), |it| it.to_string()),
        ITERATIONS.start(),
        ITERATIONS.end()
    )]
    Iterations(Option<u32>),
    #[error("asks for authentication type {0} of the PostgreSQL protocol")]
    Method(u32),
}

/// Why the rest of what a pod sends is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Objection {
    #[error(transparent)]
    Password(#[from] PasswordRequest),
    #[error("a message has an impossible length")]
    Malformed,
}

/// Follows the messages of one connection, in pieces of any size.
#[derive(Debug)]
pub(super) struct LoginGuard {
    /// Whether md5 hashes are answered.
    md5: bool,
    /// The type and length of the message that is being received.
    header: Vec<u8>,
    /// What is left of its body.
    missing: u32,
    /// Its body so far, if it is about authentication.
    body: Vec<u8>,
}

impl LoginGuard {
    pub(super) fn new(md5: bool) -> Self {
        Self {
            md5,
            header: Vec::with_capacity(5),
            missing: 0,
            body: Vec::new(),
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When they complete, or begin, something that must not reach the client library.
    pub(super) fn receive(&mut self, mut bytes: &[u8]) -> Result<(), Objection> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.header.len() < 5 {
                self.header.push(*first);
                bytes = rest;
                if let [kind, length @ ..] = self.header.as_slice()
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    let length = u32::from_be_bytes(length);
                    self.missing = length.checked_sub(4).ok_or(Objection::Malformed)?;
                    if *kind == AUTHENTICATION && length > LONGEST_AUTHENTICATION {
                        return Err(Objection::Malformed);
                    }
                    self.finish_message()?;
                }
                continue;
            }
            let wanted = usize::try_from(self.missing).unwrap_or(usize::MAX);
            let (body, rest) = bytes.split_at(wanted.min(bytes.len()));
            if self.header.first() == Some(&AUTHENTICATION) {
                self.body.extend_from_slice(body);
            }
            self.missing = self
                .missing
                .saturating_sub(u32::try_from(body.len()).unwrap_or(u32::MAX));
            bytes = rest;
            self.finish_message()?;
        }
        Ok(())
    }

    /// Checks a message once it is complete, and goes on to the next.
    fn finish_message(&mut self) -> Result<(), Objection> {
        if self.missing > 0 {
            return Ok(());
        }
        if self.header.first() == Some(&AUTHENTICATION) {
            authentication(&self.body, self.md5)?;
        }
        self.header.clear();
        self.body.clear();
        Ok(())
    }
}

/// Checks a message about authentication without its type and length.
fn authentication(body: &[u8], md5: bool) -> Result<(), Objection> {
    let (code, rest) = body.split_first_chunk::<4>().ok_or(Objection::Malformed)?;
    let request = match u32::from_be_bytes(*code) {
        // Success, and the last message of SCRAM, which tokio-postgres verifies.
        0 | 12 => return Ok(()),
        3 => PasswordRequest::ClearText,
        5 if md5 => return Ok(()),
        5 => PasswordRequest::Md5,
        10 if rest.split(|byte| *byte == 0).any(|name| name == b"SCRAM-SHA-256") => return Ok(()),
        10 => PasswordRequest::Sasl,
        11 => match iterations(rest) {
            Some(iterations) if ITERATIONS.contains(&iterations) => return Ok(()),
            iterations => PasswordRequest::Iterations(iterations),
        },
        method => PasswordRequest::Method(method),
    };
    Err(request.into())
}

/// The iterations in the first message of a SCRAM server (RFC 5802, section 7): `r=…,s=…,i=4096`.
fn iterations(message: &[u8]) -> Option<u32> {
    let mut fields = std::str::from_utf8(message).ok()?.split(',');
    let count = fields.find_map(|field| field.strip_prefix("i="))?;
    count.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap() + 4;
        [&[kind], &length.to_be_bytes()[..], body].concat()
    }

    fn request(code: u32, rest: &[u8]) -> Vec<u8> {
        message(b'R', &[&code.to_be_bytes(), rest].concat())
    }

    /// The verdict on some messages, the same however they are cut into pieces.
    fn verdict(md5: bool, bytes: &[u8]) -> Result<(), Objection> {
        let verdict = LoginGuard::new(md5).receive(bytes);
        for size in [1, 2, 3, 7] {
            let mut guard = LoginGuard::new(md5);
            let pieces = bytes.chunks(size).try_for_each(|piece| guard.receive(piece));
            assert_eq!(pieces, verdict, "in pieces of {size}");
        }
        verdict
    }

    #[test]
    fn what_would_give_the_password_away_is_refused() {
        let scram = |message: &str| request(11, message.as_bytes());
        let refused = |request: PasswordRequest| Err(Objection::Password(request));
        let rows = [
            (request(0, b""), Ok(())),
            (request(3, b""), refused(PasswordRequest::ClearText)),
            (request(5, b"salt"), refused(PasswordRequest::Md5)),
            (request(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"), Ok(())),
            (request(10, b"SCRAM-SHA-1\0\0"), refused(PasswordRequest::Sasl)),
            (scram("r=nonce,s=c2FsdA==,i=4096"), Ok(())),
            (
                scram("r=nonce,s=c2FsdA==,i=1"),
                refused(PasswordRequest::Iterations(Some(1))),
            ),
            (
                scram("r=nonce,s=c2FsdA==,i=4294967295"),
                refused(PasswordRequest::Iterations(Some(u32::MAX))),
            ),
            (
                scram("r=nonce,s=c2FsdA==,i=99999999999"),
                refused(PasswordRequest::Iterations(None)),
            ),
            (scram("nonsense"), refused(PasswordRequest::Iterations(None))),
            (request(12, b"v=signature"), Ok(())),
            (request(7, b""), refused(PasswordRequest::Method(7))),
            (message(b'R', b"\0\0"), Err(Objection::Malformed)),
            (message(b'R', &[0; 5000]), Err(Objection::Malformed)),
        ];
        for (bytes, expected) in rows {
            assert_eq!(
                verdict(false, &bytes),
                expected,
                "{}",
                String::from_utf8_lossy(&bytes)
            );
        }
        assert_eq!(verdict(true, &request(5, b"salt")), Ok(()));
    }

    #[test]
    fn a_request_after_other_messages_is_seen_too() {
        let before = [
            message(b'N', b"SNOTICE\0\0"),
            message(b'S', b"a\0b\0"),
            message(b'Z', b""),
        ]
        .concat();
        let clear = Err(Objection::Password(PasswordRequest::ClearText));
        assert_eq!(verdict(true, &[before.clone(), request(3, b"")].concat()), clear);
        // Inside another message it is text.
        let quoted = message(b'N', &request(3, b""));
        assert_eq!(verdict(true, &[before, quoted].concat()), Ok(()));
    }

    #[test]
    fn a_length_that_no_message_has_ends_the_connection() {
        assert_eq!(verdict(true, b"N\0\0\0\x03abc"), Err(Objection::Malformed));
    }

    #[test]
    fn the_answer_of_pgpool_in_the_older_protocol_is_passed_on() {
        // The beginning of a message of version 2 reads as a message of megabytes.
        assert_eq!(verdict(true, b"E\0E\0\0\0\xb9SERROR\0"), Ok(()));
    }
}
