//! The texts: PEM, and what people do to it.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use crate::x509::keys::{Key, Kind};
use crate::x509::plan::{KeyForm, Plan, Texts};

/// Changes one of the texts.
fn edit(plan: &mut Plan, random: &mut StdRng, change: impl FnOnce(&str) -> String + 'static) {
    let which = random.random_range(0..5);
    plan.edits.push(Box::new(move |texts: &mut Texts| {
        let text = match which {
            0 | 1 => &mut texts.ca,
            2 | 3 => &mut texts.certificate,
            _ => &mut texts.key,
        };
        *text = change(&String::from_utf8_lossy(text)).into_bytes();
    }));
}

pub(super) fn pem(plan: &mut Plan, random: &mut StdRng) {
    let forms: [fn(&str) -> String; 24] = [
        |text| text.replace("-----\n-----", "----------"),
        |text| text.trim_end().to_owned(),
        |text| text.replace('\n', "\r\n"),
        |text| text.replace('\n', "\r"),
        |text| text.replace('\n', "\n\n"),
        |text| text.replacen("\nMII", "\n\nMII", 1),
        |text| text.replace("-----\n", "----- \t\n"),
        |text| format!("\u{FEFF}{text}"),
        |text| format!("subject=CN = x\nissuer=CN = y\n{text}"),
        |text| text.replace("\n-----END", "\n\n-----END"),
        |text| text.replace("=\n", "\n"),
        |text| format!("{text}trailing text\n"),
        |text| format!("{text}-----BEGIN CERTIFICATE-----\n"),
        |text| format!("{text}\0\0"),
        |text| lines(text, "  ", ""),
        |text| lines(text, "", "  "),
        |text| {
            text.replace(
                "-----BEGIN CERTIFICATE-----\n",
                "-----BEGIN CERTIFICATE-----\nComment: x\n\n",
            )
        },
        |text| text.replace("-----BEGIN ", "-----BEGIN  "),
        |text| text.replace("-----BEGIN ", "----BEGIN "),
        |text| text.replacen("-----END", "----END", 1),
        unwrapped,
        |text| text.replacen('A', "!", 1),
        |text| text.replacen("\nMII", "\n=MII", 1),
        |text| format!("{}{text}", "x".repeat(2000)),
    ];
    if let Some(form) = forms.choose(random).copied() {
        edit(plan, random, form);
    }
}

/// Each line with something before and after it.
fn lines(text: &str, before: &str, after: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(|line| format!("{before}{line}{after}"))
        .collect();
    lines.join("\n") + "\n"
}

/// All of a section in one line.
fn unwrapped(text: &str) -> String {
    let joined = text.replace('\n', "");
    joined
        .replace("-----BEGIN", "\n-----BEGIN")
        .replace("-----END", "\n-----END")
        .replace("KEY-----", "KEY-----\n")
        .replace("CERTIFICATE-----", "CERTIFICATE-----\n")
}

pub(super) fn labels(plan: &mut Plan, random: &mut StdRng) {
    let labels = [
        "X509 CERTIFICATE",
        "TRUSTED CERTIFICATE",
        "certificate",
        "PKCS7",
        "CERTIFICATE REQUEST",
        "X509 CRL",
        "PUBLIC KEY",
    ];
    let label = labels.choose(random).copied().unwrap_or("PKCS7");
    let only_first = random.random_bool(0.5);
    edit(plan, random, move |text| {
        let count = if only_first { 2 } else { usize::MAX };
        let wanted = format!("{label}-----");
        text.replacen("CERTIFICATE-----", &wanted, count)
    });
}

pub(super) fn private_key(plan: &mut Plan, random: &mut StdRng) {
    let kind = plan.links[0].key.kind;
    let forms: [fn(&str) -> String; 9] = [
        |_| String::new(),
        |text| text.replace(" PRIVATE KEY", " RSA PRIVATE KEY"),
        |text| text.replace(" PRIVATE KEY", " EC PRIVATE KEY"),
        |text| {
            text.replace("EC PRIVATE KEY", "PRIVATE KEY")
                .replace("RSA PRIVATE KEY", "PRIVATE KEY")
        },
        |text| {
            format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{text}")
        },
        |text| format!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n{text}"),
        |text| format!("{text}{text}"),
        |text| text.replace(" PRIVATE KEY", " ANY PRIVATE KEY"),
        |text| text.replace("BEGIN PRIVATE KEY", "BEGIN ENCRYPTED PRIVATE KEY"),
    ];
    if random.random_bool(0.5) {
        plan.key_form = KeyForm::Traditional;
    }
    match random.random_range(0..4) {
        0 => {
            let kinds = [kind, Kind::P256, Kind::P384, Kind::Ed25519, Kind::Rsa(2048)];
            plan.other_key = Some(Key {
                kind: *kinds.choose(random).unwrap_or(&kind),
                number: 0x71,
            });
        }
        1 => {}
        _ => {
            if let Some(form) = forms.choose(random).copied() {
                plan.edits.push(Box::new(move |texts: &mut Texts| {
                    texts.key = form(&String::from_utf8_lossy(&texts.key)).into_bytes();
                }));
            }
        }
    }
}

/// A text that ends too early, or with a byte changed.
pub(super) fn cut(plan: &mut Plan, random: &mut StdRng) {
    let thousandth = random.random_range(0..1000);
    let byte: u8 = random.random_range(32..127);
    let ends = random.random_bool(0.3);
    edit(plan, random, move |text| {
        let at = text.len() * thousandth / 1000;
        let mut bytes = text.as_bytes().to_vec();
        if ends {
            bytes.truncate(at);
        } else if let Some(changed) = bytes.get_mut(at) {
            *changed = byte;
        }
        String::from_utf8_lossy(&bytes).into_owned()
    });
}
