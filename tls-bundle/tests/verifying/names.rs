//! Generated names: what is put into a certificate is covered, what is not is missing.

use proptest::prelude::*;
use rcgen::SanType;
use tls_bundle::Required;

use crate::support::{Secret, dns, leaf_params, p256, required, root};

fn label() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,10}[a-z0-9]"
}

/// Two to five labels, perhaps under a wildcard.
fn name() -> impl Strategy<Value = String> {
    let labels = prop::collection::vec(label(), 3..=5).prop_map(|labels| labels.join("."));
    (labels, any::<bool>()).prop_map(|(name, wild)| if wild { format!("*.{name}") } else { name })
}

fn verified(names: &[String], required: &Required) -> Vec<String> {
    let mut params = leaf_params();
    params.subject_alt_names = names.iter().map(|name| dns(name)).collect();
    let secret = Secret::issued(&root("root"), &params, &p256());
    match secret.verify_for(required).failures.as_slice() {
        [] => vec![],
        [tls_bundle::Failure::NameMissing { missing }] => missing.clone(),
        other => panic!("{other:?}"),
    }
}

fn wanting(dns_names: Vec<String>) -> Required {
    Required {
        dns_names,
        ip_addresses: vec![],
        ..required()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_certificate_covers_its_own_names(names in prop::collection::vec(name(), 1..12)) {
        let upper = names.iter().map(|name| name.to_uppercase()).collect();
        prop_assert!(verified(&names, &wanting(names.clone())).is_empty());
        prop_assert!(verified(&names, &wanting(upper)).is_empty());
    }

    #[test]
    fn a_wildcard_covers_one_label(parent in name(), first in label(), second in label()) {
        let parent = parent.trim_start_matches("*.").to_owned();
        let names = [format!("*.{parent}")];
        let one = format!("{first}.{parent}");
        let two = format!("{second}.{first}.{parent}");
        let wanted = vec![one, two.clone(), parent.clone()];
        prop_assert_eq!(verified(&names, &wanting(wanted)), vec![two, parent]);
    }

    #[test]
    fn what_is_not_covered_is_named(names in prop::collection::vec(name(), 1..6), extra in label()) {
        // One label more than any name above has room for.
        let foreign = format!("{extra}.x.x.x.x.x.x");
        let mut wanted = names.clone();
        wanted.push(foreign.clone());
        prop_assert_eq!(verified(&names, &wanting(wanted)), vec![foreign]);
    }

    #[test]
    fn addresses_are_compared_by_value(octets in any::<[u8; 16]>(), other in any::<[u8; 4]>()) {
        let mut params = leaf_params();
        params.subject_alt_names = vec![SanType::IpAddress(octets.into())];
        let secret = Secret::issued(&root("root"), &params, &p256());
        let wanting = |ip_addresses| Required { dns_names: vec![], ip_addresses, ..required() };
        prop_assert!(secret.verify_for(&wanting(vec![octets.into()])).fits());
        prop_assert!(!secret.verify_for(&wanting(vec![other.into()])).fits());
    }
}
