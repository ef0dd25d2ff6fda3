use super::validation::Bests;
use super::{Pretraining, PretrainingError, PretrainingSettings, Progress, Validation};
use crate::TrainError;
use crate::checkpoint::Checkpoint;
use egom2p_model::weights::WeightsPart;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tch::Tensor;

const FIRST: &str = "optimizer.first.";
const SECOND: &str = "optimizer.second.";
/// Letters of a value that a message quotes.
const QUOTED: usize = 80;

/// What a checkpoint stores besides tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    progress: Progress,
    settings: PretrainingSettings,
    /// The position of the stream; of several ranks, the first one's.
    stream: Value,
    /// Those of the other ranks' streams, by rank.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    other_streams: Vec<Value>,
    /// The best evaluations; null for a training without validation.
    validation: Value,
}

impl Pretraining {
    /// What this training needs to go on from here; of several ranks, all ask for it and get the same. The tensors share
    /// their values with the network and the optimiser: write or copy them before the next step.
    pub fn checkpoint(&self) -> Result<Checkpoint, PretrainingError> {
        if self.interrupted {
            return Err(PretrainingError::Interrupted);
        }
        let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
        for (name, tensor) in self.network.parameters().iter() {
            tensors.insert(name.to_owned(), tensor.detach());
        }
        for (name, first, second) in self.optimizer.moments() {
            tensors.insert(format!("{FIRST}{name}"), first.detach());
            tensors.insert(format!("{SECOND}{name}"), second.detach());
        }
        let mut streams = self.positions()?.into_iter();
        let state = State {
            progress: self.progress,
            settings: self.settings.clone(),
            stream: streams.next().unwrap_or_default(),
            other_streams: streams.collect(),
            validation: self.validation.as_ref().map(Validation::state).unwrap_or_default(),
        };
        Ok(Checkpoint {
            step: self.progress.steps,
            config: self.config.clone(),
            part: WeightsPart::Model,
            tensors,
            state: json!(state),
        })
    }

    /// Goes to where a checkpoint was made, which must be of a training of this model, by these settings and of as many
    /// ranks; they all restore the same one.
    ///
    /// All but the stream's position is checked before anything changes; where the stream refuses its position, the
    /// training is as after a failed step.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), PretrainingError> {
        let state = self.matching_state(checkpoint)?;
        let parameters: Vec<(&str, &Tensor)> = self.network.parameters().iter().collect();
        let mut copies = Vec::with_capacity(checkpoint.tensors.len());
        for (name, parameter) in parameters {
            copies.push((parameter.shallow_clone(), stored(checkpoint, name, parameter)?));
        }
        for (name, first, second) in self.optimizer.moments() {
            copies.push((first.shallow_clone(), stored(checkpoint, &format!("{FIRST}{name}"), first)?));
            copies.push((second.shallow_clone(), stored(checkpoint, &format!("{SECOND}{name}"), second)?));
        }
        let bests = self.matching_bests(&state.validation)?;
        let rank = match &self.ranks {
            Some(ranks) => {
                ranks.agree("checkpoint", &checkpoint.state.to_string())?;
                ranks.rank()
            }
            None => 0,
        };
        self.interrupted = true;
        let stream = if rank == 0 { &state.stream } else { &state.other_streams[rank - 1] };
        let sought = self.stream.seek(stream).map_err(PretrainingError::from);
        self.of_all_ranks(sought)?;
        {
            let _no_gradient = tch::no_grad_guard();
            for (mut target, source) in copies {
                target.f_copy_(source).map_err(TrainError::operation("restore a tensor"))?;
            }
        }
        self.optimizer.clear_gradients()?;
        self.optimizer.set_n_steps(state.progress.steps);
        self.progress = state.progress;
        if let (Some(validation), Some(bests)) = (&mut self.validation, bests) {
            validation.set_bests(bests);
        }
        self.interrupted = false;
        Ok(())
    }

    /// The stored best evaluations of this training's tasks; `None` where nothing was evaluated.
    fn matching_bests(&self, stored: &Value) -> Result<Option<Bests>, PretrainingError> {
        match &self.validation {
            _ if stored.is_null() => Ok(None),
            Some(validation) => validation.matching_bests(stored).map(Some),
            None => Err(PretrainingError::State {
                field: "validation".to_owned(),
                stored: quoted(&stored.to_string()),
                expected: "none".to_owned(),
                mend: "resume with the validation samples of the checkpoint",
            }),
        }
    }

    fn matching_state(&self, checkpoint: &Checkpoint) -> Result<State, PretrainingError> {
        let (was, is) = (json!(checkpoint.config), json!(self.config));
        if let Some(difference) = Difference::first("model", &was, &is) {
            return Err(difference.refused("use the model of the checkpoint"));
        }
        let state = State::deserialize(&checkpoint.state).map_err(|error| PretrainingError::State {
            field: "state".to_owned(),
            stored: quoted(&error.to_string()),
            expected: "that of a pretraining".to_owned(),
            mend: "give a checkpoint of a pretraining",
        })?;
        let (was, is) = (json!(state.settings), json!(self.settings));
        if let Some(difference) = Difference::first("settings", &was, &is) {
            return Err(difference.refused("resume with the settings of the checkpoint, or start from its weights"));
        }
        let (was, is) = (json!(state.other_streams.len() + 1), json!(self.n_ranks()));
        if let Some(difference) = Difference::first("number of ranks", &was, &is) {
            return Err(
                difference.refused("start as many ranks as the checkpoint has, or a new training from its weights")
            );
        }
        let (was, is) = (json!(checkpoint.step), json!(state.progress.steps));
        if let Some(difference) = Difference::first("step", &was, &is) {
            return Err(difference.refused("give a checkpoint that nobody edited"));
        }
        Ok(state)
    }
}

/// The first place where two JSON values differ.
struct Difference {
    field: String,
    stored: String,
    expected: String,
}

impl Difference {
    fn first(field: &str, stored: &Value, expected: &Value) -> Option<Self> {
        if stored == expected {
            return None;
        }
        if let (Value::Object(fields), Value::Object(others)) = (stored, expected) {
            let mut names = fields.keys().chain(others.keys());
            let value =
                |fields: &serde_json::Map<String, Value>, name: &str| fields.get(name).cloned().unwrap_or_default();
            return names
                .find_map(|name| Self::first(&format!("{field}.{name}"), &value(fields, name), &value(others, name)));
        }
        let (stored, expected) = (quoted(&stored.to_string()), quoted(&expected.to_string()));
        Some(Self { field: field.to_owned(), stored, expected })
    }

    fn refused(self, mend: &'static str) -> PretrainingError {
        let Self { field, stored, expected } = self;
        PretrainingError::State { field, stored, expected, mend }
    }
}

/// The tensor of a checkpoint that goes where another one is.
fn stored<'a>(checkpoint: &'a Checkpoint, name: &str, place: &Tensor) -> Result<&'a Tensor, PretrainingError> {
    let refuse = |stored: &str| PretrainingError::State {
        field: format!("tensor {name}"),
        stored: stored.to_owned(),
        expected: format!("of shape {:?}", place.size()),
        mend: "give a whole checkpoint of this model",
    };
    let tensor = checkpoint.tensors.get(name).ok_or_else(|| refuse("missing"))?;
    if tensor.size() != place.size() {
        return Err(refuse(&format!("of shape {:?}", tensor.size())));
    }
    Ok(tensor)
}

pub(super) fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).flat_map(char::escape_debug).collect()
}
