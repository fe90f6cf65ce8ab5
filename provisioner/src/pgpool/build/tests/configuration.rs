//! `spec.configuration`: what a user may set, and what not.

use shared_types::conditions::Reason;

use super::support::{World, present, setting};

fn inline(conf: &str) -> World {
    let indented = conf.replace('\n', "\n        ");
    World::plain().spec(&format!(
        "configuration:\n  inline:\n    pgpool.conf: |\n        {indented}\n"
    ))
}

#[test]
fn in_place_beats_the_secret_beats_the_default() {
    let mut world = inline("max_pool = 3\nlog_line_prefix = 'inline'");
    world = world.spec("configuration: {secretName: mine}");
    world.inputs.configuration_secret = Some(present([(
        "pgpool.conf",
        "max_pool = 2\nnum_init_children = 7\nlog_line_prefix = 'secret'\n",
    )]));
    let conf = world.pgpool_conf();
    assert_eq!(setting(&conf, "max_pool").as_deref(), Some("3"));
    assert_eq!(setting(&conf, "num_init_children").as_deref(), Some("7"));
    assert_eq!(setting(&conf, "log_line_prefix").as_deref(), Some("'inline'"));
    assert_eq!(setting(&conf, "child_life_time").as_deref(), Some("300"));
}

#[test]
fn every_name_stands_once() {
    let world = inline("max_pool = 1\nmax_pool = 2\nsyslog_ident = a\nsyslog_ident = b\nbackend_weight0 = 3");
    let conf = world.pgpool_conf();
    let mut names: Vec<_> = conf
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "{conf}");
    assert_eq!(setting(&conf, "max_pool").as_deref(), Some("2"));
    assert_eq!(setting(&conf, "syslog_ident").as_deref(), Some("b"));
    assert_eq!(setting(&conf, "backend_weight0").as_deref(), Some("3"));
}

#[test]
fn values_keep_their_form() {
    let table = [
        ("syslog_ident = 5", "5"),
        ("syslog_ident 5", "5"),
        ("syslog_ident=-1", "-1"),
        ("syslog_ident = 8MB # comment", "8MB"),
        ("syslog_ident = 0.5", "0.5"),
        ("syslog_ident = on#comment", "on"),
        ("  syslog_ident\t=\t'x y # z'  # comment", "'x y # z'"),
        ("syslog_ident = ''", "''"),
        ("syslog_ident = 'C:\\dir'", "'C:\\dir'"),
        ("syslog_ident = host-1.example:5432/x", "host-1.example:5432/x"),
    ];
    for (line, token) in table {
        assert_eq!(
            setting(&inline(line).pgpool_conf(), "syslog_ident").as_deref(),
            Some(token),
            "{line}"
        );
    }
}

#[test]
fn lines_that_pgpool_cannot_read_are_refused() {
    let table = [
        ("max_pool: 5", "line 1"),
        ("= 5", "name of a setting"),
        ("5 = 5", "name of a setting"),
        ("a.b = 5", "no value"),
        ("max_pool", "no value"),
        ("max_pool =", "no value"),
        ("max_pool = # nothing", "no value"),
        ("a = 'open", "not closed"),
        ("a = 'it''s'", "quote inside"),
        ("a = 'x\\' y'", "quote inside"),
        ("a = /tmp", "single quotes"),
        ("a = 1.2.3", "single quotes"),
        ("a = --1", "single quotes"),
        ("a = x y", "text after"),
        ("a = 'x' 'y'", "text after"),
        // pgpool takes two settings from one line: the second would escape every check.
        ("max_pool = 5 ssl = off", "text after"),
        ("log_line_prefix = '%m' enable_pool_hba = off", "text after"),
        ("# fine\n\nmax_pool = 5 6", "line 3"),
    ];
    for (conf, part) in table {
        let (reason, message) = inline(conf).rejected();
        assert_eq!(reason, Reason::ConfigurationInvalid, "{conf}");
        assert!(
            message.contains(part) && message.contains("spec.configuration.inline"),
            "{conf}: {message}"
        );
    }
}

#[test]
fn settings_that_are_not_the_users_are_refused() {
    let names = [
        "ssl",
        "SSL",
        "ssl_cert",
        "ssl_key",
        "ssl_ca_cert",
        "ssl_ca_cert_dir",
        "ssl_crl_file",
        "ssl_ciphers",
        "ssl_passphrase_command",
        "enable_pool_hba",
        "Enable_Pool_HBA",
        "allow_clear_text_frontend_auth",
        "pool_passwd",
        "listen_addresses",
        "port",
        "socket_dir",
        "unix_socket_directories",
        "pid_file_name",
        "logdir",
        "work_dir",
        "pcp_listen_addresses",
        "pcp_port",
        "pcp_socket_dir",
        "include",
        "include_dir",
        "backend_hostname0",
        "backend_port1",
        "backend_data_directory0",
    ];
    for name in names {
        let (reason, message) = inline(&format!("max_pool = 5\n{name} = 1")).rejected();
        assert_eq!(reason, Reason::ConfigurationInvalid, "{name}");
        assert!(
            message.contains(&format!("`{name}` in line 2")) && message.ends_with('.'),
            "{name}: {message}"
        );
    }
}

