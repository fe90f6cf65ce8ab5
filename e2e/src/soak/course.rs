//! Which rotation changes what. Pure.

use std::fmt;

use crate::scene::certificates::SERVER;

/// What makes the certificate change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The certificate of the server is issued again.
    Server,
    /// All certificates are issued again at once, as when their time ends together.
    All,
    /// The authority behind the issuer is replaced.
    Authority,
    /// Another issuer is named, with a new authority.
    Issuer,
}

impl Change {
    /// The new certificate comes from a new authority.
    #[must_use]
    pub fn is_of_authority(self) -> bool {
        matches!(self, Self::Authority | Self::Issuer)
    }

    /// The certificate in a Secret is issued again.
    #[must_use]
    pub fn is_of(self, secret: &str) -> bool {
        self != Self::Server || secret == SERVER
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Server => "server certificate issued again",
            Self::All => "all certificates issued again",
            Self::Authority => "authority behind the issuer replaced",
            Self::Issuer => "another issuer with another authority",
        })
    }
}

/// So many rotations; one in `every` changes the authority, in the middle of these.
#[must_use]
pub fn changes(rotations: usize, every: usize) -> Vec<Change> {
    let change = |number: usize| {
        if every > 0 && number % every == every.div_ceil(2) % every {
            // Both ways in turn.
            if (number / every).is_multiple_of(2) {
                Change::Issuer
            } else {
                Change::Authority
            }
        } else if number.is_multiple_of(2) {
            Change::All
        } else {
            Change::Server
        }
    };
    (1..=rotations).map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_ten_changes_the_authority_both_ways() {
        let all = changes(50, 10);
        let of = |change| all.iter().filter(|found| **found == change).count();
        assert_eq!(all.len(), 50);
        assert_eq!((of(Change::Issuer), of(Change::Authority)), (3, 2));
        assert!(of(Change::All) > 15 && of(Change::Server) > 15);
        assert_eq!(all[4], Change::Issuer);
    }

    #[test]
    fn nobody_need_change_it() {
        assert!(changes(20, 0).iter().all(|change| !change.is_of_authority()));
        assert!(changes(3, 1).iter().all(|change| change.is_of_authority()));
    }
}
