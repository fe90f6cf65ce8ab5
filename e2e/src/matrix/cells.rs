//! The cells of the matrix: the ways in which a client connects to one pool. Pure.
//!
//! Left out is what cannot differ from a cell that is there. libpq shows a certificate only over TLS, so there are no
//! certificates with `sslmode=disable`, nor against a pool that serves no TLS. A server that is not the expected
//! one is refused by the client before it shows anything of its own: one set of credentials will do.

use std::fmt;

use super::pools::Combination;

/// What the client requires of the connection: its `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    /// No TLS.
    Disable,
    /// TLS if it can be had.
    Prefer,
    /// TLS, with any server.
    Require,
    /// TLS, with a certificate of the CA.
    VerifyCa,
    /// The same, with the name of the Service.
    VerifyFull,
}

impl Client {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Expects {
    /// Its CA, under the name of its Service.
    This,
    /// One of another CA.
    OtherCa,
    /// One of another name.
    OtherName,
    /// This one, proven by channel binding.
    ChannelBinding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Password {
    /// That of the role.
    Right,
    /// Another.
    Wrong,
    /// None.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Certificate {
    /// None.
    None,
    /// That of the pool: issued to the role, by the CA of the pool.
    Right,
    /// By the same CA, to another user.
    WrongName,
    /// To the role, by a CA that is used nowhere else.
    Foreign,
    /// By the CA of the pool, to the role in capitals.
    OtherCase,
    /// To the role, by the CA of PostgreSQL.
    OfBackend,
    /// By the CA of the pool, to the role, for servers only.
    ServerOnly,
}

impl Certificate {
    /// Its name in the client's folder; that of the pool has the name of the pool.
    pub(crate) fn file(self) -> Option<&'static str> {
        match self {
            Self::None | Self::Right => None,
            Self::WrongName => Some("wrong-name"),
            Self::Foreign => Some("foreign"),
            Self::OtherCase => Some("other-case"),
            Self::OfBackend => Some("of-backend"),
            Self::ServerOnly => Some("server-only"),
        }
    }

    /// What is odd about it, where that is a row of its own.
    fn oddity(self) -> Option<&'static str> {
        match self {
            Self::None | Self::Right | Self::WrongName | Self::Foreign => None,
            Self::OtherCase => Some("CN in capitals"),
            Self::OfBackend => Some("cert of PostgreSQL's CA"),
            Self::ServerOnly => Some("cert for servers"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum From {
    /// In another pod, through the Service.
    Service,
    /// In the pool's own pod, on 127.0.0.1: as sidecars and port-forwards arrive.
    Loopback,
    /// In the pool's own pod, on the Unix socket.
    Socket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) from: From,
    pub(crate) client: Client,
    pub(crate) expects: Expects,
    pub(crate) password: Password,
    pub(crate) certificate: Certificate,
}

impl Cell {
    /// A client in another pod that expects this server.
    pub(crate) fn new(client: Client, password: Password, certificate: Certificate) -> Self {
        Self {
            from: From::Service,
            client,
            expects: Expects::This,
            password,
            certificate,
        }
    }

    fn expecting(self, expects: Expects) -> Self {
        Self { expects, ..self }
    }

    fn at(self, from: From) -> Self {
        Self { from, ..self }
    }

    pub(crate) fn row(self) -> String {
        let mode = self.client.as_str();
        if let Some(oddity) = self.certificate.oddity() {
            return format!("{mode}, {oddity}");
        }
        match (self.from, self.expects) {
            (From::Service, Expects::This) => mode.to_owned(),
            (From::Service, Expects::OtherCa) => format!("{mode}, another CA"),
            (From::Service, Expects::OtherName) => format!("{mode}, another name"),
            (From::Service, Expects::ChannelBinding) => format!("{mode}, channel binding"),
            (From::Loopback, _) => format!("{mode}, on 127.0.0.1"),
            (From::Socket, _) => "on the Unix socket".to_owned(),
        }
    }

    pub(crate) fn column(self) -> Column {
        let certificate = match self.certificate.oddity() {
            Some(_) => Certificate::Right,
            None => self.certificate,
        };
        Column(self.password, certificate)
    }

    pub(crate) fn of(pool: &Combination) -> Vec<Self> {
        let tls = pool.mode.effective().enabled();
        let mut cells = credentials(Client::Disable, false);
        for client in [
            Client::Prefer,
            Client::Require,
            Client::VerifyCa,
            Client::VerifyFull,
        ] {
            cells.extend(credentials(client, tls));
        }
        cells.extend(special(tls));
        cells.extend(inside());
        cells
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) name: String,
    pub(crate) pool: Combination,
    pub(crate) replicas: usize,
    pub(crate) cells: Vec<Cell>,
}

impl Question {
    pub(crate) fn all(name: String, pool: Combination, replicas: usize) -> Self {
        let cells = Cell::of(&pool);
        Self {
            name,
            pool,
            replicas,
            cells,
        }
    }

    /// A host name with all of its pods behind.
    pub(crate) fn host(&self, namespace: &str) -> String {
        format!("{}.{namespace}.svc", self.name)
    }
}

/// What a client has to show, as a heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Column(Password, Certificate);

impl fmt::Display for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = match self.0 {
            Password::Right => "pw",
            Password::Wrong => "bad pw",
            Password::None => "no pw",
        };
        let certificate = match self.1 {
            Certificate::None => "",
            Certificate::WrongName => " + wrong CN",
            Certificate::Foreign => " + foreign CA",
            _ => " + cert",
        };
        write!(formatter, "{password}{certificate}")
    }
}

fn credentials(client: Client, certificates: bool) -> Vec<Cell> {
    const KINDS: [Certificate; 4] = [
        Certificate::None,
        Certificate::Right,
        Certificate::WrongName,
        Certificate::Foreign,
    ];
    let kinds = if certificates { &KINDS[..] } else { &KINDS[..1] };
    let each = [Password::Right, Password::Wrong]
        .into_iter()
        .flat_map(|password| {
            kinds
                .iter()
                .map(move |certificate| Cell::new(client, password, *certificate))
        });
    each.collect()
}

fn special(tls: bool) -> Vec<Cell> {
    if !tls {
        return Vec::new();
    }
    let own = |client| Cell::new(client, Password::Right, Certificate::Right);
    let odd = |certificate| Cell::new(Client::VerifyFull, Password::Right, certificate);
    vec![
        odd(Certificate::OtherCase),
        odd(Certificate::OfBackend),
        odd(Certificate::ServerOnly),
        own(Client::VerifyCa).expecting(Expects::OtherCa),
        own(Client::VerifyCa).expecting(Expects::OtherName),
        own(Client::VerifyFull).expecting(Expects::OtherName),
        own(Client::Require).expecting(Expects::ChannelBinding),
    ]
}

/// Clients in the pool's own pod: being there proves nothing.
fn inside() -> Vec<Cell> {
    let passwords = [Password::Right, Password::Wrong, Password::None];
    let mut cells = Vec::new();
    for (client, from) in [
        (Client::Disable, From::Loopback),
        (Client::Require, From::Loopback),
        (Client::Disable, From::Socket),
    ] {
        cells.extend(passwords.map(|password| Cell::new(client, password, Certificate::None).at(from)));
    }
    cells
}
