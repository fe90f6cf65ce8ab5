//! Settings that users may not set, since they would undo TLS, authentication or the paths that the pod relies on.

/// Why the user may not set it, as a predicate of the setting; `None` if the user may.
pub(super) fn refusal(name: &str, own_backends: bool) -> Option<&'static str> {
    // Not every version of pgpool compares names with regard to case.
    let name = name.to_ascii_lowercase();
    if name == "ssl" || name.starts_with("ssl_") {
        return Some("controls TLS and follows from `spec.sslMode` and `spec.tls`");
    }
    if name.starts_with("include") {
        return Some("would read settings that are not checked");
    }
    if name.starts_with("pcp_") {
        return Some("would open the control port, which has no TLS");
    }
    match name.as_str() {
        "enable_pool_hba" | "pool_passwd" | "allow_clear_text_frontend_auth" => {
            Some("controls authentication and follows from `spec.clientAuthMode`")
        }
        "listen_addresses" | "port" => Some("is where the Services and the probes expect the pool"),
        "unix_socket_directories" | "socket_dir" | "pid_file_name" | "logdir" | "work_dir" => {
            Some("is a path that the pod provides")
        }
        _ => backend_refusal(&name, own_backends),
    }
}

/// Whether pgpool runs what the setting says, or a program in a directory that it names.
pub(super) fn runs_command(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ends = ["_command", "_cmd", "_cmd_path"];
    ends.iter().any(|end| name.ends_with(end)) || ["arping_path", "ping_path"].contains(&name.as_str())
}

fn backend_refusal(name: &str, own_backends: bool) -> Option<&'static str> {
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if base.len() == name.len() {
        return None;
    }
    match base {
        "backend_hostname" | "backend_port" | "backend_data_directory" => {
            Some("names a server and belongs in `spec.configuration.backends`")
        }
        "backend_weight" | "backend_flag" if own_backends => Some("is set in `spec.configuration.backends`"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::runs_command;

    #[test]
    fn commands_are_known_in_every_spelling() {
        for name in [
            "failover_command",
            "FAILOVER_COMMAND",
            "failback_command",
            "follow_primary_command",
            "follow_master_command",
            "recovery_1st_stage_command",
            "trusted_server_command",
            "wd_escalation_command",
            "wd_de_escalation_command",
            "if_up_cmd",
            "if_down_cmd",
            "arping_cmd",
            "if_cmd_path",
            "arping_path",
            "ping_path",
        ] {
            assert!(runs_command(name), "{name}");
        }
        for name in ["num_init_children", "log_line_prefix", "log_directory"] {
            assert!(!runs_command(name), "{name}");
        }
    }
}
