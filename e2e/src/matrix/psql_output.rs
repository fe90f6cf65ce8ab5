//! Reads from psql's words what came of a cell. Pure.

use super::oracle::{Refusal, Verdict};

/// Before each of the two attempts that libpq may make.
const ATTEMPT: &str = "connection to server ";

/// Words by which a refusal is known, the particular before the general.
const WORDS: [(&str, Refusal); 13] = [
    ("does not support SSL", Refusal::NoTls),
    ("certificate verify failed", Refusal::UntrustedServer),
    ("does not match host name", Refusal::OtherName),
    ("alert unknown ca", Refusal::UnknownCa),
    ("alert unsupported certificate", Refusal::UnsupportedCertificate),
    ("channel binding", Refusal::NoChannelBinding),
    ("no password supplied", Refusal::NoPassword),
    ("no pool_hba.conf entry", Refusal::NoEntry),
    ("no valid certificate presented", Refusal::NoCertificate),
    ("backend authentication failed", Refusal::UntrustedBackend),
    ("password does not match", Refusal::WrongPassword),
    ("password authentication failed", Refusal::WrongPassword),
    ("ERROR:  authentication failed", Refusal::WrongPassword),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What came of it, if psql's words can be understood.
    pub(crate) verdict: Option<Verdict>,
    /// As whom the client was logged in, and whether the way to PostgreSQL was encrypted.
    pub(crate) inside: Option<(String, bool)>,
    pub(crate) output: String,
}

/// Reads psql's exit status and output. The row of the query is `row USER BOOLEAN`.
pub(crate) fn read(status: i32, output: &str) -> Seen {
    let row = output.lines().find_map(|line| line.strip_prefix("row "));
    let inside = row.and_then(|row| {
        let (user, encrypted) = row.rsplit_once(' ')?;
        Some((user.to_owned(), encrypted.parse().ok()?))
    });
    let verdict = if status == 0 {
        inside.as_ref().map(|_| Verdict::Allowed {
            encrypted: output.lines().any(|line| line.starts_with("SSL connection")),
        })
    } else {
        let attempts = output.split(ATTEMPT).skip(1);
        let refusals: Option<Vec<_>> = attempts.map(refusal).collect();
        refusals
            .filter(|refusals| !refusals.is_empty())
            .map(Verdict::Refused)
    };
    Seen {
        verdict,
        inside,
        output: output.to_owned(),
    }
}

fn refusal(words: &str) -> Option<Refusal> {
    let known = WORDS.iter().find(|(known, _)| words.contains(known));
    known.map(|(_, refusal)| *refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "connection to server at \"pool\" (10.0.0.1), port 9999 failed: ";

    #[test]
    fn each_refusal_is_known_by_its_words() {
        let rows = [
            (
                "server does not support SSL, but SSL was required",
                Refusal::NoTls,
            ),
            ("SSL error: certificate verify failed", Refusal::UntrustedServer),
            (
                "server certificate for \"a\" does not match host name \"b\"",
                Refusal::OtherName,
            ),
            ("SSL error: tlsv1 alert unknown ca", Refusal::UnknownCa),
            (
                "SSL error: sslv3 alert unsupported certificate",
                Refusal::UnsupportedCertificate,
            ),
            (
                "channel binding required but not supported by server's authentication request",
                Refusal::NoChannelBinding,
            ),
            ("fe_sendauth: no password supplied", Refusal::NoPassword),
            (
                "FATAL:  client authentication failed\nDETAIL:  no pool_hba.conf entry for host \"::1\"",
                Refusal::NoEntry,
            ),
            (
                "ERROR:  CERT authentication failed\nDETAIL:  no valid certificate presented",
                Refusal::NoCertificate,
            ),
            (
                "ERROR:  backend authentication failed\nDETAIL:  backend response with kind '' when expecting 'R'",
                Refusal::UntrustedBackend,
            ),
            (
                "ERROR:  md5 authentication failed\nDETAIL:  password does not match",
                Refusal::WrongPassword,
            ),
            (
                "ERROR:  authentication failed\nDETAIL:  username \"a\" or password does not exist in backend",
                Refusal::WrongPassword,
            ),
        ];
        for (words, expected) in rows {
            let output = format!("psql: error: {SERVER}{words}");
            assert_eq!(
                read(2, &output).verdict,
                Some(Verdict::Refused(vec![expected])),
                "{output}"
            );
        }
        assert_eq!(
            read(2, &format!("psql: error: {SERVER}something else")).verdict,
            None
        );
        assert_eq!(read(2, "").verdict, None);
    }

    #[test]
    fn both_attempts_of_prefer_are_read() {
        let output = format!("psql: error: {SERVER}password does not match\n{SERVER}no pool_hba.conf entry");
        assert_eq!(
            read(2, &output).verdict,
            Some(Verdict::Refused(vec![Refusal::WrongPassword, Refusal::NoEntry]))
        );
    }

    #[test]
    fn a_row_tells_who_and_how() {
        let output = "You are connected\nSSL connection (protocol: TLSv1.3)\nrow postgres true";
        let seen = read(0, output);
        assert_eq!(seen.verdict, Some(Verdict::Allowed { encrypted: true }));
        assert_eq!(seen.inside, Some(("postgres".to_owned(), true)));
        let clear = read(0, "row postgres false");
        assert_eq!(clear.verdict, Some(Verdict::Allowed { encrypted: false }));
        assert_eq!(read(0, "").verdict, None);
    }
}
