//! The log: readable text or JSON, filtered by target and level.
//!
//! Only this project's own crates are logged. Libraries print what they work on: the client of the API server, for
//! example, prints a response that it cannot decode, with every Secret in it. So no filter makes them visible.

use clap::{Args, ValueEnum};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The crates whose events are logged. A target is one of these, or a module in it.
const OWN: [&str; 6] = [
    "operator_runtime",
    "ops_manager",
    "proto",
    "provisioner",
    "shared_types",
    "tls_bundle",
];

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
    /// What to log, as `level` or a comma separated list of `target=level`. Libraries are never logged.
    #[arg(long, env = "PGPOOL_LOG_FILTER", default_value = "info")]
    pub log_filter: String,
}

/// Installs the log. A second call in one process changes nothing.
///
/// # Errors
/// When the filter cannot be parsed.
pub fn install(args: &LogArgs) -> Result<(), tracing_subscriber::filter::ParseError> {
    // Fails only when a log is installed already, which is fine.
    let _ = subscriber(args, std::io::stderr)?.try_init();
    Ok(())
}

/// Returns what receives all events and spans of the process, and writes those that pass the filters.
fn subscriber<W>(
    args: &LogArgs,
    writer: W,
) -> Result<impl Subscriber + Send + Sync + use<W>, tracing_subscriber::filter::ParseError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&args.log_filter)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match args.log_format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(tracing_subscriber::registry()
        .with(lines.with_filter(own()))
        .with(filter))
}

/// A filter that passes events and spans of this project's own crates only. Not a directive of the filter that users
/// set: there a more specific directive would win.
fn own() -> FilterFn<impl Fn(&Metadata<'_>) -> bool + Clone> {
    filter_fn(|metadata: &Metadata<'_>| {
        let root = metadata.target().split("::").next().unwrap_or_default();
        OWN.contains(&root)
    })
}

#[cfg(test)]
mod tests;
