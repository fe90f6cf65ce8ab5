//! Which rotation changes what. Pure.

use std::fmt;

use crate::namespace::cert_manager::SERVER;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The certificate of the server is issued again.
    Server,
    /// All certificates are issued again at once, as when their time ends together.
    All,
    Ca,
    /// Another issuer is named, with a new CA.
    Issuer,
}

impl Change {
    /// The new certificate comes from a new CA.
    pub(crate) fn changes_ca(self) -> bool {
        matches!(self, Self::Ca | Self::Issuer)
    }

    /// The certificate in a Secret is issued again.
    pub(crate) fn is_of(self, secret: &str) -> bool {
        self != Self::Server || secret == SERVER
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Server => "server certificate issued again",
            Self::All => "all certificates issued again",
            Self::Ca => "CA behind the issuer replaced",
            Self::Issuer => "another issuer with another CA",
        })
    }
}

/// So many rotations; one in `every` changes the CA, in the middle of these.
pub(crate) fn changes(rotations: usize, every: usize) -> Vec<Change> {
    let change = |number: usize| {
        if every > 0 && number % every == every.div_ceil(2) % every {
            // Both ways in turn.
            if (number / every).is_multiple_of(2) {
                Change::Issuer
            } else {
                Change::Ca
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
        assert_eq!((of(Change::Issuer), of(Change::Ca)), (3, 2));
        assert!(of(Change::All) > 15 && of(Change::Server) > 15);
        assert_eq!(all[4], Change::Issuer);
    }

    #[test]
    fn nobody_need_change_it() {
        assert!(changes(20, 0).iter().all(|change| !change.changes_ca()));
        assert!(changes(3, 1).iter().all(|change| change.changes_ca()));
    }
}
