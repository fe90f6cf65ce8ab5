//! Who issued what, and which certificates are where.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng, RngExt as _};

use crate::x509::certificate::{Algorithm, AuthorityKeyId, Link, SubjectKeyId, common_name};
use crate::x509::keys::{Key, Kind};
use crate::x509::plan::{Extra, Place, Plan, authority};

const PLACES: [Place; 4] = [
    Place::AfterTheLeaf,
    Place::EndOfTheChain,
    Place::FirstTrusted,
    Place::LastTrusted,
];

pub(super) fn place(random: &mut StdRng) -> Place {
    *PLACES.choose(random).unwrap_or(&PLACES[0])
}

/// The position of any CA. There is one from now on, even if the leaf was its own.
pub(super) fn any_ca(plan: &mut Plan, random: &mut impl Rng) -> usize {
    if plan.links.len() == 1 {
        let key = other_key(&plan.links[0], 0x65);
        plan.links.push(authority("root", key, plan.now));
    }
    random.random_range(1..plan.links.len())
}

fn other_key(link: &Link, number: u8) -> Key {
    Key { number, ..link.key }
}

fn expire(link: &mut Link) {
    let [start, end] = &mut link.validity;
    end.clone_from(start);
}

/// `ca.crt` holds a part of the chain.
pub(super) fn trusted(plan: &mut Plan, random: &mut StdRng) {
    let all = 0..plan.links.len();
    plan.trusted = all.filter(|_| random.random_bool(0.5)).collect();
}

/// `ca.crt` holds intermediates only.
pub(super) fn no_root(plan: &mut Plan, random: &mut StdRng) {
    let root = plan.links.len() - 1;
    plan.trusted = (1..root).collect();
    if random.random_bool(0.3) {
        plan.presented.push(root);
    }
    if random.random_bool(0.3) {
        plan.presented.truncate(1);
    }
}

/// A CA was renewed under its key: the chain was made with the old certificate, and the new one is there.
pub(super) fn renewed(plan: &mut Plan, random: &mut StdRng) {
    let position = any_ca(plan, random);
    let old = plan.links[position].clone();
    let mut new = old.clone();
    new.serial = vec![0x66];
    match random.random_range(0..4) {
        0 => {}
        1 => new.subject_key_id = SubjectKeyId::Method(1),
        2 => new.subject_key_id = SubjectKeyId::Absent,
        _ => new.key = other_key(&old, 0x60),
    }
    if random.random_bool(0.3) {
        let ids = [
            AuthorityKeyId::IssuerAndSerial,
            AuthorityKeyId::All,
            AuthorityKeyId::Absent,
        ];
        plan.links[position - 1].authority_key_id =
            ids.choose(random).cloned().unwrap_or(AuthorityKeyId::Absent);
    }
    let issuer = plan
        .links
        .get(position + 1)
        .cloned()
        .unwrap_or_else(|| new.clone());
    if random.random_bool(0.5) {
        plan.trusted.retain(|trusted| *trusted != position);
        plan.presented.retain(|presented| *presented != position);
    }
    let place = match position + 1 == plan.links.len() {
        true if random.random_bool(0.5) => Place::FirstTrusted,
        true => Place::LastTrusted,
        false => place(random),
    };
    plan.extras.push(Extra {
        link: new,
        issuer,
        place,
    });
}

/// Another CA of the same name: with another key, or for another purpose, or expired.
pub(super) fn twin(plan: &mut Plan, random: &mut StdRng) {
    let position = any_ca(plan, random);
    let mut twin = plan.links[position].clone();
    twin.serial = vec![0x67];
    match random.random_range(0..5) {
        0 | 1 => twin.key = other_key(&twin, 0x61),
        2 => twin.extended_key_usage = Some(vec!["1.3.6.1.5.5.7.3.4"]),
        3 => expire(&mut twin),
        _ => twin.basic_constraints = None,
    }
    if random.random_bool(0.5) {
        for link in &mut plan.links[..position] {
            link.authority_key_id = AuthorityKeyId::Absent;
        }
    }
    let issuer = if random.random_bool(0.5) {
        twin.clone()
    } else {
        plan.links
            .get(position + 1)
            .cloned()
            .unwrap_or_else(|| twin.clone())
    };
    let place = place(random);
    plan.extras.push(Extra {
        link: twin,
        issuer,
        place,
    });
}

/// The root, or an intermediate, is also signed by another root, which may be trusted.
pub(super) fn cross_signed(plan: &mut Plan, random: &mut StdRng) {
    let position = any_ca(plan, random);
    let mut crossed = plan.links[position].clone();
    crossed.serial = vec![0x68];
    let mut other = authority("other root", other_key(&crossed, 0x62), plan.now);
    if random.random_bool(0.2) {
        expire(&mut other);
    }
    if random.random_bool(0.2) {
        expire(&mut crossed);
    }
    if random.random_bool(0.5) {
        plan.extras.push(Extra {
            link: other.clone(),
            issuer: other.clone(),
            place: *[Place::FirstTrusted, Place::LastTrusted, Place::EndOfTheChain]
                .choose(random)
                .unwrap_or(&Place::FirstTrusted),
        });
    }
    if random.random_bool(0.3) {
        plan.trusted.clear();
    }
    let place = place(random);
    plan.extras.push(Extra {
        link: crossed,
        issuer: other,
        place,
    });
}

