//! Normalisations; means and variances in double precision.

use super::Operands;
use crate::LiteralData;

pub(super) fn layer_norm(operands: &Operands<'_>, epsilon: f32, bias: bool) -> LiteralData {
    let weight = operands.f32(1);
    let bias = bias.then(|| operands.f32(2));
    let mut values = Vec::with_capacity(operands.count());
    for row in operands.f32(0).chunks_exact(weight.len()) {
        let (mean, scale) = mean_and_scale(row.iter().copied(), epsilon);
        values.extend(row.iter().enumerate().map(|(index, &x)| {
            let shift = bias.map_or(0.0, |bias| f64::from(bias[index]));
            ((f64::from(x) - mean) * scale * f64::from(weight[index]) + shift) as f32
        }));
    }
    LiteralData::F32(values)
}

pub(super) fn frame_norm(operands: &Operands<'_>, epsilon: f32) -> LiteralData {
    let [batch, channels, frames, height, width] = operands.sizes(0);
    let (x, weight, bias) = (operands.f32(0), operands.f32(1), operands.f32(2));
    let pixels = height * width;
    let mut values = vec![0.0; x.len()];
    for (sample, frame) in (0..batch).flat_map(|sample| (0..frames).map(move |frame| (sample, frame))) {
        let plane = |channel: usize| {
            let start = ((sample * channels + channel) * frames + frame) * pixels;
            start..start + pixels
        };
        let all = (0..channels).flat_map(|channel| x[plane(channel)].iter().copied());
        let (mean, scale) = mean_and_scale(all, epsilon);
        for channel in 0..channels {
            let (weight, bias) = (f64::from(weight[channel]), f64::from(bias[channel]));
            for (value, &x) in values[plane(channel)].iter_mut().zip(&x[plane(channel)]) {
                *value = ((f64::from(x) - mean) * scale * weight + bias) as f32;
            }
        }
    }
    LiteralData::F32(values)
}

pub(super) fn l2_normalize(operands: &Operands<'_>, epsilon: f32) -> LiteralData {
    let size = operands.literal(0).shape().last().copied().unwrap_or(1);
    let mut values = Vec::with_capacity(operands.count());
    for row in operands.f32(0).chunks_exact(size) {
        let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        let divisor = norm.max(f64::from(epsilon));
        values.extend(row.iter().map(|&x| (f64::from(x) / divisor) as f32));
    }
    LiteralData::F32(values)
}

/// The mean and `1 / sqrt(variance + epsilon)`, biased variance.
fn mean_and_scale(values: impl Iterator<Item = f32> + Clone, epsilon: f32) -> (f64, f64) {
    let (sum, count) = values.clone().fold((0.0, 0.0), |(sum, count), x| (sum + f64::from(x), count + 1.0));
    let mean = sum / count;
    let variance = values.map(|x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
    (mean, (variance + f64::from(epsilon)).sqrt().recip())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::interpreter::trial::{Table, f32s, run};
    use crate::{Builder, DType, interpreter::interpret};

    #[test]
    fn layer_norm_centres_and_scales_rows() {
        let parameters = Table(BTreeMap::from([("norm.weight", vec![1.0, 2.0]), ("norm.bias", vec![0.0, 10.0])]));
        let g = Builder::new("trial");
        let x = g.input("x", DType::F32, [2_usize, 2]);
        let (plain, shifted) = (x.layer_norm("norm", 0.0, false).id(), x.layer_norm("norm", 3.0, true).id());
        let graph = g.finish([("plain", plain), ("shifted", shifted)]).expect("a sound graph");
        let inputs = [("x", f32s(&[2, 2], &[1.0, 3.0, 6.0, 4.0]))];
        let outputs = interpret(&graph, &inputs, &parameters).expect("parameters are there");
        assert_eq!(outputs[0].1, f32s(&[2, 2], &[-1.0, 2.0, 1.0, -2.0]));
        assert_eq!(outputs[1].1, f32s(&[2, 2], &[-0.5, 11.0, 0.5, 9.0]));
    }

    #[test]
    fn a_constant_row_becomes_the_bias() {
        let parameters = Table(BTreeMap::from([("norm.weight", vec![5.0; 3]), ("norm.bias", vec![1.0, 2.0, 3.0])]));
        let g = Builder::new("trial");
        let y = g.input("x", DType::F32, [1_usize, 3]).layer_norm("norm", 1e-6, true).id();
        let graph = g.finish([("y", y)]).expect("a sound graph");
        let outputs = interpret(&graph, &[("x", f32s(&[1, 3], &[7.0; 3]))], &parameters).expect("parameters are there");
        assert_eq!(outputs[0].1, f32s(&[1, 3], &[1.0, 2.0, 3.0]));
    }

    #[test]
    fn parameters_that_do_not_fit_are_errors() {
        let g = Builder::new("trial");
        let y = g.input("x", DType::F32, [1_usize, 3]).layer_norm("norm", 1e-6, false).id();
        let graph = g.finish([("y", y)]).expect("a sound graph");
        let message = |table| {
            let error =
                interpret(&graph, &[("x", f32s(&[1, 3], &[7.0; 3]))], &Table(table)).expect_err("no such values");
            error.to_string()
        };
        let mend = "use weights of the same preset as the graph";
        assert_eq!(message(BTreeMap::new()), format!("no parameter called norm.weight\n{mend}"));
        let short = BTreeMap::from([("norm.weight", vec![1.0])]);
        assert_eq!(message(short), format!("parameter norm.weight of shape [3] came with 1 values\n{mend}"));
    }

    #[test]
    fn frame_norm_takes_every_frame_by_itself() {
        // Two channels, two frames of one pixel: frame 0 holds 1 and 3, frame 1 holds 10 and 10.
        let x = f32s(&[1, 2, 2, 1, 1], &[1.0, 10.0, 3.0, 10.0]);
        let inputs = [x, f32s(&[2], &[1.0, 2.0]), f32s(&[2], &[0.0, 5.0])];
        let y = run(inputs, |_, [x, weight, bias]| x.frame_norm(3.0, weight, bias));
        assert_eq!(y, Ok(f32s(&[1, 2, 2, 1, 1], &[-0.5, 0.0, 6.0, 5.0])));
    }

    #[test]
    fn l2_normalize_divides_by_the_length_or_epsilon() {
        let x = f32s(&[3, 2], &[3.0, -4.0, 0.0, 0.0, 0.25, 0.0]);
        let y = run([x], |_, [x]| x.l2_normalize(0.5));
        assert_eq!(y, Ok(f32s(&[3, 2], &[0.6, -0.8, 0.0, 0.0, 0.5, 0.0])));
    }
}