#[test]
fn what_pgpool_would_read_past_is_refused() {
    let table = [
        ("num_init_childern = 5", "num_init_children"),
        ("Max_Pool = 5", "`max_pool`"),
        ("max_connections = 5", "ignore"),
        ("white_function_list = 'f'", "`read_only_function_list`: rename"),
        ("log_backend_messages = terse", "4.6"),
        ("print_timestamp = on", "removed after 3.3"),
        ("load_balance_mode = nope", "as `on`: write `on` or `off`"),
        ("log_connections = 'maybe'", "write `on` or `off`"),
        ("use_watchdog = on", "watchdog"),
    ];
    for (line, part) in table {
        let world = inline(&format!("max_pool = 5\n{line}")).release("4.4.12");
        let (reason, message) = world.rejected();
        assert_eq!(reason, Reason::ConfigurationInvalid, "{line}");
        assert!(
            message.contains("in line 2") && message.contains(part),
            "{line}: {message}"
        );
    }
    for line in [
        "load_balance_mode = TRUE",
        "log_connections = '1'",
        "use_watchdog = off",
        "check_temp_table = trace",
        "socket_dir_is_new_in_5 = 1",
    ] {
        inline(line).release("5.0.0").valid();
    }
}

#[test]
fn numbers_must_go_together() {
    let table = [
        ("reserved_connections = 5", Some("`num_init_children`")),
        ("reserved_connections = 4", None),
        ("reserved_connections = 5\nnum_init_children = 6", None),
        (
            "memory_cache_enabled = on\nmemqcache_maxcache = 2MB",
            Some("`memqcache_cache_block_size`"),
        ),
        (
            "memory_cache_enabled = on\nmemqcache_total_size = 512kB",
            Some("`memqcache_total_size`"),
        ),
        ("memqcache_maxcache = 2MB", None),
        ("memory_cache_enabled = on", None),
    ];
    for (conf, complaint) in table {
        match complaint {
            Some(part) => assert!(inline(conf).rejected().1.contains(part), "{conf}"),
            None => drop(inline(conf).valid()),
        }
    }
}

#[test]
fn the_place_of_a_bad_line_is_named() {
    let mut world = World::plain().spec("configuration: {secretName: mine}");
    world.inputs.configuration_secret = Some(present([("pgpool.conf", "ssl = off")]));
    assert!(
        world
            .rejected()
            .1
            .starts_with("Secret `demo/mine` sets `ssl` in line 1")
    );
    world.inputs.configuration_secret = Some(present([("other", "x")]));
    assert!(world.rejected().1.contains("has no key `pgpool.conf`"));
    let world = World::plain().spec("configuration: {inline: {pool_hba.conf: 'host all all all trust'}}");
    assert!(world.rejected().1.contains("`pool_hba.conf`"));
}

/// The backend lines of the file.
fn nodes(world: &World) -> Vec<String> {
    let conf = world.pgpool_conf();
    let all = (0..10).map_while(|id| {
        let value = |name: &str| setting(&conf, &format!("backend_{name}{id}"));
        Some(format!(
            "{} {} {} {}",
            value("hostname")?,
            value("port")?,
            value("weight")?,
            value("flag")?
        ))
    });
    all.collect()
}

#[test]
fn nodes_follow_the_binding() {
    let primary = "'pg.db.svc' 5432 1 'ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER'";
    assert_eq!(
        nodes(&World::plain()),
        [primary, "'pg-standby.db.svc' 5432 1 'DISALLOW_TO_FAILOVER'"]
    );
    let foreign = World::plain().binding("appRef: null");
    assert_eq!(nodes(&foreign), [primary]);
    let elsewhere = foreign.binding("clientConfig: {service: {namespace: far, port: 6432}}");
    assert_eq!(
        nodes(&elsewhere),
        ["'pg.far.svc' 6432 1 'ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER'"]
    );
    let table = [
        (
            "postgresql://db.example.com:6543/app?sslmode=require",
            "'db.example.com' 6543",
        ),
        ("postgres://user:secret@10.0.0.1/app", "'10.0.0.1' 5432"),
        ("db.example.com", "'db.example.com' 5432"),
        ("postgresql://[fd00::1]:5433", "'fd00::1' 5433"),
    ];
    for (url, place) in table {
        let world = World::plain().binding(&format!("clientConfig: {{service: null, url: '{url}'}}"));
        assert_eq!(
            nodes(&world),
            [format!("{place} 1 'ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER'")],
            "{url}"
        );
    }
}

