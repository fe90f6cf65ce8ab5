//! The files pgpool reads, by branch.

use k8s_openapi::ByteString;

use super::support::{self, ISSUER_CA, POSTGRES_CA, World, file, material, secret, setting};
use crate::pgpool::decide::{TlsMaterial, ca_overlap};
use shared_types::conditions::Reason;
use shared_types::names;

#[test]
fn rules_follow_from_the_two_modes_and_trust_nobody() {
    let table = [
        ("disable", "md5", "host", "md5"),
        ("disable", "scram", "host", "scram-sha-256"),
        ("allow", "md5", "host", "md5"),
        ("prefer", "scram", "host", "scram-sha-256"),
        ("allow", "cert", "hostssl", "cert"),
        ("prefer", "cert", "hostssl", "cert"),
        ("require", "md5", "hostssl", "md5"),
        ("require", "scram", "hostssl", "scram-sha-256"),
        ("verify-ca", "scram", "hostssl", "scram-sha-256"),
        ("verify-full", "cert", "hostssl", "cert"),
    ];
    for (ssl_mode, auth, record, method) in table {
        let world = World::tls().spec(&format!("sslMode: {ssl_mode}\nclientAuthMode: {auth}"));
        let expected =
            format!("{record}  all  all  0.0.0.0/0  {method}\n{record}  all  all  ::/0  {method}\n");
        assert_eq!(world.pool_hba(), expected, "{ssl_mode} and {auth}");
    }
}

#[test]
fn names_follow_the_release() {
    let table = [
        ("4.2.22", "socket_dir", "logdir"),
        ("4.3.15", "socket_dir", "logdir"),
        ("4.4.12", "unix_socket_directories", "logdir"),
        ("4.6.1-r1", "unix_socket_directories", "logdir"),
        ("4.7.2", "unix_socket_directories", "work_dir"),
        ("5.0.0", "unix_socket_directories", "work_dir"),
    ];
    let all = ["socket_dir", "unix_socket_directories", "logdir", "work_dir"];
    for (release, socket, work) in table {
        let conf = World::plain().release(release).pgpool_conf();
        for name in all {
            let expected = (name == socket || name == work).then(|| "'/run/pgpool'".to_owned());
            assert_eq!(setting(&conf, name), expected, "{name} in {release}");
        }
    }
}

/// `ssl`, `ssl_cert`, `ssl_ca_cert`.
fn tls_settings(world: &World) -> [Option<String>; 3] {
    let conf = world.pgpool_conf();
    ["ssl", "ssl_cert", "ssl_ca_cert"].map(|name| setting(&conf, name))
}

#[test]
fn cas_are_used_where_somebody_is_verified() {
    let on = || Some("on".to_owned());
    let cert = || Some("'/opt/pgpool-II/tls/tls.crt'".to_owned());
    let ca = || Some("'/opt/pgpool-II/tls/ca.pem'".to_owned());
    assert_eq!(tls_settings(&World::tls()), [on(), cert(), None]);
    assert_eq!(
        tls_settings(&World::tls().spec("clientAuthMode: cert")),
        [on(), cert(), ca()]
    );
    assert_eq!(
        tls_settings(&World::tls().backend_ca(POSTGRES_CA)),
        [on(), cert(), ca()]
    );
    let verified = World::tls().binding("clientConfig: {service: {query: sslmode=verify-full}}");
    assert_eq!(tls_settings(&verified), [on(), cert(), ca()]);
    let required = World::tls().binding("clientConfig: {service: {query: sslmode=require}}");
    assert_eq!(tls_settings(&required), [on(), cert(), None]);
}

