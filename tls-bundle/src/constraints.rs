//! Name constraints: a CA may permit or exclude names of the certificates below it. Compared as OpenSSL compares them, which
//! takes the subject for a name too, and refuses what it cannot compare.

use crate::der::{self, Read, Reader, tag};
use crate::general_name::GeneralName;
use crate::name::{Name, utf8};
use crate::{limits, oid};

mod within;

use within::{Within, within};

/// The name constraints of a CA.
pub(crate) struct NameConstraints<'a> {
    permitted: Vec<Subtree<'a>>,
    excluded: Vec<Subtree<'a>>,
}

struct Subtree<'a> {
    base: GeneralName<'a>,
    /// Whether it says how deep the names may be, which nobody supports.
    has_depth: bool,
}

impl<'a> NameConstraints<'a> {
    pub(crate) fn read(value: &'a [u8]) -> Read<Self> {
        let mut reader = der::alone(value, tag::SEQUENCE)?.reader();
        let permitted = subtrees(&mut reader, 0)?;
        let excluded = subtrees(&mut reader, 1)?;
        reader.end()?;
        Ok(Self { permitted, excluded })
    }

    fn len(&self) -> usize {
        self.permitted.len().saturating_add(self.excluded.len())
    }
}

fn subtrees<'a>(reader: &mut Reader<'a>, number: u8) -> Read<Vec<Subtree<'a>>> {
    let Some(list) = reader.optional(tag::constructed(number))? else {
        return Ok(Vec::new());
    };
    let mut list = list.reader();
    let mut subtrees = Vec::new();
    while !list.is_empty() {
        let mut subtree = list.expect(tag::SEQUENCE)?.reader();
        let base = GeneralName::read(&mut subtree)?;
        let minimum = match subtree.optional(tag::primitive(0))? {
            Some(minimum) => der::integer(minimum.content)? != [0],
            None => false,
        };
        let maximum = match subtree.optional(tag::primitive(1))? {
            Some(maximum) => !der::integer(maximum.content)?.is_empty(),
            None => false,
        };
        subtree.end()?;
        subtrees.push(Subtree {
            base,
            has_depth: minimum || maximum,
        });
    }
    Ok(subtrees)
}

/// Why a certificate does not meet the constraints of a CA.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// The first name that the CA does not permit.
    Forbidden(String),
    /// The first name that cannot be compared with the constraints of its kind.
    Incomparable(String),
    /// There are more names and constraints than the budget allows to compare.
    TooMany,
}

/// How many more comparisons are made.
pub(crate) struct Budget(usize);

impl Budget {
    pub(crate) const fn new() -> Self {
        Self(limits::CONSTRAINT_COMPARISONS)
    }

    fn take(&mut self, comparisons: usize) -> Result<(), Unmet> {
        self.0 = self.0.checked_sub(comparisons).ok_or(Unmet::TooMany)?;
        Ok(())
    }
}

