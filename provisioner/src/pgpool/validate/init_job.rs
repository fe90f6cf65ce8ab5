//! `spec.init`: which scripts to run, and what prevents that.
//!
//! Scripts that cannot run do not keep the pool from running: a separate condition reports them.

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements, SecurityContext, Volume};
use operator_runtime::error_chain;
use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;
use shared_types::pgpool::{GitRepo, ScriptSource};
use shared_types::reserved::{CONTAINER_MOUNT_PATHS, MOUNT_PATHS, VOLUME_SCRIPTS, is_at_or_below};
use shared_types::{Alias, ClientAuthMode, Pgpool, limits, names};

use super::Inputs;
use super::resources::{SidecarDefaults, with_defaults};

/// Where scripts are mounted, unless the arguments of git-sync name another folder.
pub(crate) const ROOT: &str = "/init-scripts";
/// Where git-sync reads its credentials.
pub(crate) const GIT_SECRET: &str = "/etc/git-secret";
/// The link to the current state of a repository, when neither its arguments nor the path name one.
const LINK: &str = "current";

/// Of git-sync, where the user sets none.
const GIT_RESOURCES: SidecarDefaults = SidecarDefaults {
    cpu_request: "10m",
    memory_request: "64Mi",
    memory_limit: "256Mi",
};

/// What `spec.init` demands.
#[derive(Clone, Debug)]
pub(crate) enum Initialization {
    /// There are no scripts.
    None,
    /// The user declares that the scripts have run.
    Skipped,
    /// The scripts cannot be run as they are given.
    Refused(Blocked),
    /// The scripts run once.
    Wanted(Box<Init>),
}

impl Initialization {
    /// The scripts to run, if any.
    pub(crate) fn wanted(&self) -> Option<&Init> {
        match self {
            Self::Wanted(init) => Some(init),
            Self::None | Self::Skipped | Self::Refused(_) => None,
        }
    }
}

/// Scripts that run once.
#[derive(Clone, Debug)]
pub(crate) struct Init {
    /// The Job that runs them.
    pub(crate) job: String,
    /// Where the source is mounted.
    pub(crate) root: String,
    /// The script, or the folder of scripts: the root, or below it.
    pub(crate) path: String,
    pub(crate) source: Source,
    /// The Secret of the client certificate, when clients log in with one.
    pub(crate) client_secret: Option<String>,
}

/// Where scripts come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A volume of the user, named as it is mounted.
    Volume(Box<Volume>),
    /// A repository.
    Git(Box<Git>),
}

/// A repository, fetched before the scripts run.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    /// Image of git-sync.
    pub(crate) image: String,
    /// Its arguments, complete.
    pub(crate) args: Vec<String>,
    /// Its environment.
    pub(crate) env: Vec<EnvVar>,
    pub(crate) security_context: SecurityContext,
    pub(crate) resources: ResourceRequirements,
    /// Secret with the credentials.
    pub(crate) auth_secret: Option<String>,
}

/// Reads `spec.init`.
pub(super) fn initialization(pgpool: &Pgpool, inputs: &Inputs) -> Initialization {
    let Some(requested) = &pgpool.spec.init else {
        return Initialization::None;
    };
    let Some(script) = requested.wanted() else {
        return match requested.initialized {
            Some(true) => Initialization::Skipped,
            _ => Initialization::None,
        };
    };
    match init(pgpool, script, inputs) {
        Ok(init) => Initialization::Wanted(Box::new(init)),
        Err(blocked) => Initialization::Refused(blocked),
    }
}

fn invalid(problem: impl AsRef<str>) -> Blocked {
    Blocked::stuck(
        Reason::ConfigurationInvalid,
        format!("`spec.init.script` {}.", problem.as_ref()),
    )
}

fn init(pgpool: &Pgpool, script: &ScriptSource, inputs: &Inputs) -> Result<Init, Blocked> {
    let sources = script
        .volume_source
        .len()
        .saturating_add(usize::from(script.git.is_some()));
    if sources != 1 {
        let names = script.volume_source.keys().map(String::as_str);
        let names: Vec<_> = names.chain(script.git.as_ref().map(|_| "git")).collect();
        return Err(invalid(if names.is_empty() {
            "names no source: give it one, such as `configMap`, `secret` or `git`".to_owned()
        } else {
            format!("has {sources} sources ({}): keep one", names.join(", "))
        }));
    }
    let named = script.references().len();
    if named > limits::INIT_REFERENCES {
        return Err(invalid(format!(
            "names {named} Secrets and ConfigMaps, and at most {} are looked up: put scripts into fewer",
            limits::INIT_REFERENCES
        )));
    }
    let below = path(script.script_path.as_deref().unwrap_or_default())?;
    let (root, below, source) = if let Some(repository) = &script.git {
        let (root, link) = (root(repository)?, link(repository, &below));
        let source = git(repository, &root, &link, inputs)?;
        let below = if below.is_empty() { link } else { below };
        (root, below, Source::Git(Box::new(source)))
    } else {
        let source = Source::Volume(Box::new(volume(script)?));
        (ROOT.to_owned(), below, source)
    };
    let path = format!("{root}/{below}");
    let by_certificate = pgpool.spec.client_auth_mode() == ClientAuthMode::Cert;
    Ok(Init {
        job: names::init_job(pgpool),
        root,
        path: path.trim_end_matches('/').to_owned(),
        source,
        client_secret: by_certificate.then(|| names::certificate_secret(pgpool, Alias::Client)),
    })
}

