//! The log: readable text or JSON, filtered by target and level.

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// The format of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line per event.
    #[default]
    Text,
    /// One JSON object per event.
    Json,
}

/// Flags of the log.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// Format of a log line.
    #[arg(long, env = "PGPOOL_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// What to log, as `level` or a comma separated list of `target=level`.
    #[arg(
        long,
        env = "PGPOOL_LOG_FILTER",
        default_value = "info,kube_runtime=error,kube_client=warn"
    )]
    pub log_filter: String,
}

/// Installs the log. A second call in one process changes nothing.
///
/// # Errors
/// When the filter cannot be parsed.
pub fn install(args: &LogArgs) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(&args.log_filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Fails only when a log is installed already, which is fine.
    let _ = match args.log_format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
