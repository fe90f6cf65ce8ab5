//! Builds Go programs from published modules.
//!
//! The results are in the cache under a hash of the module's files, the flags and the toolchain. One build runs at a
//! time: each of them already uses every core.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::builder::Builder;
use crate::cache::Inputs;
use crate::command::{self, run_logged};
use crate::go::Go;

/// The release of Kubernetes; kube-apiserver reports it to clients.
const KUBERNETES: &str = "v1.34.4";

/// The folder with the modules of the cluster itself.
pub(crate) const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/components");

/// A Go module whose programs are built.
#[derive(Debug)]
pub struct Component {
    /// Its folder, and its name in the cache.
    pub name: &'static str,
    /// The Go packages that are built.
    pub packages: &'static [&'static str],
    /// The names of their programs.
    pub programs: &'static [&'static str],
    /// Whether it may be linked with C libraries.
    pub cgo: bool,
}

/// The programs of a control plane on loopback, and Helm, which renders the rights that charts give.
pub const CONTROL_PLANE: &[&Component] = &[&ETCD, &KUBERNETES_COMMANDS, &CERT_MANAGER, &HELM];

/// The programs of a cluster with a node.
pub(crate) const NODE: &[&Component] = &[&ETCD, &KUBERNETES_COMMANDS, &CERT_MANAGER, &COREDNS, &HELM];

/// One component, since the commands of Kubernetes share almost all of their packages.
pub const KUBERNETES_COMMANDS: Component = Component {
    name: "kubernetes",
    packages: &[
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-scheduler",
        "k8s.io/kubernetes/cmd/kubelet",
        "k8s.io/kubernetes/cmd/kube-proxy",
        "k8s.io/kubernetes/cmd/kubectl",
    ],
    programs: &[
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "kubectl",
    ],
    cgo: true,
};

const ETCD: Component = Component {
    name: "etcd",
    packages: &["go.etcd.io/etcd/server/v3"],
    programs: &["etcd"],
    cgo: true,
};

const CERT_MANAGER: Component = Component {
    name: "cert-manager",
    packages: &["."],
    programs: &["cert-manager"],
    cgo: true,
};

const COREDNS: Component = Component {
    name: "coredns",
    packages: &["."],
    programs: &["coredns"],
    cgo: true,
};

const HELM: Component = Component {
    name: "helm",
    packages: &["helm.sh/helm/v4/cmd/helm"],
    programs: &["helm"],
    cgo: true,
};

/// The paths of built programs.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    paths: BTreeMap<&'static str, PathBuf>,
    crds: Option<PathBuf>,
    version: String,
}

impl Programs {
    /// The path of a program of one of the built components.
    pub fn path(&self, program: &str) -> anyhow::Result<&Path> {
        self.paths
            .get(program)
            .map(PathBuf::as_path)
            .with_context(|| format!("{program} was not built"))
    }

    /// The folder with the CRDs of cert-manager.
    pub(crate) fn cert_manager_crds(&self) -> anyhow::Result<&Path> {
        self.crds.as_deref().context("cert-manager was not built")
    }

    /// Changes when one of the programs does.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }
}

/// Builds the components that are not in the cache yet, in the given order. `sources` is the folder of their modules.
pub fn build(components: &[&Component], sources: &Path, builder: &Builder) -> anyhow::Result<Programs> {
    // When everything is built, this takes most of the time, but the programs depend on the version of Go.
    let go = Go::ensure(builder)?;
    let mut programs = Programs::default();
    for component in components {
        let module = sources.join(component.name);
        let key = component.inputs(&module, &go)?.key();
        let folder = builder.cache.entry(component.name, &key, |draft| {
            component.make(&module, draft, &go, builder)
        })?;
        for program in component.programs {
            programs.paths.insert(program, folder.join("bin").join(program));
        }
        if component.name == CERT_MANAGER.name {
            programs.crds = Some(folder.join("crds"));
        }
        programs.version.push_str(&key.to_string());
    }
    Ok(programs)
}

