//! Reads along what a pod responds: ends a connection that sends too much, or asks for the password in a way that would
//! give it away, and keeps the beginning of responses that break the protocol and that no client library can parse.
//!
//! When PostgreSQL does not answer pgpool with an authentication request, pgpool (4.3 to 4.7, `src/auth/pool_auth.c`)
//! sends the beginning of a message of protocol version 2, and then a message that names the byte it received instead.
//! Only the first bytes from the pod are kept; they hold no secret.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::login_guard::{LoginGuard, Objection};
use super::transcript::{Refusal, Transcript};

/// What a pod may send on one connection: rustls accepts a handshake of 64 KiB, and a login with a query takes about one
/// KiB.
const MOST_BYTES: usize = 128 * 1024;

/// What precedes the byte that pgpool received.
const PREFIX: &[u8] = b"backend response with kind '";

/// A stream that watches what it reads.
pub(super) struct ResponseSniffer<S> {
    stream: S,
    transcript: Transcript,
    /// `None` below TLS, where nothing can be read.
    guard: Option<LoginGuard>,
    /// Bytes that may still come.
    room: usize,
}

/// Why PostgreSQL sent pgpool no authentication request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BackendRejection {
    /// PostgreSQL answered with an error, whose text pgpool does not pass on.
    Error,
    /// The TLS handshake failed, and pgpool read TLS records as if they were messages.
    UntrustedCertificate,
}

impl BackendRejection {
    /// Finds the rejection in the first bytes of a response.
    pub(super) fn parse(response: &[u8]) -> Option<Self> {
        let at = response.windows(PREFIX.len()).position(|bytes| bytes == PREFIX)?;
        match response.get(at..)?.strip_prefix(PREFIX)?.first()? {
            b'E' => Some(Self::Error),
            // The types of TLS records. pgpool prints an unprintable byte either raw or not at all.
            0x14..=0x17 | b'\'' => Some(Self::UntrustedCertificate),
            _ => None,
        }
    }
}

impl<S> ResponseSniffer<S> {
    /// Counts what is read, and no more.
    pub(super) fn counting(stream: S, transcript: Transcript) -> Self {
        Self {
            stream,
            transcript,
            guard: None,
            room: MOST_BYTES,
        }
    }

    /// Reads the messages of a login, too. `md5` is whether md5 hashes of the password are answered.
    pub(super) fn guarding(stream: S, transcript: Transcript, md5: bool) -> Self {
        Self {
            guard: Some(LoginGuard::new(md5)),
            ..Self::counting(stream, transcript)
        }
    }

    /// Looks at bytes that were read.
    ///
    /// # Errors
    /// When the connection must end.
    fn inspect(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(room) = self.room.checked_sub(bytes.len()) else {
            self.transcript.record_refusal(Refusal::TooLong);
            return Err(io::Error::other("the pod sends too much"));
        };
        self.room = room;
        if !bytes.is_empty() {
            self.transcript.record_answer();
        }
        let Some(guard) = &mut self.guard else {
            return Ok(());
        };
        self.transcript.record_response(bytes);
        guard.receive(bytes).map_err(|objection| {
            if let Objection::Password(request) = &objection {
                self.transcript.record_refusal(Refusal::Password(request.clone()));
            }
            io::Error::other(objection)
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ResponseSniffer<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = &polled {
            let read = buffer.filled().get(before..).unwrap_or_default();
            if let Err(error) = self.inspect(read) {
                // What was objected to reaches nobody.
                buffer.set_filled(before);
                return Poll::Ready(Err(error));
            }
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ResponseSniffer<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_that_pgpool_received_identifies_the_rejection() {
        let rows: [(&[u8], Option<BackendRejection>); 6] = [
            (
                b"E\0E\0\0\0\xb9SERROR\0Dbackend response with kind 'E' when expecting 'R'\0",
                Some(BackendRejection::Error),
            ),
            (
                b"Dbackend response with kind '\x17' when expecting 'R'\0",
                Some(BackendRejection::UntrustedCertificate),
            ),
            (
                b"Dbackend response with kind '' when expecting 'R'\0",
                Some(BackendRejection::UntrustedCertificate),
            ),
            (b"Dbackend response with kind 'N' when", None),
            (b"Dbackend response with kind '", None),
            (b"Mpassword authentication failed\0", None),
        ];
        for (response, expected) in rows {
            assert_eq!(
                BackendRejection::parse(response),
                expected,
                "{}",
                String::from_utf8_lossy(response)
            );
        }
    }
}
