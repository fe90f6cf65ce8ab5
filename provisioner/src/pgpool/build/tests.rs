//! What a `Pgpool` becomes: the real `validate` on manifests as users write them, then whole objects and files.

// Helpers of tests fail as tests do.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod arrival;
mod configuration;
mod container;
mod exporter;
mod exporter_script;
mod files;
mod goldens;
mod heal;
mod init;
mod init_runner;
mod inputs;
mod metrics_offer;
mod owned;
mod pods;
mod probes;
mod services;
mod smuggling;
mod start;
mod stop;
mod support;