impl Component {
    fn linker_flags(&self) -> String {
        // Strips debug information. Kubernetes takes its version from the linker.
        let mut flags = "-s -w".to_owned();
        if self.name == KUBERNETES_COMMANDS.name {
            let mut numbers = KUBERNETES.trim_start_matches('v').split('.');
            for (name, value) in [
                ("gitVersion", KUBERNETES),
                ("gitMajor", numbers.next().unwrap_or_default()),
                ("gitMinor", numbers.next().unwrap_or_default()),
            ] {
                flags.push_str(" -X k8s.io/component-base/version.");
                flags.push_str(name);
                flags.push('=');
                flags.push_str(value);
            }
        }
        flags
    }

    fn inputs(&self, module: &Path, go: &Go) -> anyhow::Result<Inputs> {
        let mut inputs = Inputs::default()
            .text("go", go.version())
            .text("flags", &self.linker_flags())
            .text("packages", &self.packages.join(" "));
        for file in ["go.mod", "go.sum", "main.go"] {
            let path = module.join(file);
            if path.exists() {
                inputs = inputs.file(file, &path)?;
            }
        }
        Ok(inputs)
    }

    fn make(&self, module: &Path, draft: &Path, go: &Go, builder: &Builder) -> anyhow::Result<()> {
        let step = builder
            .progress
            .step(format!("build {}", self.programs.join(", ")));
        let bin = draft.join("bin");
        fs::create_dir_all(&bin)?;
        let mut command = go.command(module);
        // `-v` names each package as it is compiled: Go has no other progress output.
        command.args(["build", "-v", "-trimpath", "-ldflags", &self.linker_flags(), "-o"]);
        if !self.cgo {
            command.env("CGO_ENABLED", "0");
        }
        if let [program] = self.programs {
            command.arg(bin.join(program));
        } else {
            command.arg(&bin);
        }
        command.args(self.packages);
        let mut compiled = 0_u32;
        run_logged(&mut command, &builder.cache.log(self.name)?, |line| {
            compiled += 1;
            step.note(format!("{line} ({compiled})"));
        })?;
        if self.name == CERT_MANAGER.name {
            copy_crds(module, draft, go)?;
        }
        step.done();
        Ok(())
    }
}

/// Copies the CRDs of cert-manager out of the module cache, so that the entry does not depend on it.
fn copy_crds(module: &Path, draft: &Path, go: &Go) -> anyhow::Result<()> {
    let mut list = go.command(module);
    list.args([
        "list",
        "-m",
        "-f",
        "{{.Dir}}",
        "github.com/cert-manager/cert-manager",
    ]);
    let source = PathBuf::from(command::output(&mut list)?.trim()).join("deploy/crds");
    let target = draft.join("crds");
    fs::create_dir_all(&target)?;
    for entry in fs::read_dir(&source).with_context(|| format!("reading {}", source.display()))? {
        let path = entry?.path();
        let (Some(name), Some("yaml")) = (path.file_name(), path.extension().and_then(|end| end.to_str()))
        else {
            continue;
        };
        // Not fs::copy: it would also copy the read-only mode of the module cache.
        fs::write(target.join(name), fs::read(&path)?)?;
    }
    Ok(())
}

/// The folder of a published module in the module cache of Go, downloaded if necessary.
pub fn module(path: &str, version: &str, builder: &Builder) -> anyhow::Result<PathBuf> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Downloaded {
        dir: PathBuf,
    }
    let mut download = Go::ensure(builder)?.command(builder.cache.root());
    download.args(["mod", "download", "-json", &format!("{path}@{version}")]);
    let text = command::output(&mut download).with_context(|| format!("downloading {path} {version}"))?;
    let Downloaded { dir } =
        serde_json::from_str(&text).context("reading the output of `go mod download`")?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_is_linked_with_its_version() {
        let flags = KUBERNETES_COMMANDS.linker_flags();
        assert!(flags.contains("version.gitVersion=v1.34.4"), "{flags}");
        assert!(
            flags.ends_with("version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"),
            "{flags}"
        );
        assert_eq!(HELM.linker_flags(), "-s -w");
    }

    #[test]
    fn every_module_has_its_sums() {
        for component in NODE {
            for file in ["go.mod", "go.sum"] {
                let path = Path::new(SOURCES).join(component.name).join(file);
                assert!(path.exists(), "{} is missing", path.display());
            }
        }
    }
}
