//! The operators' service accounts may do what they do, and no more: `fixtures/rights.yaml`.

use anyhow::Context as _;
use serde::Deserialize;

use crate::case::{Case, Context};
use crate::namespace::rbac::{check, service_account};

const RIGHTS: &str = include_str!("../../../fixtures/rights.yaml");

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Rights {
    neither: Vec<String>,
    provisioner: Own,
    ops_manager: Own,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    allowed: Vec<String>,
    denied: Vec<String>,
}

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::cluster(
        "rights::the_operators_have_no_more_than_they_use",
        rights,
    )]
}

fn read() -> anyhow::Result<Rights> {
    serde_yaml::from_str(RIGHTS).context("reading fixtures/rights.yaml")
}

async fn rights(context: Context) -> anyhow::Result<()> {
    let rights = read()?;
    for (operator, own) in [
        ("provisioner", &rights.provisioner),
        ("ops-manager", &rights.ops_manager),
    ] {
        let denied = [own.denied.as_slice(), &rights.neither].concat();
        check(&context.client, &service_account(operator), &own.allowed, &denied).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_rights_can_be_read() {
        super::read().unwrap();
    }
}
