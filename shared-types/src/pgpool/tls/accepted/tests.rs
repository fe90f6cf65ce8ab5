use super::*;

#[test]
fn dns_names_are_hosts_or_a_wildcard_for_one_label() {
    let label = "a".repeat(63);
    for good in [
        "a",
        "db.example.org",
        "*.example.org",
        "A-1.b_c.D",
        "_x.a",
        "10.a",
        &label,
    ] {
        assert!(is_dns_name(good), "{good}");
    }
    let longer = format!("{label}a");
    let long = [label.as_str(); 4].join(".");
    for bad in [
        "",
        ".",
        "*",
        "*.",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "a.*.b",
        "a*.b",
        "**.b",
        "a b",
        "m\u{fc}nchen.de",
        "a\n",
        "https://a",
        "a:80",
        "a/b",
        &longer,
        &long,
    ] {
        assert!(!is_dns_name(bad), "{bad}");
    }
}

#[test]
fn an_email_address_stands_alone() {
    for good in [
        "dba@example.org",
        "a.b+c@x",
        "o'brien@example.org",
        "!#$%&*/=?^_`{|}~-@a",
    ] {
        assert!(is_email_address(good), "{good}");
    }
    for bad in [
        "",
        "@",
        "a@",
        "@a",
        "a",
        "a@b@c",
        "a b@c",
        "a..b@c",
        ".a@c",
        "a.@c",
        "<a@b>",
        "DBA <a@b>",
        "\"a b\"@c",
        "a@b.",
        "a@[10.0.0.1]",
        "\u{e9}@a",
        "a@\u{e9}",
        "a@b\n",
    ] {
        assert!(!is_email_address(bad), "{bad}");
    }
}

#[test]
fn a_uri_has_a_scheme_and_a_readable_host() {
    for good in [
        "spiffe://example.org/ns/a/sa/b",
        "spiffe://cluster/pool",
        "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "https://user@a.b:8443/c?d=%20#e",
        "https://[::1]:80/",
        "file:///a",
        "mailto:a@b",
    ] {
        assert!(is_uri(good), "{good}");
    }
    for bad in [
        "",
        "a",
        "/a",
        "://a",
        ":a",
        "a:",
        "1a:b",
        "a b:c",
        "spiffe://a b/",
        "spiffe://a/b c",
        "spiffe://a/%zz",
        "spiffe://a/%2",
        "spiffe://a..b/",
        "spiffe://a./",
        "spiffe://a:b/",
        "spiffe://[a]/",
        "spiffe://m\u{fc}nchen/",
        "spiffe://a/\u{fc}",
        "spiffe://:80/",
        "a:b\n",
    ] {
        assert!(!is_uri(bad), "{bad}");
    }
}

#[test]
fn the_texts_of_the_rules_are_the_bounds() {
    let length = |text: &str| crate::object::GoDuration(text.to_owned()).length();
    assert_eq!(length(SHORTEST_TEXT), Some(SHORTEST));
    assert_eq!(length(SHORTEST_RENEWAL_TEXT), Some(SHORTEST_RENEWAL));
    assert_eq!(length(LIFETIME_TEXT), Some(LIFETIME));
}
