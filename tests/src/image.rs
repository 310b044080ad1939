//! Images built from file lists, as OCI layouts that skopeo can push.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use shared::model::digest::Digest;

/// An image to be built.
#[derive(Clone, Default)]
pub struct Image {
    layers: Vec<Layer>,
    platform: Option<(String, String)>,
    config: Option<Value>,
    history: Option<Vec<Value>>,
}

#[derive(Clone)]
enum Layer {
    Files {
        files: BTreeMap<String, Vec<u8>>,
        encoding: Encoding,
    },
    /// A tar in zstd that lies ready.
    Archive(Vec<u8>),
}

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// gzip, as everybody does.
    Gzip,
    /// zstd.
    Zstd,
    /// Not at all.
    Plain,
}

/// Installed Python packages that the repository's own advisories know to be vulnerable.
pub const VULNERABLE: (&str, &str) = ("urllib3", "1.23");
/// A package that no advisory knows.
pub const HARMLESS: (&str, &str) = ("tidewaiter-harmless", "1.0.0");

const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

impl Image {
    /// No layers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A Debian 12 with one Python package.
    pub fn debian_with_python(package: (&str, &str)) -> Self {
        Self::new().debian().python(package)
    }

    /// Adds a layer with a Debian root: `os-release` and a dpkg database of one package.
    #[must_use]
    pub fn debian(self) -> Self {
        self.layer([
            ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            (
                "var/lib/dpkg/status",
                "Package: tidewaiter-demo\nStatus: install ok installed\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: Debian\n\n",
            ),
        ])
    }

    /// Adds a layer with one installed Python package.
    #[must_use]
    pub fn python(self, (name, version): (&str, &str)) -> Self {
        let path = format!("usr/local/lib/python3.11/site-packages/{name}-{version}.dist-info/METADATA");
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n");
        self.layer([(path.as_str(), metadata.as_str())])
    }

    /// Adds a gzip layer with these files.
    #[must_use]
    pub fn layer<'a>(self, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.layer_as(Encoding::Gzip, files.into_iter().map(|(path, text)| (path, text.as_bytes().to_vec())))
    }

    /// Adds a layer with these files in this encoding.
    #[must_use]
    pub fn layer_as<'a>(
        mut self,
        encoding: Encoding,
        files: impl IntoIterator<Item = (&'a str, Vec<u8>)>,
    ) -> Self {
        let files = files.into_iter().map(|(path, content)| (path.to_owned(), content)).collect();
        self.layers.push(Layer::Files { files, encoding });
        self
    }

    /// Adds a layer that is this tar in zstd, as it is.
    #[must_use]
    pub fn archive(mut self, archive: Vec<u8>) -> Self {
        self.layers.push(Layer::Archive(archive));
        self
    }

    /// Says which platform the image is for; linux/amd64 where nothing is said.
    #[must_use]
    pub fn platform(mut self, os: &str, architecture: &str) -> Self {
        self.platform = Some((os.to_owned(), architecture.to_owned()));
        self
    }

    /// Says how it is run, in the words of an OCI config's `config`; as user 1000 where nothing is said.
    #[must_use]
    pub fn runs(mut self, config: Value) -> Self {
        self.config = Some(config);
        self
    }

    /// Says which commands made it, one a layer; `step N` where nothing is said.
    #[must_use]
    pub fn made_by(mut self, commands: &[&str]) -> Self {
        self.history = Some(commands.iter().map(|command| json!({"created_by": command})).collect());
        self
    }
}

/// An OCI layout in a folder.
pub struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// An empty layout.
    pub fn new(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder.join("blobs/sha256"))?;
        std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn put(&self, content: &[u8], media_type: &str) -> Result<Value> {
        let digest = Digest::of(content);
        std::fs::write(self.folder.join("blobs/sha256").join(digest.encoded()), content)?;
        Ok(json!({"mediaType": media_type, "digest": digest, "size": content.len()}))
    }

    /// The bytes that a descriptor of this layout is about.
    pub fn read(&self, descriptor: &Value) -> Result<Vec<u8>> {
        let digest: Digest = serde_json::from_value(descriptor["digest"].clone())?;
        Ok(std::fs::read(self.folder.join("blobs/sha256").join(digest.encoded()))?)
    }

    /// Writes an image's blobs and returns its manifest's descriptor.
    pub fn image(&self, image: &Image) -> Result<Value> {
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for layer in &image.layers {
            let (diff_id, packed, media_type) = layer.packed()?;
            diff_ids.push(diff_id);
            layers.push(self.put(&packed, media_type)?);
        }
        let (os, architecture) = image.platform.clone().unwrap_or(("linux".to_owned(), "amd64".to_owned()));
        let steps = (0..diff_ids.len()).map(|at| json!({"created_by": format!("step {at}")}));
        let history = image.history.clone().unwrap_or_else(|| steps.collect());
        let runtime = image.config.clone().unwrap_or_else(|| json!({"User": "1000"}));
        let config = json!({
            "architecture": architecture, "os": os, "config": runtime,
            "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
        });
        let config = self.put(&serde_json::to_vec(&config)?, "application/vnd.oci.image.config.v1+json")?;
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest =
            json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
        let mut descriptor = self.put(&serde_json::to_vec(&manifest)?, media_type)?;
        descriptor["platform"] = json!({"os": os, "architecture": architecture});
        Ok(descriptor)
    }

    /// Writes an index of these images and returns its descriptor.
    pub fn index(&self, images: &[Image]) -> Result<Value> {
        let manifests = images.iter().map(|image| self.image(image)).collect::<Result<Vec<_>>>()?;
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
        self.put(&serde_json::to_vec(&index)?, media_type)
    }

    /// Names what the layout is about, so that skopeo finds it as `oci:<folder>:<tag>`.
    pub fn tag(&self, descriptor: &Value, tag: &str) -> Result<Digest> {
        let mut descriptor = descriptor.clone();
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        let index = json!({"schemaVersion": 2, "manifests": [descriptor]});
        std::fs::write(self.folder.join("index.json"), serde_json::to_vec(&index)?)?;
        Ok(serde_json::from_value(descriptor["digest"].clone())?)
    }
}

impl Layer {
    /// Its diff ID, its blob and the blob's media type.
    fn packed(&self) -> Result<(Digest, Cow<'_, [u8]>, &'static str)> {
        let (files, encoding) = match self {
            Self::Files { files, encoding } => (files, encoding),
            Self::Archive(archive) => {
                let diff_id = Digest::of(&zstd::decode_all(archive.as_slice())?);
                return Ok((diff_id, Cow::Borrowed(archive), ZSTD));
            }
        };
        let raw = tar(files)?;
        let diff_id = Digest::of(&raw);
        let (packed, media_type) = match encoding {
            Encoding::Gzip => (gzip(&raw)?, "application/vnd.oci.image.layer.v1.tar+gzip"),
            Encoding::Zstd => (zstd::encode_all(raw.as_slice(), 3)?, ZSTD),
            Encoding::Plain => (raw, "application/vnd.oci.image.layer.v1.tar"),
        };
        Ok((diff_id, Cow::Owned(packed), media_type))
    }
}

fn gzip(raw: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(raw)?;
    Ok(encoder.finish()?)
}

fn tar(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append_data(&mut header, path, content.as_slice())?;
    }
    Ok(archive.into_inner()?)
}
