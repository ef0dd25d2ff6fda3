use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use egom2p_engine_core::{EngineError, Profile};
use egom2p_engines::{BundleError, ProfileOverrides};
use serde::de::DeserializeOwned;

/// The largest profile file that is read.
const MAX_PROFILE_BYTES: u64 = 1 << 20;

/// Ranges of named dimensions that a user wrote, in one of three forms: one profile for every stage, a list of profiles
/// for every stage, or lists for every stage and for single ones.
pub(super) struct ProfileFile {
    path: PathBuf,
    pub(super) overrides: ProfileOverrides,
}

impl ProfileFile {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let named = || {
            format!(
                "cannot read profile {}\nwrite JSON such as {{\"visible\": {{\"min\": 0, \"opt\": 5120, \"max\": 10300}}}}",
                path.display()
            )
        };
        let n_bytes = fs::metadata(path).with_context(named)?.len();
        if n_bytes > MAX_PROFILE_BYTES {
            return Err(anyhow!("it has {n_bytes} bytes, expected at most {MAX_PROFILE_BYTES}").context(named()));
        }
        let overrides = parse(&fs::read_to_string(path).with_context(named)?).with_context(named)?;
        check(&overrides).map_err(|error| anyhow!(error).context(named_shortly(path)))?;
        Ok(Self { path: path.to_owned(), overrides })
    }

    /// An error of a build, with the name of this file where it is about its ranges.
    pub(super) fn blame(&self, error: BundleError) -> anyhow::Error {
        let is_about_ranges = matches!(
            error,
            BundleError::UnknownDim { .. }
                | BundleError::UnknownProfileStage { .. }
                | BundleError::Engine(EngineError::ProfileRange { .. })
        );
        let error = anyhow!(error);
        if is_about_ranges { error.context(named_shortly(&self.path)) } else { error }
    }
}

fn named_shortly(path: &Path) -> String {
    path.display().to_string()
}

fn parse(text: &str) -> anyhow::Result<ProfileOverrides> {
    let form: serde_json::Value = read(text)?;
    let has = |name: &str| form.get(name).is_some();
    // The text is read again, so that an error says in which line it is.
    if form.is_array() {
        Ok(ProfileOverrides { profiles: read(text)?, ..ProfileOverrides::default() })
    } else if has("profiles") || has("stages") {
        read(text)
    } else {
        Ok(ProfileOverrides::all(read(text)?))
    }
}

fn read<T: DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    Ok(serde_json::from_str(text)?)
}

/// Checks that ranges are in order.
fn check(overrides: &ProfileOverrides) -> anyhow::Result<()> {
    check_all("", &overrides.profiles)?;
    overrides.stages.iter().try_for_each(|(stage, profiles)| check_all(format_args!(" of stage {stage}"), profiles))
}

fn check_all(of: impl fmt::Display, profiles: &[Profile]) -> anyhow::Result<()> {
    profiles
        .iter()
        .enumerate()
        .try_for_each(|(at, profile)| profile.check().with_context(|| format!("profile {}{of}", at + 1)))
}

#[cfg(test)]
mod tests {
    use super::{check, parse};

    const RANGE: &str = r#"{"visible": {"min": 1, "opt": 2, "max": 3}}"#;

    #[test]
    fn one_several_and_those_of_stages_are_read() {
        let one = parse(RANGE).expect("one profile");
        assert_eq!(one.profiles.len(), 1);
        let several = parse(&format!("[{RANGE}, {RANGE}]")).expect("a list");
        assert_eq!(several.profiles, [one.profiles[0].clone(), one.profiles[0].clone()]);
        let stages = parse(&format!(r#"{{"stages": {{"encoder": [{RANGE}]}}}}"#)).expect("stages");
        assert!(stages.profiles.is_empty());
        assert_eq!(stages.stages["encoder"], one.profiles);
        let both = parse(&format!(r#"{{"profiles": [{RANGE}], "stages": {{}}}}"#)).expect("both");
        assert_eq!(both, one);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, expected) in [
            (r#"[{"visible": 3}]"#, "line 1 column"),
            (r#"{"profiles": [], "steps": []}"#, "unknown field `steps`"),
            (r#"{"visible": {"min": 1, "opt": 2}}"#, "missing field `max`"),
            (r#"{"visible": {"min": -1, "opt": 2, "max": 3}}"#, "expected usize"),
            ("3", "invalid type"),
        ] {
            let error = format!("{:#}", parse(text).expect_err(text));
            assert!(error.contains(expected), "{text}: {error}");
        }
        let reversed = parse(r#"{"stages": {"encoder": [{}, {"visible": {"min": 3, "opt": 2, "max": 1}}]}}"#);
        let error = format!("{:#}", check(&reversed.expect("it is whole")).expect_err("it is out of order"));
        assert!(error.starts_with("profile 2 of stage encoder: "), "{error}");
    }
}
