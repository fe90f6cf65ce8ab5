//! Certificate files of the channel.

use std::path::PathBuf;

/// A directory with `tls.crt`, `tls.key` and `ca.crt`, read anew whenever they change.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    directory: PathBuf,
}

impl TlsFiles {
    /// Names the directory. It need not exist yet.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Returns the directory.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        &self.directory
    }
}
