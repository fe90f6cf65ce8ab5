//! The names of subject alternative names, name constraints and key identifiers, in every kind.

use std::net::IpAddr;

use crate::der::{self, Fault, Read, Reader, tag};
use crate::name::Name;

/// One name. Texts are as in the certificate, which promises no character set.
pub(crate) enum GeneralName<'a> {
    /// The object identifier of its kind.
    Other(&'a [u8]),
    Mail(&'a [u8]),
    Dns(&'a [u8]),
    X400,
    Directory(Name<'a>),
    Uri(&'a [u8]),
    /// Addresses have 4 or 16 octets, subtrees of addresses twice as many; OpenSSL reads any number.
    Ip(&'a [u8]),
    Registered,
}

impl<'a> GeneralName<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Read<Self> {
        const OTHER: u8 = tag::constructed(0);
        const X400: u8 = tag::constructed(3);
        const DIRECTORY: u8 = tag::constructed(4);
        const EDI_PARTY: u8 = tag::constructed(5);
        let element = reader.element()?;
        Ok(match element.tag {
            OTHER => Self::Other(other(&element)?),
            0x81 => Self::Mail(element.content),
            0x82 => Self::Dns(element.content),
            X400 => Self::X400,
            DIRECTORY => {
                let mut inside = element.reader();
                let name = Name::read(&mut inside)?;
                inside.end()?;
                Self::Directory(name)
            }
            0x86 => Self::Uri(element.content),
            0x87 => Self::Ip(element.content),
            0x88 => {
                der::oid(element.content)?;
                Self::Registered
            }
            EDI_PARTY => return Err(Fault::Refused("an EDI party name")),
            // Strings in pieces.
            0xa1 | 0xa2 | 0xa6 | 0xa7 => return Err(der::NOT_DER),
            _ => return Err(Fault::Malformed),
        })
    }

    /// Reads the names of a `GeneralNames`.
    pub(crate) fn read_all(mut reader: Reader<'a>) -> Read<Vec<Self>> {
        let mut names = Vec::new();
        while !reader.is_empty() {
            names.push(Self::read(&mut reader)?);
        }
        Ok(names)
    }

    /// The address, of a name of 4 or 16 octets.
    pub(crate) fn address(octets: &[u8]) -> Option<IpAddr> {
        let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
        four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
            .ok()
    }
}

fn other<'a>(element: &der::Element<'a>) -> Read<&'a [u8]> {
    let mut reader = element.reader();
    let kind = der::oid(reader.expect(tag::OID)?.content)?;
    let mut value = reader.expect(tag::constructed(0))?.reader();
    der::any(&value.element()?)?;
    value.end()?;
    reader.end()?;
    Ok(kind)
}