fn listed(backends: &str) -> World {
    World::plain().spec(&format!("configuration: {{backends: [{backends}]}}"))
}

#[test]
fn nodes_follow_the_list() {
    let groups = listed("{groupName: STANDBY, weight: 2}, {groupName: PRIMARY, weight: 0}");
    let standby = "'pg-standby.db.svc' 5432 2 'DISALLOW_TO_FAILOVER'";
    assert_eq!(
        nodes(&groups),
        [
            standby,
            "'pg.db.svc' 5432 0 'ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER'"
        ]
    );
    let hosts =
        listed("{hostName: a, weight: 1}, {hostName: b, port: 6000, weight: 3, flag: ALLOW_TO_FAILOVER}");
    let first = "'a' 5432 1 'ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER'";
    assert_eq!(nodes(&hosts), [first, "'b' 6000 3 'ALLOW_TO_FAILOVER'"]);
    let marked = listed(
        "{hostName: a, weight: 1, flag: DISALLOW_TO_FAILOVER}, {hostName: b, weight: 1, flag: ' ALWAYS_PRIMARY | DISALLOW_TO_FAILOVER'}",
    );
    assert_eq!(
        nodes(&marked)[1],
        "'b' 5432 1 'ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER'"
    );
}

#[test]
fn a_bad_list_is_refused() {
    let table = [
        ("{weight: 1}", "either"),
        ("{groupName: PRIMARY, hostName: a, weight: 1}", "either"),
        (
            "{groupName: PRIMARY, weight: 1}, {hostName: a, weight: 1}",
            "mixes",
        ),
        ("{groupName: PRIMARY, port: 5432, weight: 1}", "port"),
        (
            "{hostName: a, weight: 1}, {hostName: a, port: 5432, weight: 2}",
            "twice",
        ),
        ("{hostName: a, weight: -1}", "weight"),
        ("{hostName: a, port: 65536, weight: 1}", "port"),
        ("{hostName: a, port: 0, weight: 1}", "port"),
        ("{hostName: \"a'\\nssl = off\", weight: 1}", "DNS name"),
        ("{hostName: /var/run, weight: 1}", "DNS name"),
        ("{hostName: a, port: 1023, weight: 1}", "1024"),
        ("{hostName: a, weight: 100000001}", "weight"),
        ("{hostName: a, weight: 1, flag: NONE}", "flag"),
        ("{hostName: a, weight: 1, flag: ALWAYS_MASTER}", "ALWAYS_PRIMARY"),
        (
            "{hostName: a, weight: 1, flag: allow_to_failover}",
            "write `ALLOW_TO_FAILOVER`",
        ),
        (
            "{hostName: a, weight: 1, flag: ALLOW_TO_FAILOVER|DISALLOW_TO_FAILOVER}",
            "keep one",
        ),
        (
            "{hostName: a, weight: 1}, {hostName: b, weight: 1, flag: ALWAYS_PRIMARY}",
            "two entries",
        ),
        ("{groupName: standby, weight: 1}", "write `STANDBY`"),
        ("{groupName: reports, weight: 1}", "hostName"),
        (
            "{hostName: a, weight: 1, flag: DISALLOW_TO_FAILOVER}",
            "no primary",
        ),
    ];
    for (backends, part) in table {
        let (reason, message) = listed(backends).rejected();
        assert_eq!(reason, Reason::ConfigurationInvalid, "{backends}");
        assert!(
            message.contains("spec.configuration.backends") && message.contains(part),
            "{backends}: {message}"
        );
    }
    let foreign = listed("{groupName: STANDBY, weight: 1}").binding("appRef: null");
    assert!(foreign.rejected().1.contains("spec.appRef"));
    let both = listed("{hostName: a, weight: 1}")
        .spec("configuration: {inline: {pgpool.conf: 'backend_weight0 = 2'}}");
    assert!(both.rejected().1.contains("`backend_weight0`"));
    let found = listed("{hostName: a, weight: 1, flag: DISALLOW_TO_FAILOVER}")
        .spec("configuration: {inline: {pgpool.conf: 'sr_check_period = 10'}}");
    assert_eq!(nodes(&found), ["'a' 5432 1 'DISALLOW_TO_FAILOVER'"]);
}
