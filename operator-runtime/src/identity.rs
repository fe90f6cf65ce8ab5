//! Which operator this process is.

/// Which operator this process is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The name of the operator, as in its image and its lease.
    pub name: &'static str,
    /// The version of the operator.
    pub version: &'static str,
    /// The field manager of every object it writes.
    pub field_manager: &'static str,
}
