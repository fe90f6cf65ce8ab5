//! Listens in on what a pod answers, for those answers that break the protocol and that no library can read.
//!
//! When PostgreSQL does not answer pgpool with a request for authentication, pgpool (4.3 to 4.7,
//! `src/auth/pool_auth.c`) sends the beginning of a message of the protocol before the last and then a message that
//! names the byte it has got instead. Remembers the first bytes of the pod only; they hold no secret.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::served::Seen;

/// Bytes that are remembered: pgpool's message comes first and is shorter.
pub(super) const REMEMBERED: usize = 512;

/// Before the byte that pgpool has got.
const BEFORE: &[u8] = b"backend response with kind '";

/// A stream that tells what it reads.
pub(crate) struct Tap<S> {
    pub(super) stream: S,
    pub(super) seen: Option<Seen>,
}

/// Why pgpool gets no request for authentication from PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Estranged {
    /// PostgreSQL answers with an error, whose words pgpool does not pass on.
    Refused,
    /// The handshake has failed, and pgpool reads records of TLS as if they were messages.
    Untrusted,
}

impl Estranged {
    /// Reads it from what was heard.
    pub(crate) fn read(heard: &[u8]) -> Option<Self> {
        let at = heard.windows(BEFORE.len()).position(|bytes| bytes == BEFORE)?;
        match heard.get(at + BEFORE.len())? {
            b'E' => Some(Self::Refused),
            // The types of TLS records; pgpool prints what follows an unprintable one, or nothing.
            0x14..=0x17 | b'\'' => Some(Self::Untrusted),
            _ => None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let (Poll::Ready(Ok(())), Some(seen)) = (&polled, &self.seen) {
            seen.hear(&buffer.filled()[before..]);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
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
    fn the_byte_that_pgpool_got_tells_why() {
        let rows: [(&[u8], Option<Estranged>); 6] = [
            (
                b"E\0E\0\0\0\xb9SERROR\0Dbackend response with kind 'E' when expecting 'R'\0",
                Some(Estranged::Refused),
            ),
            (
                b"Dbackend response with kind '\x17' when expecting 'R'\0",
                Some(Estranged::Untrusted),
            ),
            (
                b"Dbackend response with kind '' when expecting 'R'\0",
                Some(Estranged::Untrusted),
            ),
            (b"Dbackend response with kind 'N' when", None),
            (b"Dbackend response with kind '", None),
            (b"Mpassword authentication failed\0", None),
        ];
        for (heard, expected) in rows {
            assert_eq!(
                Estranged::read(heard),
                expected,
                "{}",
                String::from_utf8_lossy(heard)
            );
        }
    }
}
