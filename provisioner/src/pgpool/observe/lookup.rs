//! What is known of an object. Pure.

use std::fmt;

use operator_runtime::decode::Undecodable;

/// What is known of an object that is referred to.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) enum Lookup<T> {
    /// The watch on it has not answered yet.
    #[default]
    Pending,
    /// The API server says that there is no such object, or does not serve its kind.
    Absent,
    /// The operator may not read it.
    Forbidden,
    /// It cannot be decoded.
    Undecodable(Undecodable),
    Present(T),
}

impl<T> Lookup<T> {
    /// The object, if it exists.
    pub(crate) fn present(&self) -> Option<&T> {
        match self {
            Self::Present(found) => Some(found),
            Self::Pending | Self::Absent | Self::Forbidden | Self::Undecodable(_) => None,
        }
    }

    /// The same knowledge about a part of the object.
    pub(crate) fn map<U>(self, part: impl FnOnce(T) -> U) -> Lookup<U> {
        match self {
            Self::Pending => Lookup::Pending,
            Self::Absent => Lookup::Absent,
            Self::Forbidden => Lookup::Forbidden,
            Self::Undecodable(why) => Lookup::Undecodable(why),
            Self::Present(found) => Lookup::Present(part(found)),
        }
    }
}

impl<T> fmt::Debug for Lookup<T> {
    /// Leaves the object out: it may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "Pending",
            Self::Absent => "Absent",
            Self::Forbidden => "Forbidden",
            Self::Undecodable(_) => "Undecodable(…)",
            Self::Present(_) => "Present(…)",
        })
    }
}
