use std::str::FromStr;

use egom2p_model::Modality;

use super::DataError;

/// The largest number of shards that a pattern may name.
pub const MAX_SHARDS: usize = 100_000;

const MAX_LENGTH: usize = 4096;
const HELP: &str =
    "write it as ROOT/[rgb,cam]/DATASET/token/shard-{000000..000009}.tar, or as ROOT/[rgb,cam]/DATASET/*.npz";

/// Where the tokens of a dataset are: one group of modality folders in square brackets, and either shards or a folder
/// of samples (specification section 5.1).
///
/// - `ROOT/[rgb,depth,cam,gaze]/NAME/token/shard-{000000..000195}.tar`: shards. A group in braces is a range, padded
///   with zeros like its first number, or a list `{a,b}`; several groups are combined, the last one fastest.
/// - `ROOT/[rgb,depth,cam,gaze]/NAME/*.npz`: all files of these folders. Here braces may stand around the modalities.
///
/// `ROOT` is a path, or an address such as `s3://BUCKET/PREFIX`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourcePattern {
    pub(super) modalities: Vec<Modality>,
    pub(super) paths: SourcePaths,
}

/// Paths by [`Modality::index`]; `None` for a modality that the pattern lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum SourcePaths {
    /// The tar files of every shard.
    Shards(Vec<[Option<String>; 4]>),
    /// Folders of `.npz` files.
    Folders([Option<String>; 4]),
}

impl SourcePattern {
    /// The modalities, in the order of the pattern.
    pub fn modalities(&self) -> &[Modality] {
        &self.modalities
    }

    /// How many shards the pattern names; `None` for a folder.
    pub fn n_shards(&self) -> Option<usize> {
        match &self.paths {
            SourcePaths::Shards(shards) => Some(shards.len()),
            SourcePaths::Folders(_) => None,
        }
    }

    /// Reads the pattern.
    fn parse(pattern: &str) -> Result<Self, String> {
        if pattern.len() > MAX_LENGTH {
            return Err(format!("it has {} bytes, expected at most {MAX_LENGTH}", pattern.len()));
        }
        if let Some(folder) = pattern.strip_suffix("/*.npz") {
            let (before, group, after) = match split_group(folder, '[', ']')? {
                Some(found) => found,
                None => split_group(folder, '{', '}')?.ok_or("it names no modalities")?,
            };
            plain(before)?;
            plain(after)?;
            let modalities = modalities(group)?;
            let folders = paths(&modalities, |name| format!("{before}{name}{after}"));
            return Ok(Self { modalities, paths: SourcePaths::Folders(folders) });
        }
        if pattern.strip_suffix(".tar").is_none() {
            return Err("it ends neither in .tar nor in /*.npz".to_owned());
        }
        let (before, group, after) =
            split_group(pattern, '[', ']')?.ok_or("it names no modalities in square brackets")?;
        let modalities = modalities(group)?;
        let (before, after) = (Braces::parse(before)?, Braces::parse(after)?);
        let n_shards = before.count().saturating_mul(after.count());
        if n_shards > MAX_SHARDS {
            return Err(format!("it names {n_shards} shards, expected at most {MAX_SHARDS}"));
        }
        let afters = after.expand();
        let shards = before.expand().into_iter().flat_map(|before| {
            let shard = |after: &String| paths(&modalities, |name| format!("{before}{name}{after}"));
            afters.iter().map(shard).collect::<Vec<_>>()
        });
        let paths = SourcePaths::Shards(shards.collect());
        Ok(Self { modalities, paths })
    }
}

impl FromStr for SourcePattern {
    type Err = DataError;

    fn from_str(pattern: &str) -> Result<Self, DataError> {
        let shortened: String = pattern.chars().filter(|symbol| !symbol.is_control()).take(200).collect();
        Self::parse(pattern).map_err(|reason| DataError::Pattern { pattern: shortened, reason, help: HELP })
    }
}

/// The name of a modality's folder in the published data.
pub(super) fn folder_name(modality: Modality) -> &'static str {
    match modality {
        Modality::Camera => "cam",
        Modality::Depth | Modality::Gaze | Modality::Rgb => modality.name(),
    }
}

/// Text with groups in braces, read into pieces.
struct Braces<'a> {
    pieces: Vec<Piece<'a>>,
}

