use std::{collections::BTreeMap, path::PathBuf};

use anyhow::bail;

/// The variant of stages that have only one.
const DEFAULT_VARIANT: &str = "default";

/// An engine that was built elsewhere, and the one that it stands in for.
#[derive(Clone)]
pub(super) struct AdoptedEngine {
    stage: String,
    variant: String,
    file: PathBuf,
}

impl AdoptedEngine {
    /// Parses `STAGE.VARIANT=FILE`, or `STAGE=FILE` for a stage with one variant.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, file) = text
            .split_once('=')
            .filter(|(name, file)| !name.is_empty() && !file.is_empty())
            .ok_or("expected STAGE.VARIANT=FILE, such as encoder.unmasked=encoder.engine")?;
        let (stage, variant) = name.split_once('.').unwrap_or((name, DEFAULT_VARIANT));
        Ok(Self { stage: stage.to_owned(), variant: variant.to_owned(), file: file.into() })
    }

    /// The files by what they stand in for, each of which may be given once.
    pub(super) fn by_name(engines: &[Self]) -> anyhow::Result<BTreeMap<(String, String), PathBuf>> {
        let mut files = BTreeMap::new();
        for Self { stage, variant, file } in engines {
            if let Some(earlier) = files.insert((stage.clone(), variant.clone()), file.clone()) {
                bail!(
                    "two engines are given for {stage}.{variant}: {} and {}\nname one file",
                    earlier.display(),
                    file.display()
                );
            }
        }
        Ok(files)
    }
}
