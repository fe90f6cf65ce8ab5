//! Signals as a stream of requests to stop. How to stop is decided by the runtime.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Yields once per SIGTERM or SIGINT.
#[derive(Debug)]
pub enum Stops {
    /// The signals of this process.
    Signals {
        /// SIGTERM, sent by the kubelet.
        terminate: Signal,
        /// SIGINT, sent by a terminal.
        interrupt: Signal,
    },
    /// Requests sent by a test.
    #[cfg(test)]
    Channel(tokio::sync::mpsc::UnboundedReceiver<()>),
    /// No requests.
    Never,
}

impl Stops {
    /// Installs the handlers; from here on the signals no longer kill the process.
    pub fn signals() -> std::io::Result<Self> {
        Ok(Self::Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next request. Cancel safe.
    pub async fn next(&mut self) {
        match self {
            Self::Signals { terminate, interrupt } => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            #[cfg(test)]
            Self::Channel(requests) => {
                if requests.recv().await.is_none() {
                    std::future::pending::<()>().await;
                }
            }
            Self::Never => std::future::pending().await,
        }
    }
}
