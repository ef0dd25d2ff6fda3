use egom2p_graph::Literal;

use super::super::{Case, Generator, Tolerance};

/// The published levels, and others with other smallest and largest digits.
const LEVELS: [(&str, &[usize]); 4] = [
    ("published", &[8, 8, 8, 5, 5, 5]),
    ("one_channel", &[7]),
    ("two_values", &[2, 3, 2]),
    ("many_values", &[240, 16]),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, levels) in LEVELS {
        for (size, axes) in [("clip", [2, 2, 3, 4]), ("one", [1, 1, 1, 1]), ("empty", [0, 1, 2, 2])] {
            let [batch, t, h, w] = axes;
            cases.push(Case::new(&format!("fsq_quantize/{name}_{size}"), Tolerance::EXACT, |g, feed| {
                let digits: Vec<usize> =
                    (0..batch).flat_map(|_| levels.iter().flat_map(|&count| vec![count; t * h * w])).collect();
                let values: Vec<f32> = digits.iter().map(|&count| clear_latent(&mut feed.generator, count)).collect();
                let axes =
                    [("batch", batch).into(), levels.len().into(), ("t", t).into(), ("h", h).into(), ("w", w).into()];
                feed.these(g, "latent", axes, &values).fsq_quantize(levels)
            }));
            cases.push(Case::new(&format!("fsq_dequantize/{name}_{size}"), Tolerance::EXACT, |g, feed| {
                let codes = levels.iter().product();
                let axes = [("batch", batch).into(), ("t", t).into(), ("h", h).into(), ("w", w).into()];
                feed.ids(g, "tokens", axes, codes).fsq_dequantize(levels)
            }));
        }
    }
    cases.push(Case::new("fsq_dequantize/first_and_last", Tolerance::EXACT, |g, feed| {
        let first = feed.ids(g, "first", [1.into(), ("t", 1).into(), ("h", 1).into(), ("w", 3).into()], 1);
        let ends = g.constant(Literal::i64([2, 1, 1, 1], vec![0, 63_999]).expect("counted"));
        (first + ends).fsq_dequantize(&[8, 8, 8, 5, 5, 5])
    }));
    cases.push(Case::new("fsq_quantize/far_out", Tolerance::EXACT, |g, feed| {
        let axes = [("batch", 1).into(), 2.into(), ("t", 1).into(), ("h", 2).into(), ("w", 2).into()];
        let values = [1e3, -1e3, 30.0, -30.0, f32::MAX, f32::MIN, 9.0, -9.0];
        feed.these(g, "latent", axes, &values).fsq_quantize(&[8, 5])
    }));
    cases
}

/// A latent whose bounded value keeps away from the boundaries between digits, where rounding decides.
fn clear_latent(generator: &mut Generator, count: usize) -> f32 {
    let half = (count - 1) as f64 * 1.001 / 2.0;
    let offset = if count.is_multiple_of(2) { 0.5 } else { 0.0 };
    loop {
        let latent = generator.float(3.0);
        let bounded = (f64::from(latent) + f64::atanh(offset / half)).tanh() * half - offset;
        if (bounded - bounded.round()).abs() < 0.499 {
            return latent;
        }
    }
}