fn volume(script: &ScriptSource) -> Result<Volume, Blocked> {
    match script.volume(VOLUME_SCRIPTS) {
        Ok(Some(volume)) => Ok(volume),
        Ok(None) => Err(invalid("names no source")),
        Err(error) => Err(invalid(format!(
            "is no volume ({}): correct it",
            error_chain(&error)
        ))),
    }
}

/// A path below the source, without `..` and without control characters.
fn path(requested: &str) -> Result<String, Blocked> {
    let parts: Vec<_> = requested
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.contains(&"..") || requested.chars().any(char::is_control) {
        return Err(invalid(format!(
            "has the `scriptPath` {requested:?}: name a file or folder below the source, without `..`"
        )));
    }
    Ok(parts.join("/"))
}

/// The folder of git-sync: from its arguments or its environment, else the default.
fn root(git: &GitRepo) -> Result<String, Blocked> {
    let Some(requested) = option(git, "root") else {
        return Ok(ROOT.to_owned());
    };
    let taken = MOUNT_PATHS.into_iter().chain(CONTAINER_MOUNT_PATHS);
    let mut taken = taken
        .filter(|path| *path != ROOT)
        .chain([GIT_SECRET, "/tmp", "/dev", "/proc", "/sys"]);
    let clash = taken.find(|path| is_at_or_below(&requested, path) || is_at_or_below(path, &requested));
    if let Some(path) = clash {
        return Err(invalid(format!(
            "makes git-sync work in `{requested}` (`--root`), where `{path}` is taken: leave it out, or name another folder"
        )));
    }
    if !requested.starts_with('/') || requested.chars().any(char::is_control) {
        return Err(invalid(format!(
            "makes git-sync work in {requested:?} (`--root`): name an absolute path, or leave it out"
        )));
    }
    Ok(requested.trim_end_matches('/').to_owned())
}

fn link(git: &GitRepo, below: &str) -> String {
    let first = below.split('/').next().filter(|part| !part.is_empty());
    option(git, "link").unwrap_or_else(|| first.unwrap_or(LINK).to_owned())
}

fn git(repository: &GitRepo, root: &str, link: &str, inputs: &Inputs) -> Result<Git, Blocked> {
    if repository.args.iter().all(|arg| arg.trim().is_empty()) {
        return Err(invalid("has no `git.args`: give at least `--repo=URL`"));
    }
    let version = inputs.version.present();
    let image = version
        .and_then(|version| version.spec.git_syncer.as_ref())
        .map(|syncer| syncer.image.trim())
        .filter(|image| !image.is_empty())
        .ok_or_else(|| {
            let name = version.and_then(|version| version.metadata.name.as_deref());
            Blocked::stuck(
                Reason::NotSupported,
                format!(
                    "PgpoolVersion `{}` has no git-sync image: set its `spec.gitSyncer.image`, or give the scripts in \
                     a ConfigMap.",
                    name.unwrap_or_default()
                ),
            )
        })?;
    let mut args = repository.args.clone();
    let defaults = [
        ("root", format!("--root={root}")),
        ("link", format!("--link={link}")),
        // Scripts run once, and an init container that keeps fetching would never let them start.
        ("one-time", "--one-time".to_owned()),
    ];
    let missing = defaults
        .into_iter()
        .filter(|(name, _)| option(repository, name).is_none());
    args.extend(missing.map(|(_, argument)| argument));
    Ok(Git {
        image: image.to_owned(),
        args,
        env: repository.env.clone(),
        security_context: repository.security_context.clone().unwrap_or_default(),
        resources: with_defaults(repository.resources.clone(), GIT_RESOURCES),
        auth_secret: repository.auth_secret.as_ref().map(|secret| secret.name.clone()),
    })
}

/// An option of git-sync: `--name=value`, `--name value`, or the equivalent environment variable.
fn option(git: &GitRepo, name: &str) -> Option<String> {
    let mut args = git.args.iter().map(|arg| arg.trim());
    while let Some(arg) = args.next() {
        let Some(rest) = arg
            .trim_start_matches('-')
            .strip_prefix(name)
            .filter(|_| arg.starts_with('-'))
        else {
            continue;
        };
        match rest.strip_prefix('=') {
            Some(value) => return Some(value.to_owned()),
            None if rest.is_empty() => return Some(args.next().unwrap_or_default().to_owned()),
            None => {}
        }
    }
    let upper = name.replace('-', "_").to_uppercase();
    let known = ["GITSYNC_", "GIT_SYNC_"].map(|prefix| format!("{prefix}{upper}"));
    let variable = git.env.iter().find(|variable| known.contains(&variable.name))?;
    variable.value.clone()
}

#[cfg(test)]
mod tests;