/// Key identifiers of every form.
pub(super) fn key_ids(plan: &mut Plan, random: &mut StdRng) {
    let forms = [
        AuthorityKeyId::Absent,
        AuthorityKeyId::KeyId,
        AuthorityKeyId::WrongKeyId,
        AuthorityKeyId::IssuerAndSerial,
        AuthorityKeyId::WrongSerial,
        AuthorityKeyId::WrongIssuer,
        AuthorityKeyId::All,
        AuthorityKeyId::Empty,
    ];
    let position = random.random_range(0..plan.links.len());
    let link = &mut plan.links[position];
    link.authority_key_id = forms.choose(random).cloned().unwrap_or(AuthorityKeyId::Absent);
    if random.random_bool(0.3) {
        link.subject_key_id = SubjectKeyId::Absent;
    }
}

/// A certificate has the subject of its issuer.
pub(super) fn own_issuer_name(plan: &mut Plan, random: &mut StdRng) {
    let position = any_ca(plan, random) - 1;
    let subject = match random.random_range(0..4) {
        0 => Vec::new(),
        _ => common_name("postgres"),
    };
    plan.links[position].subject.clone_from(&subject);
    plan.links[position + 1].subject = subject;
    if random.random_bool(0.5) {
        plan.links[position].subject_key_id = SubjectKeyId::Absent;
    }
    if random.random_bool(0.5) {
        plan.links[position].authority_key_id = AuthorityKeyId::Absent;
    }
}

/// The leaf is its own CA, as `SelfSigned` issuers make it, or as `openssl req -x509` does.
pub(super) fn self_signed(plan: &mut Plan, random: &mut StdRng) {
    plan.links.truncate(1);
    plan.presented = vec![0];
    plan.trusted = vec![0];
    let ca = random
        .random_bool(0.3)
        .then(|| authority("x", plan.links[0].key, plan.now));
    let leaf = plan.leaf();
    if let Some(ca) = ca {
        leaf.basic_constraints = ca.basic_constraints;
    }
    if random.random_bool(0.3) {
        leaf.subject.clear();
    }
    if random.random_bool(0.3) {
        leaf.authority_key_id = AuthorityKeyId::Absent;
        leaf.subject_key_id = SubjectKeyId::Absent;
    }
    if random.random_bool(0.1) {
        plan.trusted.clear();
    }
}

/// A certificate that no path needs, which may be too weak.
pub(super) fn unneeded(plan: &mut Plan, random: &mut StdRng) {
    let kinds = [
        Kind::P256,
        Kind::Rsa(1024),
        Kind::P192,
        Kind::Rsa(2048),
        Kind::P224,
    ];
    let kind = *kinds.choose(random).unwrap_or(&Kind::P256);
    let mut link = authority("unneeded", Key { kind, number: 0x63 }, plan.now);
    let other = authority(
        "other root",
        Key {
            kind: Kind::P256,
            number: 0x64,
        },
        plan.now,
    );
    if random.random_bool(0.4) {
        link.algorithm = Algorithm::Sha1;
    }
    let issuer = if random.random_bool(0.5) {
        link.clone()
    } else {
        other
    };
    let place = place(random);
    plan.extras.push(Extra { link, issuer, place });
}

/// The certificates of `tls.crt` in another order, or one of them more or less often.
pub(super) fn order(plan: &mut Plan, random: &mut StdRng) {
    match random.random_range(0..4) {
        0 => plan.presented.shuffle(random),
        1 => plan.presented.reverse(),
        2 => plan.presented.push(random.random_range(0..plan.links.len())),
        _ => {
            plan.presented.pop();
        }
    }
    if random.random_bool(0.3) {
        plan.trusted.push(random.random_range(0..plan.links.len()));
        plan.trusted.shuffle(random);
    }
}

/// Many intermediates, some of which limit how many are below them.
pub(super) fn long_chain(plan: &mut Plan, random: &mut StdRng) {
    let kind = plan.links[0].key.kind;
    let count = random.random_range(2..12_u8);
    for number in 0..count {
        let key = Key {
            kind,
            number: 0x30 + number,
        };
        let mut link = authority(&format!("level {number}"), key, plan.now);
        if random.random_bool(0.1)
            && let Some(constraints) = &mut link.basic_constraints
        {
            constraints.path_length = Some(number.into());
        }
        plan.links.insert(1, link);
    }
    let root = plan.links.len() - 1;
    plan.presented = (0..root).collect();
    plan.trusted = vec![root];
}
