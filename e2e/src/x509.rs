//! Is `tls-bundle` right? OpenSSL, used as pgpool and psql use it, says what is true about a bundle.
//!
//! | Module | Concern |
//! |---|---|
//! | [`case`] | a bundle and the question about it |
//! | [`oracle`], [`host_name`] | what pgpool and psql make of it |
//! | [`mod@compare`], [`documented`] | what `tls-bundle` makes of it, and whether a difference is intended |
//! | [`suite`] | cases of public suites, read from files |
//! | [`generate`], [`plan`], [`twists`] | bundles of our own: what may be unusual or wrong about one |
//! | [`certificate`], [`keys`], [`der`], [`reshape`] | certificates of any form, and DER, right or wrong |
//! | [`mod@examples`], [`real`] | a few of them, with a real pgpool and a real psql |
//! | [`summary`] | all differences by class, as text and JSON |

mod case;
mod certificate;
mod compare;
mod der;
mod documented;
mod examples;
mod generate;
mod host_name;
mod keys;
mod oracle;
mod plan;
mod real;
mod reshape;
mod suite;
mod summary;
mod twists;

pub(crate) use case::Case;
pub(crate) use compare::compare;
pub(crate) use examples::{Example, examples};
pub(crate) use generate::Generator;
pub(crate) use oracle::Oracle;
pub(crate) use real::Programs;
pub(crate) use suite::read as read_suite;
pub(crate) use summary::Summary;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Changes nothing but which bundles are tested.
    const SEED: u64 = 1;
    const CASES: u64 = 1600;

    #[test]
    fn tls_bundle_says_what_openssl_says() {
        let (generator, oracle) = (Generator::new(SEED), Oracle::new().unwrap());
        let mut summary = Summary::default();
        for number in 0..CASES {
            let case = generator.case(number).unwrap();
            let comparison = compare(&oracle, &case).unwrap();
            summary.add(&case, comparison);
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/e2e/x509");
        let mut new = Vec::new();
        for (case, about) in summary.examples() {
            case.keep(&folder, &about).unwrap();
            new.push(about);
        }
        println!("{summary}");
        assert!(
            new.is_empty(),
            "seed {SEED}; the smallest bundles are in {}:\n{}",
            folder.display(),
            new.join("\n")
        );
    }
}
