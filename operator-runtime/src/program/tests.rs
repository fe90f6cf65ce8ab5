//! The command line that both operators share.

use std::time::Duration;

use clap::{Args, CommandFactory, Parser};

use super::{Cli, Command};
use crate::args::CommonArgs;
use crate::probe::Check;
use crate::scope::Scope;

#[derive(Args, Debug)]
struct Own {
    #[command(flatten)]
    common: CommonArgs,
    /// A flag of the operator.
    #[arg(long, env = "PGPOOL_OWN", default_value = "x")]
    own: String,
}

fn parse(line: &str) -> Result<Cli<Own>, clap::Error> {
    Cli::try_parse_from(std::iter::once("op").chain(line.split_whitespace()))
}

#[test]
fn the_command_line_is_sound() {
    Cli::<Own>::command().debug_assert();
}

#[test]
fn run_is_the_default_and_everything_has_one() {
    let Cli { command, run } = parse("").unwrap();
    assert!(command.is_none());
    assert_eq!(run.own, "x");
    let common = run.common;
    assert_eq!(common.kube.scope(), Scope::All);
    assert_eq!(common.admin.admin_address.to_string(), "127.0.0.1:8081");
    assert_eq!(common.lease.lease_duration, Duration::from_secs(15));
    assert_eq!(common.lease.lease_renew, Duration::from_secs(10));
    let named = parse("run --own y --watch-namespaces b,a,,b").unwrap();
    let Some(Command::Run(run)) = named.command else {
        panic!("{named:?}");
    };
    assert_eq!(run.own, "y");
    assert_eq!(
        run.common.kube.scope(),
        Scope::Namespaces(vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(parse("--own z").unwrap().run.own, "z");
}

#[test]
fn probe_asks_where_it_is_told() {
    let Some(Command::Probe(args)) = parse("probe readyz --admin-address 127.0.0.1:1").unwrap().command
    else {
        panic!("no probe");
    };
    assert_eq!(args.check, Check::Readyz);
    assert_eq!(args.admin.admin_address.port(), 1);
}

#[test]
fn nonsense_is_refused_while_parsing() {
    for line in [
        "--lease-duration 0s",
        "--lease-duration soon",
        "--lease-renew -1s",
        "--admin-address here",
        "--max-concurrent-reconciles 0",
        "--log-format xml",
        "probe sanity",
        "walk",
        "--channel-max-connections 0",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn every_flag_has_help_and_a_name_in_the_environment() {
    let command = Cli::<Own>::command();
    for arg in command
        .get_arguments()
        .filter(|arg| arg.get_long().is_some_and(|long| long != "help"))
    {
        let long = arg.get_long().unwrap();
        assert!(arg.get_help().is_some(), "--{long} has no help");
        let expected = format!("PGPOOL_{}", long.to_uppercase().replace('-', "_"));
        let environment = arg.get_env().and_then(std::ffi::OsStr::to_str);
        assert_eq!(environment, Some(expected.as_str()), "--{long}");
    }
}
