use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// A path inside a folder: relative, with `/` between its parts, none of which is empty, `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativePath(String);

/// A path that could lead out of its folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a path inside its folder: {path:?}; expected a relative path without \".\", \"..\" and backslashes\n\
     the file that names it is damaged or hostile; make it again with \"egom2p export\" and \"egom2p build\""
)]
pub struct RelativePathError {
    /// The path.
    pub path: String,
}

impl RelativePath {
    /// Checks a path.
    pub fn new(path: impl Into<String>) -> Result<Self, RelativePathError> {
        let path = path.into();
        let inside = path.split('/').all(|part| {
            !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '*', ':', '\0', '\n', '\r'])
        });
        if inside { Ok(Self(path)) } else { Err(RelativePathError { path }) }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of a file in this folder.
    pub fn join(&self, name: &str) -> Result<Self, RelativePathError> {
        Self::new(format!("{}/{name}", self.0))
    }

    /// The folder that holds it; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&*self.0, |(_, name)| name)
    }

    /// The path below a folder.
    pub fn below(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RelativePath {
    type Error = RelativePathError;

    fn try_from(path: String) -> Result<Self, RelativePathError> {
        Self::new(path)
    }
}

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> Self {
        path.0
    }
}
