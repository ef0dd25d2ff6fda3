use super::{Budgets, Masking, MaskingError, MaskingSettings, ModalityWeights};
use crate::{BatchRow, PretrainingSettings, Selection};
use egom2p_model::{Modality, ModelConfig, Preset};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Ids that tell where they stand.
fn tokens(config: &ModelConfig, present: [bool; 4]) -> [Option<Vec<i64>>; 4] {
    Modality::ALL.map(|modality| {
        let first = 10_000 * modality.index() as i64;
        present[modality.index()].then(|| (first..first + config.n_tokens(modality) as i64).collect())
    })
}

fn published(visible_tokens: usize, target_tokens: usize) -> MaskingSettings {
    MaskingSettings { visible_tokens, target_tokens, ..PretrainingSettings::published().masking }
}

fn counts(selections: &[Selection]) -> [usize; 4] {
    let count = |modality| selections.iter().filter(|s| s.modality == modality).map(|s| s.positions.len()).sum();
    Modality::ALL.map(count)
}

fn assert_selections(config: &ModelConfig, selections: &[Selection]) -> Result<(), TestCaseError> {
    prop_assert!(selections.is_sorted_by(|a, b| a.modality < b.modality));
    for Selection { modality, positions, tokens } in selections {
        prop_assert!(!positions.is_empty() && positions.len() == tokens.len());
        prop_assert!(positions.is_sorted_by(|a, b| a < b));
        prop_assert!(positions[0] >= 0 && *positions.last().unwrap() < config.n_tokens(*modality) as i64);
        let first = 10_000 * modality.index() as i64;
        prop_assert!(positions.iter().zip(tokens).all(|(position, token)| first + position == *token));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn rows_keep_to_their_budgets(
        visible in 1_usize..3000,
        targets in 1_usize..3000,
        alpha in prop_oneof![Just(0.001), Just(0.01), Just(0.1), Just(1.0), Just(10.0), Just(1e6)],
        mask in 1_u8..16,
        (seed, index) in any::<(u64, u64)>(),
    ) {
        let config = Preset::Tiny.config();
        let present = [0, 1, 2, 3].map(|bit| mask >> bit & 1 == 1);
        let settings = MaskingSettings { alphas: vec![alpha], ..published(visible, targets) };
        let masking = Masking::new(&settings, &config, seed);
        let row = masking.mask(&tokens(&config, present), index).unwrap();
        assert_selections(&config, &row.visible)?;
        assert_selections(&config, &row.targets)?;
        let budgets = masking.budgets(present, index);
        prop_assert_eq!(counts(&row.visible), budgets.visible);
        prop_assert_eq!(counts(&row.targets), budgets.targets);
        prop_assert!(budgets.visible.iter().sum::<usize>() <= visible);
        prop_assert!(budgets.targets.iter().sum::<usize>() <= targets);
        // Where nothing is cut, nothing is lost.
        let full = |budget: &[usize; 4], room: &dyn Fn(Modality) -> usize| {
            Modality::ALL.iter().any(|&modality| present[modality.index()] && budget[modality.index()] >= room(modality))
        };
        if !full(&budgets.visible, &|modality| config.n_tokens(modality)) {
            prop_assert_eq!(budgets.visible.iter().sum::<usize>(), visible);
        }
        let room = |modality: Modality| config.n_tokens(modality) - budgets.visible[modality.index()];
        prop_assert!(Modality::ALL.iter().all(|&modality| budgets.targets[modality.index()] <= room(modality)));
        if !full(&budgets.targets, &room) {
            prop_assert_eq!(budgets.targets.iter().sum::<usize>(), targets);
        }
        for (modality, present) in Modality::ALL.into_iter().zip(present) {
            prop_assert!(present || budgets.visible[modality.index()] + budgets.targets[modality.index()] == 0);
        }
        let both: Vec<_> = row.visible.iter().chain(&row.targets).flat_map(|s| &s.tokens).collect();
        prop_assert_eq!(both.iter().collect::<BTreeSet<_>>().len(), both.len());
    }
}

#[test]
fn a_row_follows_from_seed_and_index() {
    let config = Preset::Tiny.config();
    let tokens = tokens(&config, [true; 4]);
    let row =
        |seed, index| -> BatchRow { Masking::new(&published(512, 512), &config, seed).mask(&tokens, index).unwrap() };
    assert_eq!(row(1, 7), row(1, 7));
    assert_ne!(row(1, 7), row(1, 8));
    assert_ne!(row(1, 7), row(2, 7));
}

#[test]
fn every_position_is_as_likely_as_any_other() {
    let config = Preset::Tiny.config();
    let settings = MaskingSettings { alphas: vec![1.0], ..published(10, 5) };
    let masking = Masking::new(&settings, &config, 3);
    let camera = tokens(&config, [true, false, false, false]);
    let n_rows = 6000_u64;
    let mut n_chosen = [[0_u64; 30]; 2];
    for index in 0..n_rows {
        let BatchRow { visible, targets } = masking.mask(&camera, index).unwrap();
        for (chosen, selection) in n_chosen.iter_mut().zip([&visible[0], &targets[0]]) {
            selection.positions.iter().for_each(|&position| chosen[position as usize] += 1);
        }
    }
    // Each position is drawn with probability 10/30 and 5/30: deviations of 36.5 and 28.9, of which four are allowed.
    for (chosen, expected, deviation) in [(n_chosen[0], 2000, 36.5), (n_chosen[1], 1000, 28.9)] {
        assert!(chosen.iter().all(|&n| (n as f64 - f64::from(expected)).abs() < 4.0 * deviation), "{chosen:?}");
    }
}

#[test]
fn components_are_equally_likely_and_shared_by_both_budgets() {
    let config = Preset::Base.config();
    // One component gives everything to one modality, the other shares out equally.
    let settings = MaskingSettings { alphas: vec![0.001, 1e6], ..published(2000, 2000) };
    let masking = Masking::new(&settings, &config, 0);
    let (mut n_shared, mut n_different) = (0, 0);
    for index in 0..2000 {
        let Budgets { visible, targets } = masking.budgets([false, true, false, true], index);
        let shared = |budget: [usize; 4]| budget[1].abs_diff(budget[3]) < 200;
        n_different += i32::from(shared(visible) != shared(targets));
        n_shared += i32::from(shared(visible));
    }
    // The small alpha shares out equally by chance too, with a probability of 2e-4.
    assert!(n_different <= 4, "{n_different}");
    // Four deviations of a fair coin.
    assert!((n_shared - 1000).abs() < 90, "{n_shared}");
}

/// A Dirichlet share's mean is its alpha over the sum of all, and its variance follows from both.
#[test]
fn weights_shift_what_is_visible_and_what_is_asked_for() {
    let config = Preset::Base.config();
    let visible_weights = ModalityWeights { camera: 0.0, depth: 1.0, gaze: 0.0, rgb: 3.0 };
    let target_weights = ModalityWeights { rgb: 0.0, ..ModalityWeights::EQUAL };
    let settings = MaskingSettings { alphas: vec![1.0], visible_weights, target_weights, ..published(2000, 20) };
    settings.validate().unwrap();
    let masking = Masking::new(&settings, &config, 5);
    let n_rows = 4000;
    let (mut rgb, mut targets) = (0.0, [0; 4]);
    for index in 0..n_rows {
        let budgets = masking.budgets([true; 4], index);
        assert_eq!((budgets.visible[0], budgets.visible[2]), (0, 0));
        rgb += budgets.visible[3] as f64 / 2000.0;
        targets = [0, 1, 2, 3].map(|modality| targets[modality] + budgets.targets[modality]);
    }
    // Beta(3, 1): mean 0.75, variance 3 / (16 * 5); four deviations of the mean.
    let deviation = (3.0 / 80.0_f64 / n_rows as f64).sqrt();
    assert!((rgb / n_rows as f64 - 0.75).abs() < 4.0 * deviation, "{rgb}");
    assert_eq!(targets[3], 0);
    // Dirichlet(1, 1, 1): every share has mean 1/3 and variance 2 / 36.
    let deviation = (2.0 / 36.0_f64 / n_rows as f64).sqrt();
    let of_all = |n: usize| n as f64 / (20.0 * n_rows as f64);
    assert!(targets[..3].iter().all(|&n| (of_all(n) - 1.0 / 3.0).abs() < 4.0 * deviation), "{targets:?}");
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let none = ModalityWeights { camera: 0.0, depth: 0.0, gaze: 0.0, rgb: 0.0 };
    for weights in [none, ModalityWeights { rgb: -1.0, ..ModalityWeights::EQUAL }] {
        let settings = MaskingSettings { target_weights: weights, ..published(8, 8) };
        assert_eq!(settings.validate().unwrap_err().to_string().lines().count(), 2);
    }
    // Nothing of what may be seen is there.
    let settings = MaskingSettings { visible_weights: ModalityWeights { rgb: 1.0, ..none }, ..published(8, 8) };
    let budgets = Masking::new(&settings, &Preset::Tiny.config(), 0).budgets([true, false, false, false], 0);
    assert_eq!((budgets.visible, budgets.targets), ([0; 4], [8, 0, 0, 0]));
}

#[test]
fn tokens_that_do_not_fit_are_errors() {
    let config = Preset::Tiny.config();
    let masking = Masking::new(&published(8, 8), &config, 0);
    assert_eq!(masking.mask(&[const { None }; 4], 0), Err(MaskingError::NoModality));
    let mut short = tokens(&config, [true; 4]);
    short[2].as_mut().unwrap().pop();
    let error = masking.mask(&short, 0).unwrap_err();
    assert_eq!(error, MaskingError::Length { modality: "gaze", expected: 30, actual: 29 });
    assert_eq!(error.to_string().lines().count(), 2);
    assert_eq!(masking.budgets([false; 4], 0), Budgets::default());
}
