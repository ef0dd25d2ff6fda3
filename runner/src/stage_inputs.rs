//! Whether the ids that a caller feeds to a stage are ones that the model has. Engines count negative ids from the end of
//! a table and take a foreign modality for none, so nothing else would say so.

use egom2p_engine_core::Tensor;
use egom2p_model::{Modality, ModelConfig, Stage};

/// An id that the model does not have.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("input {input} holds {id} at {index:?}, expected 0 to {}\npass {mend}", n_ids - 1)]
pub struct UnknownId {
    /// The input.
    pub input: &'static str,
    /// Where in it, one index per axis.
    pub index: Vec<usize>,
    /// The id.
    pub id: i64,
    /// How many there are.
    pub n_ids: usize,
    /// What to pass instead.
    pub mend: &'static str,
}

/// Checks the ids of all inputs of a stage that it reads: masked positions may hold anything. Inputs that are missing or
/// of another type or shape are left to the engine.
pub fn check_ids(config: &ModelConfig, stage: Stage, inputs: &[(&str, &Tensor)]) -> Result<(), UnknownId> {
    let input = |name: &str| inputs.iter().find(|(other, _)| *other == name).map(|(_, tensor)| *tensor);
    match stage {
        Stage::VideoDecoder => check_tokens(input("tokens"), config.video.vocabulary),
        Stage::CameraDecoder | Stage::GazeDecoder => check_tokens(input("tokens"), config.motion.vocabulary),
        Stage::Encoder => check_rows(config, &input, "visible_mask", true),
        Stage::Decoder => check_rows(config, &input, "query_mask", false),
        Stage::VideoEncoder
        | Stage::CameraEncoder
        | Stage::GazeEncoder
        | Stage::HeadCamera
        | Stage::HeadDepth
        | Stage::HeadGaze
        | Stage::HeadRgb => Ok(()),
    }
}

fn check_tokens(tokens: Option<&Tensor>, n_ids: usize) -> Result<(), UnknownId> {
    let Some((tokens, ids)) = tokens.and_then(|tokens| Some((tokens, tokens.as_i64()?))) else { return Ok(()) };
    ids.iter().enumerate().try_for_each(|(at, &id)| check("tokens", tokens, at, id, n_ids))
}

/// Checks the positions that `mask` permits: each has a modality and what belongs to it.
fn check_rows<'a>(
    config: &ModelConfig,
    input: &impl Fn(&str) -> Option<&'a Tensor>,
    mask: &str,
    with_tokens: bool,
) -> Result<(), UnknownId> {
    let ids = |name: &str| input(name).and_then(|tensor| Some((tensor, tensor.as_i64()?)));
    let (Some((modality, modalities)), Some((position, positions))) = (ids("modality"), ids("position")) else {
        return Ok(());
    };
    let tokens = if with_tokens { ids("tokens") } else { None };
    let mask = input(mask).and_then(Tensor::as_bool).unwrap_or_default();
    for at in (0..modalities.len()).filter(|&at| mask.get(at).copied().unwrap_or(true)) {
        check("modality", modality, at, modalities[at], Modality::ALL.len())?;
        let of = Modality::ALL[modalities[at] as usize];
        if let Some(&id) = positions.get(at) {
            check("position", position, at, id, config.n_tokens(of))?;
        }
        if let Some((tokens, &id)) = tokens.and_then(|(tensor, ids)| Some((tensor, ids.get(at)?))) {
            check("tokens", tokens, at, id, config.vocabulary(of))?;
        }
    }
    Ok(())
}

fn check(input: &'static str, tensor: &Tensor, at: usize, id: i64, n_ids: usize) -> Result<(), UnknownId> {
    if usize::try_from(id).is_ok_and(|id| id < n_ids) {
        return Ok(());
    }
    let mend = match input {
        "tokens" => "tokens of the modality at that place",
        "position" => "positions inside the clip of the modality at that place",
        _ => "0 for camera, 1 for depth, 2 for gaze or 3 for rgb",
    };
    Err(UnknownId { input, index: unravelled(at, tensor.shape()), id, n_ids, mend })
}

/// The index along every axis of a row-major flat one.
fn unravelled(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&length| {
            let along = flat % length.max(1);
            flat /= length.max(1);
            along
        })
        .collect();
    index.reverse();
    index
}

#[cfg(test)]
mod tests {
    use egom2p_engine_core::Tensor;
    use egom2p_model::{Preset, Stage};

    use super::check_ids;

    fn ids(values: &[i64]) -> Tensor {
        Tensor::i64(vec![1, values.len()], values.to_vec()).expect("the shape is that of the values")
    }

    #[test]
    fn ids_outside_of_their_tables_are_named() {
        let config = Preset::Tiny.config();
        let check = |stage, name, values: &[i64]| check_ids(&config, stage, &[(name, &ids(values))]);
        assert_eq!(check(Stage::CameraDecoder, "tokens", &[0, 255]), Ok(()));
        let error = check(Stage::CameraDecoder, "tokens", &[0, 256]).expect_err("one too many").to_string();
        assert_eq!(
            error,
            "input tokens holds 256 at [0, 1], expected 0 to 255\npass tokens of the modality at that place"
        );
        assert!(check(Stage::GazeDecoder, "tokens", &[-1]).is_err());
        assert_eq!(check(Stage::VideoDecoder, "tokens", &[999]), Ok(()));
        assert!(check(Stage::VideoDecoder, "tokens", &[1000]).is_err());
    }

    #[test]
    fn every_visible_position_has_a_modality_and_a_place_in_it() {
        let config = Preset::Tiny.config();
        let check = |token, modality, position, visible| {
            let mask = Tensor::bool(vec![1, 2], vec![true, visible]).expect("two values");
            let inputs = [
                ("tokens", &ids(&[1, token])),
                ("modality", &ids(&[0, modality])),
                ("position", &ids(&[29, position])),
                ("visible_mask", &mask),
            ];
            check_ids(&config, Stage::Encoder, &inputs).map_err(|error| (error.input, error.index))
        };
        assert_eq!(check(999, 3, 319, true), Ok(()));
        assert_eq!(check(999, 2, 0, true), Err(("tokens", vec![0, 1])));
        assert_eq!(check(-1, 3, 0, true), Err(("tokens", vec![0, 1])));
        assert_eq!(check(0, 3, 320, true), Err(("position", vec![0, 1])));
        assert_eq!(check(0, 0, 30, true), Err(("position", vec![0, 1])));
        assert_eq!(check(0, 4, 0, true), Err(("modality", vec![0, 1])));
        assert_eq!(check(-1, 9, 99_999, false), Ok(()));
    }
}
