use crate::{Result, TrainError};
use egom2p_model::{Modality, ModelConfig};
use tch::{Device, Tensor};

/// Some tokens of one modality of one sample, positions ascending: what the encoder sees, or what the decoder is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selection {
    /// What the tokens describe.
    pub modality: Modality,
    /// Where they stand in the clip.
    pub positions: Vec<i64>,
    /// Their ids.
    pub tokens: Vec<i64>,
}

/// One sample of a batch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BatchRow {
    /// What the encoder sees, modalities in the order of their index.
    pub visible: Vec<Selection>,
    /// What the decoder is asked for, likewise.
    pub targets: Vec<Selection>,
}

/// A batch on a device. Rows are as long as the longest of the batch, and padded behind; the masks say what counts.
#[derive(Debug)]
pub struct Batch {
    /// Ids, modalities and positions of what is visible, i64 `[batch, visible]`.
    pub(crate) visible: Rows,
    /// Ids, modalities and positions of the targets, i64 `[batch, queries]`.
    pub(crate) targets: Rows,
}

/// Padded rows on a device.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) tokens: Tensor,
    pub(crate) modality: Tensor,
    pub(crate) position: Tensor,
    /// bool, true where there is a token.
    pub(crate) mask: Tensor,
    /// Places of every modality's tokens among the flattened rows, i64.
    pub(crate) places: [Tensor; 4],
}

impl Batch {
    /// Puts samples together. Tokens and positions are checked against the model.
    pub fn new(config: &ModelConfig, rows: &[BatchRow], device: Device) -> Result<Self> {
        for selection in rows.iter().flat_map(|row| row.visible.iter().chain(&row.targets)) {
            check(config, selection)?;
        }
        let visible: Vec<&[Selection]> = rows.iter().map(|row| row.visible.as_slice()).collect();
        let targets: Vec<&[Selection]> = rows.iter().map(|row| row.targets.as_slice()).collect();
        Ok(Self { visible: Rows::new(&visible, device)?, targets: Rows::new(&targets, device)? })
    }

    /// Whether anything is asked for.
    pub fn has_targets(&self) -> bool {
        self.targets.places.iter().any(|places| places.numel() > 0)
    }

    /// Tokens that are visible and tokens that are targets, pads left out: what the length of a training counts.
    pub fn n_tokens(&self) -> usize {
        let count = |rows: &Rows| rows.places.iter().map(Tensor::numel).sum::<usize>();
        count(&self.visible) + count(&self.targets)
    }
}

impl Rows {
    fn new(rows: &[&[Selection]], device: Device) -> Result<Self> {
        let length = |row: &[Selection]| row.iter().map(|selection| selection.tokens.len()).sum::<usize>();
        let longest = rows.iter().map(|row| length(row)).max().unwrap_or(0);
        let n = rows.len() * longest;
        let (mut tokens, mut modality, mut position) = (vec![0_i64; n], vec![0_i64; n], vec![0_i64; n]);
        let mut mask = vec![false; n];
        let mut places: [Vec<i64>; 4] = Default::default();
        for (row, selections) in rows.iter().enumerate() {
            let mut place = row * longest;
            for selection in *selections {
                let index = selection.modality.index();
                for (&token, &at) in selection.tokens.iter().zip(&selection.positions) {
                    (tokens[place], modality[place], position[place], mask[place]) = (token, index as i64, at, true);
                    places[index].push(place as i64);
                    place += 1;
                }
            }
        }
        let shape = [rows.len() as i64, longest as i64];
        let i64s = |values: &[i64], shape: &[i64]| Tensor::f_from_slice(values)?.f_reshape(shape)?.f_to_device(device);
        let place = |index: usize| i64s(&places[index], &[-1]);
        let build = || -> Result<Self, tch::TchError> {
            Ok(Self {
                tokens: i64s(&tokens, &shape)?,
                modality: i64s(&modality, &shape)?,
                position: i64s(&position, &shape)?,
                mask: Tensor::f_from_slice(&mask)?.f_reshape(shape)?.f_to_device(device)?,
                places: [place(0)?, place(1)?, place(2)?, place(3)?],
            })
        };
        build().map_err(TrainError::operation("make a batch"))
    }
}

fn check(config: &ModelConfig, selection: &Selection) -> Result<()> {
    let modality = selection.modality;
    let inside = |what, values: &[i64], limit: usize| {
        let outside = values.iter().find(|value| !usize::try_from(**value).is_ok_and(|value| value < limit));
        outside.map_or(Ok(()), |&got| Err(TrainError::Range { modality: modality.name(), what, got, limit }))
    };
    inside("token", &selection.tokens, config.vocabulary(modality))?;
    inside("position", &selection.positions, config.n_tokens(modality))
}
