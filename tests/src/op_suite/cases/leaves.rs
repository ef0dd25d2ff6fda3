//! Inputs, parameters and constants, small and large.

use egom2p_graph::Literal;

use super::super::{Case, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("leaves/input", Tolerance::EXACT, |g, feed| feed.floats(g, "x", [("batch", 2).into(), 3.into()])),
        Case::new("leaves/input_bool", Tolerance::EXACT, |g, feed| feed.coins(g, "x", [("batch", 2).into(), 3.into()])),
        Case::new("leaves/param", Tolerance::EXACT, |g, feed| {
            let zero = feed.floats_of(g, "zero", [("batch", 2).into(), 1.into(), 1.into()], |_| 0.0);
            zero + g.enter("block.0", || g.param("weight", &[3, 5]))
        }),
        Case::new("leaves/param_twice", Tolerance::ROUNDED, |g, feed| {
            let x = feed.floats(g, "x", [("batch", 2).into(), 5.into()]);
            x * g.param("weight", &[5]) + g.param("weight", &[5])
        }),
        Case::new("leaves/constant", Tolerance::EXACT, |g, feed| {
            let mask = g.constant(Literal::bool([2, 2], vec![true, false, false, true]).expect("counted"));
            feed.coins(g, "x", [("batch", 3).into(), 1.into(), 1.into()]).and(mask)
        }),
        Case::new("leaves/constant_large", Tolerance::EXACT, |g, feed| {
            let table = (0..400).map(|i| (i as f32 - 123.0) / 8.0).collect();
            let table = g.constant(Literal::f32([2, 200], table).expect("counted"));
            feed.floats_of(g, "x", [("batch", 3).into(), 1.into(), 200.into()], |_| 0.5) * table
        }),
    ]
}