/// Checks the names of a certificate. `host_name` says whether its common names are host names too, as in a leaf certificate
/// without DNS names.
pub(crate) fn check(
    constraints: &NameConstraints<'_>,
    subject: &Name<'_>,
    names: &[GeneralName<'_>],
    host_name: bool,
    budget: &mut Budget,
) -> Result<(), Unmet> {
    let count = names.len().saturating_add(subject.len());
    budget.take(count.saturating_mul(constraints.len()))?;
    if !subject.is_empty() {
        one(constraints, &Compared::Directory(subject), budget)?;
        for mail in subject.values(oid::EMAIL_ADDRESS) {
            if mail.tag != tag::IA5 {
                let mail = String::from_utf8_lossy(mail.value).into_owned();
                return Err(Unmet::Incomparable(mail));
            }
            one(constraints, &Compared::Mail(mail.value), budget)?;
        }
    }
    for name in names {
        one(constraints, &Compared::of(name), budget)?;
    }
    if host_name {
        for name in subject.values(oid::COMMON_NAME) {
            let Ok(text) = utf8(name.tag, name.value) else {
                return Err(Unmet::Incomparable("a common name".to_owned()));
            };
            if let Some(host) = host(&text)? {
                one(constraints, &Compared::Dns(&host), budget)?;
            }
        }
    }
    Ok(())
}

/// A name that is compared with subtrees of its kind.
pub(crate) enum Compared<'n> {
    Directory(&'n Name<'n>),
    Dns(&'n [u8]),
    Mail(&'n [u8]),
    Uri(&'n [u8]),
    Ip(&'n [u8]),
    /// A mail address with characters beyond ASCII.
    Mailbox,
    Other(&'n [u8]),
    X400,
    Registered,
}

impl<'n> Compared<'n> {
    fn of(name: &'n GeneralName<'n>) -> Self {
        match name {
            GeneralName::Other(oid::SMTP_UTF8_MAILBOX) => Self::Mailbox,
            GeneralName::Other(kind) => Self::Other(kind),
            GeneralName::Mail(text) => Self::Mail(text),
            GeneralName::Dns(text) => Self::Dns(text),
            GeneralName::X400 => Self::X400,
            GeneralName::Directory(name) => Self::Directory(name),
            GeneralName::Uri(text) => Self::Uri(text),
            GeneralName::Ip(octets) => Self::Ip(octets),
            GeneralName::Registered => Self::Registered,
        }
    }

    fn display(&self) -> String {
        match self {
            Self::Directory(name) => name.display(),
            Self::Dns(text) | Self::Mail(text) | Self::Uri(text) => {
                String::from_utf8_lossy(text).into_owned()
            }
            Self::Ip(octets) => GeneralName::address(octets).map_or_else(
                || format!("an address of {} octets", octets.len()),
                |ip| ip.to_string(),
            ),
            Self::Mailbox => "an internationalized mail address".to_owned(),
            Self::Other(_) => "a name of a kind of its own".to_owned(),
            Self::X400 => "an X.400 address".to_owned(),
            Self::Registered => "a registered identifier".to_owned(),
        }
    }

    /// How much work it is to compare it: one for each started block of 64 octets.
    const fn cost(&self) -> usize {
        match self {
            Self::Dns(text) | Self::Mail(text) | Self::Uri(text) => text.len() >> 6,
            _ => 0,
        }
    }
}

fn one(constraints: &NameConstraints<'_>, name: &Compared<'_>, budget: &mut Budget) -> Result<(), Unmet> {
    budget.take(name.cost().saturating_mul(constraints.len()))?;
    let incomparable = || Unmet::Incomparable(name.display());
    let mut permitted = None;
    for subtree in &constraints.permitted {
        let found = within(name, &subtree.base);
        if found == Within::OtherKind {
            continue;
        }
        if subtree.has_depth {
            return Err(incomparable());
        }
        if permitted == Some(true) {
            continue;
        }
        match found {
            Within::Yes => permitted = Some(true),
            Within::Incomparable => return Err(incomparable()),
            _ => permitted = Some(false),
        }
    }
    if permitted == Some(false) {
        return Err(Unmet::Forbidden(name.display()));
    }
    for subtree in &constraints.excluded {
        match within(name, &subtree.base) {
            Within::OtherKind => {}
            _ if subtree.has_depth => return Err(incomparable()),
            Within::Yes => return Err(Unmet::Forbidden(name.display())),
            Within::Incomparable => return Err(incomparable()),
            Within::No => {}
        }
    }
    Ok(())
}

/// A common name that looks like a host name of two labels or more, as OpenSSL sees it: `_` is a letter, and neither `-` nor
/// `.` stands at the ends or beside a dot.
fn host(common_name: &[u8]) -> Result<Option<Vec<u8>>, Unmet> {
    let end = common_name.iter().rposition(|byte| *byte != 0);
    let name = end.and_then(|end| common_name.get(..=end)).unwrap_or_default();
    if name.contains(&0) {
        return Err(Unmet::Incomparable(String::from_utf8_lossy(name).into_owned()));
    }
    let labels = name.split(|byte| *byte == b'.');
    let is_label = |label: &[u8]| {
        let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        label.iter().all(inside)
            && !label.is_empty()
            && label.first() != Some(&b'-')
            && label.last() != Some(&b'-')
    };
    let is_host = labels.clone().count() > 1 && labels.clone().all(is_label);
    Ok(is_host.then(|| name.to_vec()))
}
