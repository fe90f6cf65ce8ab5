//! The `probe` subcommand: queries the admin endpoint of the operator in the same container.
//!
//! The endpoint listens on loopback only, where the kubelet cannot reach it, so the kubelet runs this as an exec
//! probe. It needs neither an async runtime nor an HTTP library.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::args::AdminArgs;

/// Flags of the `probe` subcommand.
#[derive(Args, Clone, Debug)]
pub struct ProbeArgs {
    /// What to check.
    #[arg(value_enum)]
    pub check: Check,
    /// Where the endpoint listens.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// What a probe can check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Check {
    /// Whether the process is alive.
    Livez,
    /// Whether the process is ready.
    Readyz,
}

impl Check {
    fn path(self) -> &'static str {
        match self {
            Self::Livez => "/livez",
            Self::Readyz => "/readyz",
        }
    }
}

const TIMEOUT: Duration = Duration::from_secs(3);

/// Sends the request, prints the response, and returns success for status 200.
#[must_use]
pub fn probe(args: &ProbeArgs) -> ExitCode {
    match request(reachable(args.admin.admin_address), args.check.path()) {
        Ok((200, body)) => {
            print!("{body}");
            ExitCode::SUCCESS
        }
        Ok((_, body)) => {
            print!("{body}");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!(
                "the admin endpoint at {} does not respond: {error}",
                args.admin.admin_address
            );
            ExitCode::FAILURE
        }
    }
}

/// An endpoint that listens on every address is reached over loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

pub(crate) fn request(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // HTTP/1.0: the response ends with the connection and is never chunked.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut response = String::new();
    stream.take(1 << 20).read_to_string(&mut response)?;
    parse(&response).ok_or_else(|| std::io::Error::other("the response is not HTTP"))
}

fn parse(response: &str) -> Option<(u16, String)> {
    let (head, body) = response.split_once("\r\n\r\n")?;
    let code = head.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()?;
    Some((code, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{parse, reachable};

    #[test]
    fn addresses_of_every_interface_are_reached_over_loopback() {
        for (listens, asked) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("10.0.0.1:1", "10.0.0.1:1"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), asked);
        }
    }

    #[test]
    fn responses() {
        let ok = parse("HTTP/1.1 200 OK\r\na: b\r\n\r\nok\n");
        assert_eq!(ok, Some((200, "ok\n".to_owned())));
        assert_eq!(parse("HTTP/1.0 503 x\r\n\r\n"), Some((503, String::new())));
        for nonsense in [
            "",
            "HTTP/1.1",
            "HTTP/1.1 200 OK\r\n",
            "SSH-2.0 200\r\n\r\n",
            "HTTP/1.1 x\r\n\r\n",
        ] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }
}
