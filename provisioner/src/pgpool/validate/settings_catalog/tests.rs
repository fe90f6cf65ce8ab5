use super::*;

#[test]
fn names_are_known_by_version() {
    let table = [
        ("max_pool", (4, 2), Known::Yes),
        ("backend_weight7", (4, 6), Known::Yes),
        ("health_check_period", (4, 6), Known::Yes),
        ("health_check_period1", (4, 6), Known::Yes),
        ("recovery_1st_stage_command", (4, 6), Known::Yes),
        ("max_pool1", (4, 6), Known::No(Some("max_pool"))),
        ("process_management_mode", (4, 3), Known::Since((4, 4))),
        ("process_management_mode", (4, 4), Known::Yes),
        (
            "white_function_list",
            (4, 6),
            Known::As("read_only_function_list"),
        ),
        ("socket_dir", (4, 3), Known::Yes),
        ("socket_dir", (4, 4), Known::As("unix_socket_directories")),
        ("unix_socket_directories", (4, 3), Known::As("socket_dir")),
        ("delegate_IP", (4, 3), Known::Yes),
        ("delegate_ip", (4, 3), Known::As("delegate_IP")),
        ("delegate_IP", (4, 4), Known::As("delegate_ip")),
        ("delegate_ip", (4, 4), Known::Yes),
        ("log_pcp_processes", (4, 4), Known::Since((4, 5))),
        ("notice_per_node_statement", (4, 5), Known::Yes),
        ("user_redirect_preference_list", (4, 4), Known::Since((4, 5))),
        ("user_redirect_preference_list", (4, 5), Known::Yes),
        ("logdir", (4, 6), Known::Yes),
        ("work_dir", (4, 6), Known::As("logdir")),
        ("work_dir", (4, 7), Known::Yes),
        ("print_timestamp", (4, 6), Known::Until((3, 3))),
        ("num_init_childern", (4, 6), Known::No(Some("num_init_children"))),
        ("Max_Pool", (4, 6), Known::No(Some("max_pool"))),
        ("max-pool", (4, 6), Known::No(Some("max_pool"))),
        ("min_spare_childs", (4, 3), Known::No(None)),
        ("max_connections", (4, 6), Known::No(None)),
        ("a", (4, 6), Known::No(None)),
        ("", (4, 6), Known::No(None)),
        // It may be new there.
        ("wholly_new_thing", (4, 8), Known::Yes),
        ("num_init_childern", (4, 8), Known::No(Some("num_init_children"))),
    ];
    for (name, version, expected) in table {
        assert_eq!(known(name, version), expected, "{name} {version:?}");
    }
}

#[test]
fn what_takes_effect_by_a_restart_alone() {
    let table = [
        ("num_init_children", true),
        ("load_balance_mode", true),
        ("ssl_ca_cert", true),
        ("unix_socket_directories", true),
        ("backend_hostname0", true),
        ("backend_port1", true),
        ("backend_flag0", true),
        ("wholly_new_thing", true),
        ("backend_weight0", false),
        ("log_min_messages", false),
        ("client_idle_limit", false),
        ("health_check_period", false),
        ("health_check_password0", false),
        ("min_spare_children", false),
        ("log_pcp_processes", false),
        ("enable_pool_hba", false),
    ];
    for (name, expected) in table {
        assert_eq!(needs_restart(name), expected, "{name}");
    }
}

#[test]
fn what_must_not_be_shown() {
    for name in [
        "sr_check_password",
        "health_check_password",
        "health_check_password12",
        "wd_authkey",
    ] {
        assert!(is_secret(name), "{name}");
    }
    for name in ["pool_passwd", "sr_check_user", "health_check_database0"] {
        assert!(!is_secret(name), "{name}");
    }
}

#[test]
fn the_lists_fit_together() {
    let mut names: Vec<_> = all().collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "a name is listed twice");
    for (name, _) in SINCE {
        assert!(names.contains(name), "{name} has a version but no entry");
    }
    for (_, new, _) in OLD_NAMES {
        assert!(names.contains(new), "{new} is a new name but no entry");
    }
    for (name, _) in UNTIL {
        assert!(!names.contains(name), "{name} is gone and listed");
    }
}