enum Piece<'a> {
    Text(&'a str),
    List(Vec<&'a str>),
    Range { first: u64, last: u64, width: usize },
}

impl<'a> Braces<'a> {
    fn parse(mut text: &'a str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        while let Some((before, group, after)) = split_group(text, '{', '}')? {
            pieces.push(Piece::Text(plain(before)?));
            pieces.push(Piece::parse(group)?);
            text = after;
        }
        pieces.push(Piece::Text(plain(text)?));
        Ok(Self { pieces })
    }

    fn count(&self) -> usize {
        self.pieces.iter().map(Piece::count).fold(1, usize::saturating_mul)
    }

    /// Every text; only after `count` was found small enough.
    fn expand(&self) -> Vec<String> {
        self.pieces.iter().fold(vec![String::new()], |texts, piece| {
            let longer = |text: String| piece.texts().into_iter().map(move |tail| format!("{text}{tail}"));
            texts.into_iter().flat_map(longer).collect()
        })
    }
}

impl<'a> Piece<'a> {
    fn parse(group: &'a str) -> Result<Self, String> {
        let Some((first, last)) = group.split_once("..") else {
            let items: Vec<&str> = group.split(',').collect();
            return if items.len() > 1 {
                Ok(Self::List(items))
            } else {
                Err(format!("{{{group}}} is neither a range nor a list"))
            };
        };
        let number = |text: &str| {
            let digits = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| digits);
            number.ok_or_else(|| format!("{{{group}}} is not a range of numbers"))
        };
        let (width, first, last) = (first.len(), number(first)?, number(last)?);
        if first > last {
            return Err(format!("the range {{{group}}} is empty"));
        }
        Ok(Self::Range { first, last, width })
    }

    fn count(&self) -> usize {
        match self {
            Self::Text(_) => 1,
            Self::List(items) => items.len(),
            Self::Range { first, last, .. } => (last - first) as usize + 1,
        }
    }

    fn texts(&self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![(*text).to_owned()],
            Self::List(items) => items.iter().map(|item| (*item).to_owned()).collect(),
            Self::Range { first, last, width } => (*first..=*last).map(|n| format!("{n:0width$}")).collect(),
        }
    }
}

/// The text before, in and after the first group.
fn split_group(text: &str, open: char, close: char) -> Result<Option<(&str, &str, &str)>, String> {
    let Some((before, rest)) = text.split_once(open) else {
        return Ok(None);
    };
    let (group, after) = rest.split_once(close).ok_or_else(|| format!("a \"{open}\" has no \"{close}\""))?;
    if group.contains(['{', '}', '[', ']']) {
        return Err(format!("a group stands in another: {open}{group}{close}"));
    }
    Ok(Some((before, group, after)))
}

/// The text, unless it holds what should have been a group.
fn plain(text: &str) -> Result<&str, String> {
    match text.chars().find(|symbol| "{}[]*\0".contains(*symbol)) {
        Some(symbol) => Err(format!("there is a {symbol:?} too many")),
        None => Ok(text),
    }
}

fn modalities(group: &str) -> Result<Vec<Modality>, String> {
    let mut found = Vec::new();
    for name in group.split(',') {
        let modality = Modality::ALL.into_iter().find(|modality| folder_name(*modality) == name);
        let modality = modality.ok_or_else(|| format!("{name:?} is not one of rgb, depth, cam and gaze"))?;
        if found.contains(&modality) {
            return Err(format!("it names {name} twice"));
        }
        found.push(modality);
    }
    Ok(found)
}

fn paths(modalities: &[Modality], path: impl Fn(&str) -> String) -> [Option<String>; 4] {
    Modality::ALL.map(|modality| modalities.contains(&modality).then(|| path(folder_name(modality))))
}

#[cfg(test)]
mod tests {
    use egom2p_model::Modality::{Camera, Depth, Gaze, Rgb};
    use proptest::prelude::*;

    use super::{SourcePaths, SourcePattern};

    fn shards(pattern: &str) -> Vec<[Option<String>; 4]> {
        let SourcePaths::Shards(shards) = pattern.parse::<SourcePattern>().expect("a pattern").paths else {
            panic!("{pattern} names folders");
        };
        shards
    }

