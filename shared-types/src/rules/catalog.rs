//! The rules of the catalogue and of `AppBindings`. The latter kind is not ours alone: only what no application could
//! use is refused.

use super::Rules;

pub(super) fn pgpool_version() -> Rules {
    let mut rules = Rules::default();
    rules.bound("spec.version", "maxLength", 64);
    rules.rule(
        "spec.version",
        r"self.matches(r'^v?[0-9]+\.[0-9]+(\.[0-9]+)?([-+][-+.0-9A-Za-z]*)?$')",
        "spec.version is no version of Pgpool-II: write it as 4.6.1",
    );
    for field in ["pgpool", "exporter", "gitSyncer"] {
        let at = format!("spec.{field}.image");
        rules.bound(&at, "maxLength", 1024);
        rules.rule(
            &at,
            r"self.matches(r'^\S+$')",
            format!(
                "{at} is no image: name one, such as registry.example.com/{}:1.0",
                field.to_lowercase()
            ),
        );
    }
    rules.rule(
        "spec.securityContext.runAsUser",
        "self > 0",
        "spec.securityContext.runAsUser is root or nobody at all: name the user of the images, such as 70",
    );
    rules
}

pub(super) fn app_binding() -> Rules {
    let mut rules = Rules::default();
    rules.rule(
        "spec.clientConfig",
        "!has(self.url) || !has(self.service)",
        "spec.clientConfig has two addresses: keep either url or service",
    );
    rules.port("spec.clientConfig.service.port");
    rules.bound("spec.secretTransforms", "maxItems", 64);
    rules.rule(
        "spec.secretTransforms[]",
        "[has(self.renameKey), has(self.addKey), has(self.addKeysFrom), has(self.removeKey)].exists_one(given, given)",
        "spec.secretTransforms[] makes one change each: set one of renameKey, addKey, addKeysFrom and removeKey",
    );
    rules
}