#[test]
fn a_pool_without_certificates_still_reaches_a_postgres_with_tls() {
    let off = [Some("off".to_owned()), None, None];
    assert_eq!(tls_settings(&World::plain()), off);
    let world = World::plain().binding("clientConfig: {service: {query: sslmode=require}}");
    assert_eq!(tls_settings(&world), [Some("on".to_owned()), None, None]);
    let world = World::plain().backend_ca(POSTGRES_CA);
    let ca = Some("'/opt/pgpool-II/etc/backend-ca.pem'".to_owned());
    assert_eq!(tls_settings(&world), [Some("on".to_owned()), None, ca]);
    let delivered = file(
        &support::foundation(&world.valid()).config_secret.unwrap(),
        "backend-ca.pem",
    );
    assert_eq!(delivered, POSTGRES_CA);
    // The file must also be mounted, or pgpool would silently go on in clear.
    let workload = serde_json::to_string(&support::stateful_set(&world.valid(), None)).unwrap();
    assert!(workload.contains(r#""path":"backend-ca.pem""#));
}

#[test]
fn every_certificate_of_an_authority_stands_once_in_a_stable_order() {
    let both = format!("{POSTGRES_CA}{ISSUER_CA}");
    let copy = |bundle: &str, issuers: &str| {
        let world = World::tls().backend_ca(bundle);
        let material = TlsMaterial {
            client_ca: issuers.as_bytes(),
            ..material()
        };
        support::tls_copy(&world.valid(), &material)
    };
    let first = copy(POSTGRES_CA, ISSUER_CA);
    let ca = file(&first, "ca.pem");
    assert_eq!(ca.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(ca.contains(POSTGRES_CA) && ca.contains(ISSUER_CA));
    assert_eq!(first, copy(&both, &format!("{ISSUER_CA}\n{ISSUER_CA}")));
}

/// Issuers of its own for both certificates that are shown to the pool.
const CLIENTS: &str = "tls: {certificates: [{alias: client, issuerRef: {kind: Issuer, name: clients}}, \
                       {alias: metrics-exporter, issuerRef: {kind: Issuer, name: clients}}]}";

#[test]
fn the_ca_of_the_server_lets_no_client_in() {
    let material = TlsMaterial {
        client_ca: POSTGRES_CA.as_bytes(),
        exporter_ca: POSTGRES_CA.as_bytes(),
        ..material()
    };
    for auth in ["md5", "scram", "cert"] {
        let world = World::tls()
            .spec(CLIENTS)
            .spec(&format!("clientAuthMode: {auth}"));
        let copy = support::tls_copy(&world.valid(), &material);
        assert_eq!(file(&copy, "ca.pem"), POSTGRES_CA, "{auth}");
        assert_eq!(file(&copy, "server-ca.pem"), ISSUER_CA, "{auth}");
        let issuers = [ISSUER_CA, POSTGRES_CA].map(|pem| ca_overlap::read(pem.as_bytes()).next().unwrap());
        let [server, client] = issuers.map(|der| tls_bundle::Fingerprint::of_der(&der).to_string());
        let trusted = &copy.metadata.annotations.unwrap()[names::ANNOTATION_TRUSTED_CAS];
        assert!(
            trusted.contains(&client) && !trusted.contains(&server),
            "{trusted}"
        );
    }
    // One issuer for all: its CA signs clients, whichever certificate comes first.
    let world = World::tls().spec("clientAuthMode: cert");
    let copy = support::tls_copy(&world.valid(), &material);
    let ca = file(&copy, "ca.pem");
    assert!(ca.contains(ISSUER_CA) && ca.contains(POSTGRES_CA));
    assert_eq!(file(&copy, "server-ca.pem"), ISSUER_CA);
}

#[test]
fn the_ca_of_the_server_verifies_postgresql_only_where_it_lets_nobody_in() {
    let verify = "clientConfig: {service: {query: sslmode=verify-full}}";
    let world = World::tls().spec(CLIENTS).binding(verify);
    let ca = file(&support::tls_copy(&world.valid(), &material()), "ca.pem");
    assert!(ca.contains(ISSUER_CA));
    let (reason, message) = World::tls()
        .spec(CLIENTS)
        .binding(verify)
        .spec("clientAuthMode: cert")
        .rejected();
    assert_eq!(reason, Reason::AppBindingInvalid);
    assert!(
        message.contains("could log in: set its `spec.clientConfig.caBundle`"),
        "{message}"
    );
    // Named, it is trusted knowingly.
    let named = World::tls()
        .spec(CLIENTS)
        .binding(verify)
        .spec("clientAuthMode: cert")
        .backend_ca(ISSUER_CA);
    assert!(named.validate().is_ok());
    assert!(
        World::tls()
            .binding(verify)
            .spec("clientAuthMode: cert")
            .validate()
            .is_ok()
    );
}

#[test]
fn everybody_reads_the_ca_that_is_in_the_copy() {
    let world = World::tls()
        .spec(CLIENTS)
        .spec("{clientAuthMode: cert, sslMode: verify-full, init: {script: {configMap: {name: scripts}}}}");
    let world = super::exporter::monitored(world, "{agent: prometheus.io/builtin}");
    let copy = support::tls_copy(&world.valid(), &material());
    let keys: Vec<_> = copy.data.unwrap().into_keys().collect();
    let name = copy.metadata.name;
    let pods = [
        support::stateful_set(&world.valid(), name.as_deref())
            .spec
            .unwrap()
            .template
            .spec
            .unwrap(),
        support::init_job(&world.valid(), name.as_deref())
            .spec
            .unwrap()
            .template
            .spec
            .unwrap(),
    ];
    let mut items = 0;
    for pod in pods {
        for volume in pod.volumes.iter().flatten() {
            let secret = volume.secret.as_ref().filter(|it| it.secret_name == name);
            for item in secret.iter().flat_map(|secret| secret.items.iter().flatten()) {
                assert!(keys.contains(&item.key), "{} of {}", item.key, volume.name);
                items += 1;
            }
        }
        let paths = pod
            .containers
            .iter()
            .flat_map(|it| it.volume_mounts.iter().flatten());
        for path in paths.filter_map(|it| it.sub_path.as_ref()) {
            assert_eq!(path, "server-ca.pem");
        }
    }
    assert!(items > 0);
}

#[test]
fn a_copy_is_named_by_its_content() {
    let validated = World::tls().valid();
    let name = |material: &TlsMaterial<'_>| support::tls_copy(&validated, material).metadata.name;
    let base = name(&material());
    assert_eq!(base, name(&material()));
    assert_ne!(
        base,
        name(&TlsMaterial {
            certificate: b"another leaf\n",
            ..material()
        })
    );
    assert_ne!(
        base,
        name(&TlsMaterial {
            key: b"another key\n",
            ..material()
        })
    );
    assert_ne!(
        base,
        name(&TlsMaterial {
            client_ca: POSTGRES_CA.as_bytes(),
            ..material()
        })
    );
    assert_ne!(
        base,
        name(&TlsMaterial {
            exporter_ca: POSTGRES_CA.as_bytes(),
            ..material()
        })
    );
    // What moves from one file to the next is a change, too.
    let shifted = TlsMaterial {
        certificate: b"the leaf\nits",
        key: b" key\n",
        ..material()
    };
    assert_ne!(base, name(&shifted));
}

#[test]
fn users_come_from_the_binding_and_the_environment() {
    let world = World::plain().spec(
        r"
podTemplate:
  spec:
    containers:
      - name: pgpool
        env:
          - {name: A_B_C_USERNAME, value: zoe}
          - {name: A_B_C_PASSWORD, value: 'a:b\c'}
          - {name: LONE_USERNAME, value: nobody}
          - {name: _USERNAME, value: nobody}
          - {name: _PASSWORD, value: nothing}
          - {name: OTHER, valueFrom: {secretKeyRef: {name: s, key: k}}}
",
    );
    assert_eq!(world.pool_passwd(), "postgres:TEXThunter2\nzoe:TEXTa\\:b\\\\c\n");
    let env = support::stateful_set(&world.valid(), None)
        .spec
        .unwrap()
        .template
        .spec
        .unwrap()
        .containers[0]
        .env
        .clone();
    let names: Vec<_> = env.unwrap().into_iter().map(|variable| variable.name).collect();
    assert_eq!(names, ["LONE_USERNAME", "_USERNAME", "_PASSWORD", "OTHER"]);
}

#[test]
fn the_control_port_keeps_the_password_in_use() {
    let mut live = secret([("username", "pcp"), ("password", "kept")]);
    live.metadata.labels = Some(World::plain().valid().selector);
    live.type_ = Some("kubernetes.io/basic-auth".to_owned());
    let world = World::plain().inputs(|inputs| {
        inputs.auth_secret = crate::pgpool::observe::Lookup::Present(live.into());
        inputs.passwords = crate::passwords::PasswordSource::of(|| unreachable!("a password is in use"));
    });
    let foundation = support::foundation(&world.valid());
    assert_eq!(file(&foundation.auth_secret.unwrap(), "password"), "kept");
    // md5 of "kept", as `pg_md5 kept` prints it.
    assert_eq!(
        file(&foundation.pcp_secret, "pcp.conf"),
        "pcp:4d8b6084f3d167b76cac66a22a91be02\n"
    );
}

fn hash(world: &World) -> String {
    let template = support::stateful_set(&world.valid(), None).spec.unwrap().template;
    template.metadata.unwrap().annotations.unwrap()["pgpool.kubedb.com/config-hash"].clone()
}

#[test]
fn pods_are_replaced_only_for_what_needs_a_restart() {
    let base = hash(&World::plain());
    // Another one here means that an upgrade of the operator replaces every pod of every pool.
    assert_eq!(base, "26093d18d1c0b5ca");
    let mut other_user = World::plain();
    let login = secret([("username", "postgres"), ("password", "another")]);
    other_user.inputs.backend_secret = Some(crate::pgpool::observe::Lookup::Present(login.into()));
    assert_eq!(base, hash(&other_user));
    let table = [
        ("max_pool = 3", true),
        ("reserved_connections = 1", true),
        ("load_balance_mode = off", true),
        ("log_min_messages = info", false),
        ("log_connections = on\nclient_idle_limit = 30", false),
        ("backend_weight0 = 0", false),
        ("sr_check_period = 10\nsr_check_user = 'postgres'", false),
    ];
    for (conf, replaced) in table {
        let yaml = conf.replace('\n', "\\n");
        let world = World::plain().spec(&format!("configuration: {{inline: {{pgpool.conf: \"{yaml}\"}}}}"));
        assert_eq!(base != hash(&world), replaced, "{conf}");
    }
    // Rules are read again.
    assert_eq!(base, hash(&World::plain().spec("clientAuthMode: scram")));
    let list =
        |backends: &str| hash(&World::plain().spec(&format!("configuration: {{backends: [{backends}]}}")));
    let one = list("{hostName: a, weight: 1}");
    assert_eq!(one, list("{hostName: a, weight: 2}"));
    assert_ne!(one, list("{hostName: b, weight: 1}"));
    assert_ne!(one, list("{hostName: a, port: 6000, weight: 1}"));
    assert_ne!(one, list("{hostName: a, weight: 1}, {hostName: b, weight: 1}"));
    let mut authority = World::plain().binding("clientConfig: {service: {query: sslmode=require}}");
    let without = hash(&authority);
    authority.binding.spec.client_config.ca_bundle = Some(ByteString(POSTGRES_CA.as_bytes().to_vec()));
    assert_ne!(without, hash(&authority));
}

#[test]
fn a_persistent_secret_is_owned_only_when_all_is_wiped_out() {
    for (policy, owned) in [
        ("Delete", false),
        ("Halt", false),
        ("DoNotTerminate", false),
        ("WipeOut", true),
    ] {
        let world = World::plain().spec(&format!("deletionPolicy: {policy}"));
        let foundation = support::foundation(&world.valid());
        assert_eq!(
            foundation
                .auth_secret
                .unwrap()
                .metadata
                .owner_references
                .is_some(),
            owned,
            "{policy}"
        );
        assert_eq!(
            foundation
                .config_secret
                .unwrap()
                .metadata
                .owner_references
                .is_some(),
            owned,
            "{policy}"
        );
        assert_eq!(
            foundation.pcp_secret.metadata.owner_references.is_some(),
            owned,
            "{policy}"
        );
        assert!(
            foundation.users_secret.metadata.owner_references.is_some(),
            "{policy}"
        );
    }
}

/// A pod mounts by name what the Secret of the settings holds, and stays for a while when the mode changes.
#[test]
fn no_change_of_the_mode_takes_a_file_from_under_a_pod_that_runs() {
    let modes = [
        "{sslMode: disable, clientAuthMode: md5, tls: null}",
        "{sslMode: disable, clientAuthMode: scram}",
        "{sslMode: prefer, clientAuthMode: md5}",
        "{sslMode: allow, clientAuthMode: cert}",
        "{sslMode: require, clientAuthMode: scram}",
        "{sslMode: verify-full, clientAuthMode: cert}",
    ];
    let backends: [fn(World) -> World; 2] = [|world| world, |world| world.backend_ca(POSTGRES_CA)];
    for backend in backends {
        for (before, after) in modes
            .iter()
            .flat_map(|before| modes.map(|after| (*before, after)))
        {
            let [before_world, after_world] = [before, after].map(|mode| backend(World::tls().spec(mode)));
            let running = support::stateful_set(&before_world.valid(), Some("pool-tls-0123456789"));
            let config = support::foundation(&after_world.valid()).config_secret.unwrap();
            let volumes = running.spec.unwrap().template.spec.unwrap().volumes.unwrap();
            let sources = volumes
                .into_iter()
                .filter_map(|volume| volume.projected?.sources)
                .flatten();
            let ours = sources
                .filter_map(|source| source.secret)
                .find(|secret| Some(&secret.name) == config.metadata.name.as_ref());
            let there = config.data.unwrap();
            for item in ours.unwrap().items.unwrap() {
                assert!(
                    there.contains_key(&item.key),
                    "{before} -> {after}: {} is gone",
                    item.key
                );
            }
        }
    }
}
