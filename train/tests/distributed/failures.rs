//! What ends all ranks together.

use super::clips::{VOCABULARY, config, settings};
use super::processes::{N_RANKS, Processes, of_this_process};
use super::streams::Share;
use egom2p_graph::{ParameterError, Parameters};
use egom2p_train::distributed::{DistributedError, Ranks};
use egom2p_train::{Initial, Pretraining, PretrainingError, PretrainingSettings};
use std::{fs, rc::Rc};
use tch::{Device, Kind, Tensor};

/// An RGB token that no clip but the odd one has, with a row of NaN in the encoder's table.
const POISON: i64 = VOCABULARY as i64 - 1;

struct Poisoned(Initial);

impl Parameters for Poisoned {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let mut values = self.0.parameter(name, shape)?;
        if name == "encoder_embeddings.tok_rgb.token_emb.weight" {
            values[POISON as usize * shape[1]..].fill(f32::NAN);
        }
        Ok(values)
    }
}

/// Runs `act` as every rank, and fails where one fails; gives what they said.
fn on_all_ranks(test: &str, act: impl Fn(&Rc<Ranks>) -> String) -> Option<[String; N_RANKS]> {
    if let Some((folder, ranks)) = of_this_process() {
        fs::write(folder.join(ranks.rank().to_string()), act(&ranks)).unwrap();
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    Processes::of_test(test, folder.path()).succeed();
    Some([0, 1].map(|rank: usize| fs::read_to_string(folder.path().join(rank.to_string())).unwrap()))
}

fn training(settings: &PretrainingSettings, ranks: &Rc<Ranks>, odd: u64) -> Result<Pretraining, PretrainingError> {
    let mut stream = Share::of(ranks.rank(), ranks.n_ranks(), settings.batch.samples);
    (stream.clips.odd, stream.clips.odd_token) = (odd, POISON);
    let parameters = Poisoned(Initial::new(&config(), 0));
    Pretraining::new(settings, &config(), &parameters, Box::new(stream), Device::Cpu)?.join(Rc::clone(ranks))
}

#[test]
fn a_loss_that_is_no_number_on_one_rank_stops_all() {
    let said = on_all_ranks("failures::a_loss_that_is_no_number_on_one_rank_stops_all", |ranks| {
        let mut settings = settings(4, 2, 10);
        (settings.masking.visible_tokens, settings.masking.alphas) = (24, vec![1e6]);
        // Clip 7 is the last one of the second step, on the second rank.
        let mut training = training(&settings, ranks, 7).unwrap();
        let error = (0..10).find_map(|_| training.step().err()).unwrap();
        assert_eq!(training.progress().steps, 1);
        assert!(matches!(training.step(), Err(PretrainingError::Interrupted)));
        error.to_string()
    });
    let Some([first, second]) = said else { return };
    assert!(second.starts_with("the loss of step 1 is NaN, with samples clip-6 of dataset 0, clip-7"), "{second}");
    assert_eq!(first, format!("rank 1: {second}"));
    assert_eq!(first.lines().count(), 2);
}

#[test]
fn ranks_that_cannot_train_together_are_told() {
    let said = on_all_ranks("failures::ranks_that_cannot_train_together_are_told", |ranks| {
        let odd = training(&settings(6, 2, 10), ranks, u64::MAX).unwrap_err();
        let mut other = settings(4, 2, 10);
        other.seed = ranks.rank() as u64;
        let other = training(&other, ranks, u64::MAX).unwrap_err();
        assert!(matches!(
            other,
            PretrainingError::Distributed(DistributedError::Disagreement { rank: 1, what: "model or settings" })
        ));
        format!("{odd}\n{other}")
    });
    let Some(said) = said else { return };
    for said in said {
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 4, "{said}");
        assert_eq!(lines[0], "the 3 passes of a step cannot be divided over 2 ranks");
        assert_eq!(lines[2], "rank 1 has another model or settings than rank 0");
    }
}

#[test]
fn texts_numbers_and_flags_go_round() {
    let said = on_all_ranks("failures::texts_numbers_and_flags_go_round", |ranks| {
        let rank = ranks.rank();
        assert_eq!(ranks.gather_texts(["", "ä, and more"][rank]).unwrap(), ["", "ä, and more"]);
        assert_eq!(ranks.gather_texts("").unwrap(), ["", ""]);
        assert_eq!(ranks.gather_numbers(&[rank as f64, 0.1]).unwrap(), [[0.0, 0.1], [1.0, 0.1]]);
        assert!(ranks.any(rank == 1).unwrap() && ranks.any(rank == 0).unwrap() && !ranks.any(false).unwrap());
        let tensor = Tensor::full([2, 3], rank as f64, (Kind::Float, Device::Cpu));
        ranks.send([&tensor]).unwrap();
        assert_eq!(tensor, Tensor::zeros([2, 3], (Kind::Float, Device::Cpu)));
        ranks.barrier().unwrap();
        rank.to_string()
    });
    assert!(said.is_none_or(|said| said == ["0", "1"]));
}
