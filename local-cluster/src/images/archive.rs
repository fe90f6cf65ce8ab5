//! Image archives in the OCI image layout: a tar file of blobs named by their hashes, and an index.
//!
//! Layers are not compressed: they never leave the machine, and unpacking them is part of every start.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context as _;
use aws_lc_rs::digest::{self, Context, SHA256};
use serde_json::{Value, json};
use tar::Builder;

use super::layer::{append, open};
use crate::cache::hex;

/// Writes the archive of an image with one layer and these names, and removes the layer file.
pub(super) fn write(archive: &Path, layer: &Path, config: &Value, names: &[&str]) -> anyhow::Result<()> {
    let file = File::create(archive).with_context(|| format!("creating {}", archive.display()))?;
    let mut builder = Builder::new(file);
    append_text(
        &mut builder,
        "oci-layout",
        &json!({"imageLayoutVersion": "1.0.0"}).to_string(),
    )?;

    let layer_digest = digest_of(layer)?;
    let layer_size = fs::metadata(layer)?.len();
    let content = open(layer)?;
    append(&mut builder, &blob(&layer_digest), 0o644, layer_size, content)?;

    let config = append_json(
        &mut builder,
        "application/vnd.oci.image.config.v1+json",
        &json!({
            "architecture": architecture(),
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_digest}")]},
        }),
    )?;
    let manifest = append_json(
        &mut builder,
        "application/vnd.oci.image.manifest.v1+json",
        &json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": format!("sha256:{layer_digest}"),
                "size": layer_size,
            }],
        }),
    )?;
    let manifests: Vec<Value> = names
        .iter()
        .map(|name| {
            let mut entry = manifest.clone();
            entry["annotations"] = json!({"io.containerd.image.name": name});
            entry
        })
        .collect();
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    append_text(&mut builder, "index.json", &index.to_string())?;
    builder
        .finish()
        .with_context(|| format!("writing {}", archive.display()))?;
    fs::remove_file(layer).with_context(|| format!("removing {}", layer.display()))
}

/// Adds a JSON blob and returns the descriptor that refers to it.
fn append_json(builder: &mut Builder<File>, media_type: &str, value: &Value) -> anyhow::Result<Value> {
    let text = value.to_string();
    let digest = hex(digest::digest(&SHA256, text.as_bytes()).as_ref());
    append_text(builder, &blob(&digest), &text)?;
    Ok(json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": text.len()}))
}

fn append_text(builder: &mut Builder<File>, path: &str, text: &str) -> anyhow::Result<()> {
    append(builder, path, 0o644, text.len() as u64, text.as_bytes())
}

fn blob(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

fn digest_of(path: &Path) -> anyhow::Result<String> {
    let mut hasher = Hashed(Context::new(&SHA256));
    io::copy(&mut open(path)?, &mut hasher)?;
    Ok(hex(hasher.0.finish().as_ref()))
}

struct Hashed(Context);

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The architecture of this machine, by its name in images.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;

    #[test]
    fn every_reference_leads_to_a_blob_with_that_hash() {
        let folder = tempfile::tempdir().unwrap();
        let layer = folder.path().join("layer");
        fs::write(&layer, b"layer").unwrap();
        let archive = folder.path().join("image.tar");
        write(&archive, &layer, &json!({"User": "1"}), &["a/b:1", "a/c:2"]).unwrap();
        assert!(!layer.exists());

        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(File::open(&archive).unwrap())
            .entries()
            .unwrap()
        {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            if let Some(digest) = path.strip_prefix("blobs/sha256/") {
                assert_eq!(digest, hex(digest::digest(&SHA256, &content).as_ref()));
            }
            files.insert(path, content);
        }
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        assert_eq!(
            index["manifests"][1]["annotations"]["io.containerd.image.name"],
            "a/c:2"
        );
        let digest = |value: &Value| blob(value["digest"].as_str().unwrap().trim_start_matches("sha256:"));
        let manifest: Value = serde_json::from_slice(&files[&digest(&index["manifests"][0])]).unwrap();
        assert_eq!(files[&digest(&manifest["layers"][0])], b"layer");
        let config: Value = serde_json::from_slice(&files[&digest(&manifest["config"])]).unwrap();
        assert_eq!(config["config"]["User"], "1");
    }
}
