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