    #[test]
    fn the_published_pattern() {
        let pattern = "/data/[rgb,depth,cam,gaze]/holoassist/token/shard-{000000..000195}.tar";
        assert_eq!(pattern.parse::<SourcePattern>().expect("a pattern").modalities, [Rgb, Depth, Camera, Gaze]);
        let shards = shards(pattern);
        assert_eq!(shards.len(), 196);
        let last = shards[195].clone().map(|path| path.expect("all four"));
        assert_eq!(last[Camera.index()], "/data/cam/holoassist/token/shard-000195.tar");
        assert_eq!(last[Rgb.index()], "/data/rgb/holoassist/token/shard-000195.tar");
    }

    #[test]
    fn groups_combine_and_pad_like_their_first_number() {
        let shards = shards("s3://b/{x,y}/[gaze]/{08..10}-{a,b}.tar");
        let paths: Vec<&str> = shards.iter().map(|shard| shard[Gaze.index()].as_deref().expect("gaze")).collect();
        let expected = ["08-a", "08-b", "09-a", "09-b", "10-a", "10-b"];
        let expected: Vec<String> =
            ["x", "y"].iter().flat_map(|x| expected.iter().map(move |e| format!("s3://b/{x}/gaze/{e}.tar"))).collect();
        assert_eq!(paths, expected);
        assert!(shards[0][Depth.index()].is_none());
    }

    #[test]
    fn one_shard_needs_no_braces() {
        assert_eq!(shards("[cam]/a.tar").len(), 1);
    }

    #[test]
    fn folders_take_both_brackets() {
        for pattern in ["val/[rgb,cam]/h2o/*.npz", "val/{rgb,cam}/h2o/*.npz"] {
            let pattern: SourcePattern = pattern.parse().expect("a pattern");
            let folders = [Some("val/cam/h2o".to_owned()), None, None, Some("val/rgb/h2o".to_owned())];
            assert_eq!((pattern.n_shards(), pattern.paths), (None, SourcePaths::Folders(folders)));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (pattern, expected) in [
            ("", "ends neither"),
            ("a/[rgb]/shards", "ends neither"),
            ("a/rgb/0.tar", "names no modalities"),
            ("a/*.npz", "names no modalities"),
            ("[rgb,rgb]/0.tar", "rgb twice"),
            ("[rgb,camera]/0.tar", "\"camera\" is not one of rgb, depth, cam and gaze"),
            ("[]/0.tar", "\"\" is not one"),
            ("[rgb/0.tar", "a \"[\" has no \"]\""),
            ("[rgb]/{0..1.tar", "a \"{\" has no \"}\""),
            ("[rgb]/{0..{1..2}}.tar", "a group stands in another"),
            ("[rgb]/0}.tar", "there is a '}' too many"),
            ("[rgb]/[cam]/0.tar", "there is a '[' too many"),
            ("[rgb]/{5}.tar", "neither a range nor a list"),
            ("[rgb]/{3..1}.tar", "range {3..1} is empty"),
            ("[rgb]/{a..c}.tar", "not a range of numbers"),
            ("[rgb]/{-1..3}.tar", "not a range of numbers"),
            ("[rgb]/{0..99999999999999999999}.tar", "not a range of numbers"),
            ("[rgb]/{0..999999999999999999}.tar", "it names 1000000000000000000 shards"),
            ("[rgb]/{0..999}{0..999}{0..999999999999}.tar", "it names 1000000000000000000 shards"),
            (&format!("[rgb]/{}.tar", "{0..9}".repeat(60)), "shards, expected at most 100000"),
            (&format!("[rgb]/{}.tar", "a".repeat(5000)), "it has 5010 bytes, expected at most 4096"),
        ] {
            let message = pattern.parse::<SourcePattern>().expect_err("no pattern").to_string();
            assert!(message.contains(expected) && message.lines().count() == 2, "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_an_error(text in r"[a\[\]{},.0-9*/]{0,12}(\[rgb\])?[a\[\]{},.0-9]{0,24}\.(tar|npz)") {
            match text.parse::<SourcePattern>() {
                Ok(pattern) => prop_assert!(pattern.n_shards().is_none_or(|n| n >= 1)),
                Err(error) => prop_assert_eq!(error.to_string().lines().count(), 2),
            }
        }
    }
}
