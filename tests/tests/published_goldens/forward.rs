//! One pass over a batch with masks and padding: encoder, decoder and heads, and values inside them.

use std::num::NonZeroUsize;

use egom2p::stages::Stages as _;
use egom2p_engine_core::Tensor;
use egom2p_model::{Modality, Stage, Variant};
use egom2p_tests::published::{BuiltModel, Comparison, Form, Golden, InsideEngine, ModelRecipe, Place};

use crate::{ONE_THREAD, all_threads, finish, golden};

/// What a masked row holds here: nothing that any table has.
const NONSENSE: i64 = -999_999;

/// A visible token or a target.
#[derive(Clone, Copy)]
struct Row {
    modality: Modality,
    position: i64,
    token: i64,
}

/// The rows of a batch, every sample's from its first place on.
struct Rows {
    samples: Vec<Vec<Row>>,
    /// Places of a sample; what its rows leave free is padding.
    width: usize,
}

/// What the stages gave for a batch.
struct Passes {
    context: Vec<f32>,
    hidden: Vec<f32>,
    dim: usize,
}

in_every_form!(tiny_forward, slow_full_forward);

fn tiny_forward(form: Form) {
    let Some(golden) = golden("tiny_forward") else { return };
    let model = ModelRecipe::of(&golden, form).build();
    let width = golden.shape("out/context")[1];
    let (visible, targets) = (Rows::of(&golden, "input_mask", width), Rows::of(&golden, "target_mask", width));
    let mut comparison = Comparison::new(&golden, form);
    published_rows(&mut comparison, &golden, &visible, &targets);

    let passes = Passes::run(&model, &visible, &targets, ONE_THREAD);
    let mut compare = |name: &str, rows: &Rows, actual: &[f32]| {
        let dim = passes.dim;
        comparison.part(name, &rows.used(actual, dim), &rows.used(&golden.floats(name), dim));
    };
    compare("out/context", &visible, &passes.context);
    compare("out/decoder_out", &targets, &passes.hidden);
    let place = |path| Place { path, rank: 3 };
    let places = [place("add/"), place("where/Where#4"), place("encoder.0/add/"), place("encoder_norm/")];
    let mut inside = InsideEngine::new(&model, Stage::Encoder, Variant::Masked, &places, ONE_THREAD);
    let values = inside.run(&borrowed(&encoder_inputs(&visible)));
    for (name, value) in ["enc_input", "enc_emb", "enc_block0", "encoder_out"].iter().zip(&values) {
        compare(&format!("out/{name}"), &visible, floats(value));
    }
    let places = [place("add/"), place("decoder.0/add/")];
    let mut inside = InsideEngine::new(&model, Stage::Decoder, Variant::Masked, &places, ONE_THREAD);
    let values = inside.run(&borrowed(&decoder_inputs(&passes.context, &visible, &targets)));
    for (name, value) in ["dec_input", "dec_block0"].iter().zip(&values) {
        compare(&format!("out/{name}"), &targets, floats(value));
    }

    for modality in Modality::ALL {
        let name = format!("out/logits/{}", modality.published_key());
        let logits = passes.logits(&model, &targets, modality, ONE_THREAD);
        comparison.floats(&name, &logits);
        let losses = &golden.description()["losses"]["mod/fp64"];
        let loss = losses[modality.published_key()].as_f64().expect("a loss is a number");
        compare_loss(&mut comparison, &targets, modality, &logits, loss, golden.tolerance(&name));
    }
    finish(comparison, &golden);
}

fn slow_full_forward(form: Form) {
    let Some(golden) = golden("full_forward") else { return };
    let model = ModelRecipe::of(&golden, form).cached();
    let width = |name: &str| golden.description()[name].as_u64().expect("a number") as usize;
    let visible = Rows::of(&golden, "input_mask", width("n_in"));
    let targets = Rows::of(&golden, "target_mask", width("n_out"));
    let mut comparison = Comparison::new(&golden, form);

    let passes = Passes::run(&model, &visible, &targets, all_threads());
    let (visible_stored, targets_stored) = (golden.integers("enc_rows"), golden.integers("dec_rows"));
    comparison.floats("out/context", &pick(&passes.context, &visible_stored, passes.dim));
    comparison.floats("out/decoder_out", &pick(&passes.hidden, &targets_stored, passes.dim));
    let places = [Place { path: "encoder_norm/", rank: 3 }];
    let mut inside = InsideEngine::new(&model, Stage::Encoder, Variant::Masked, &places, all_threads());
    let encoder_out = inside.run(&borrowed(&encoder_inputs(&visible)));
    comparison.floats("out/encoder_out", &pick(floats(&encoder_out[0]), &visible_stored, passes.dim));

    for modality in Modality::ALL {
        let logits = passes.logits(&model, &targets, modality, all_threads());
        compare_largest(&mut comparison, &golden, modality, &logits, model.config().vocabulary(modality));
        let loss = golden.description()["loss_per_modality"][modality.published_key()].as_f64().expect("a number");
        let tolerance = golden.tolerance(&format!("out/logsumexp/{}", modality.published_key()));
        compare_loss(&mut comparison, &targets, modality, &logits, loss, tolerance);
    }
    finish(comparison, &golden);
}

/// That the rows are those that the published code keeps, and its masks those that the stages imply.
fn published_rows(comparison: &mut Comparison<'_>, golden: &Golden, visible: &Rows, targets: &Rows) {
    let id = |row: &Row| golden.description()["mod_ids"][row.modality.published_key()].as_i64().expect("an id");
    for (rows, side) in [(visible, "enc"), (targets, "dec")] {
        comparison.equal(&format!("out/{side}_mask"), &rows.column(|_| 0, 1));
        comparison.equal(&format!("out/{side}_mod_mask"), &rows.column(id, -1));
    }
    comparison.equal("out/target_ids", &targets.column(|row| row.token, 0));
    let hidden = golden.integers("out/dec_attention_mask");
    let mut differing = 0;
    for (sample, rows) in targets.samples.iter().enumerate() {
        for (query, row) in rows.iter().enumerate() {
            for key in 0..targets.width {
                let sees = rows.get(key).is_some_and(|key| key.modality == row.modality);
                let place = (sample * targets.width + query) * targets.width + key;
                differing += usize::from(sees != (hidden[place] == 0));
            }
        }
    }
    comparison.check(differing == 0, &format!("out/dec_attention_mask: {differing} pairs differ"));
}

/// The stored largest logits of a modality's first targets: as values in order, and each by its id.
fn compare_largest(
    comparison: &mut Comparison<'_>,
    golden: &Golden,
    modality: Modality,
    logits: &[f32],
    vocabulary: usize,
) {
    let key = modality.published_key();
    let (name, ids) = (format!("out/top16/{key}"), golden.integers(&format!("out/top16_idx/{key}")));
    let stored = golden.floats(&name);
    let n_stored = stored.len() / golden.shape(&name)[0];
    let rows = || logits.chunks_exact(vocabulary).zip(ids.chunks_exact(n_stored));
    let mut largest = Vec::new();
    for (row, _) in rows() {
        let mut row = row.to_vec();
        row.sort_unstable_by(|a, b| b.total_cmp(a));
        largest.extend_from_slice(&row[..n_stored]);
    }
    comparison.floats(&name, &largest);
    let by_id: Vec<f32> = rows().flat_map(|(row, ids)| ids.iter().map(|&id| row[id as usize])).collect();
    comparison.floats(&name, &by_id);

    // The order of two ids is only certain where their logits are further apart than both may be off. In half precision that
    // is nowhere at this size, and it is counted how many are the same.
    let tolerance = comparison.allowed(&name);
    let leads = stored.chunks_exact(n_stored).map(|row| f64::from(row[0] - row[1]));
    let best = rows().map(|(row, ids)| {
        (row.iter().enumerate().fold(0, |best, (id, &l)| if l > row[best] { id } else { best }) as i64, ids[0])
    });
    let compared = best.zip(leads).filter(|(_, lead)| comparison.is_half() || *lead > tolerance);
    let (best, first): (Vec<i64>, Vec<i64>) = compared.map(|(ids, _)| ids).unzip();
    comparison.agreement(&format!("out/top16_idx/{key}"), &best, &first);

    let name = format!("out/logsumexp/{key}");
    let sums: Vec<f32> = rows().map(|(row, _)| log_sum_exp(row) as f32).collect();
    comparison.floats(&name, &sums);
}

/// The mean cross-entropy of a modality's targets.
fn compare_loss(
    comparison: &mut Comparison<'_>,
    targets: &Rows,
    modality: Modality,
    logits: &[f32],
    expected: f64,
    tolerance: f64,
) {
    let tokens: Vec<i64> = targets.of_modality(modality).map(|row| row.token).collect();
    let rows = logits.chunks_exact(logits.len() / tokens.len()).zip(&tokens);
    let loss = rows.map(|(row, &token)| log_sum_exp(row) - f64::from(row[token as usize])).sum::<f64>();
    let loss = loss / tokens.len() as f64;
    comparison.within(&format!("loss of {modality}"), &[loss as f32], &[expected as f32], tolerance);
}

impl Passes {
    fn run(model: &BuiltModel, visible: &Rows, targets: &Rows, n_threads: NonZeroUsize) -> Self {
        let mut stages = model.stages(n_threads);
        let inputs = encoder_inputs(visible);
        let context = stages.run_one(Stage::Encoder, &borrowed(&inputs)).unwrap_or_else(|error| panic!("{error}"));
        stages.release(Stage::Encoder);
        let dim = context.shape()[2];
        let context = floats(&context).to_vec();
        let inputs = decoder_inputs(&context, visible, targets);
        let hidden = stages.run_one(Stage::Decoder, &borrowed(&inputs)).unwrap_or_else(|error| panic!("{error}"));
        Self { context, hidden: floats(&hidden).to_vec(), dim }
    }

    /// The logits of a modality's targets, sample by sample.
    fn logits(&self, model: &BuiltModel, targets: &Rows, modality: Modality, n_threads: NonZeroUsize) -> Vec<f32> {
        let own = targets.samples.iter().enumerate().flat_map(|(sample, rows)| {
            let own = rows.iter().enumerate().filter(|(_, row)| row.modality == modality);
            own.map(move |(place, _)| (sample * targets.width + place) as i64)
        });
        let own = own.collect::<Vec<_>>();
        let hidden = Tensor::f32([1, own.len(), self.dim], pick(&self.hidden, &own, self.dim)).expect("whole rows");
        let logits = model.stages(n_threads).run_one(Stage::head(modality), &[("hidden", &hidden)]);
        logits.and_then(|logits| Ok(logits.into_f32()?)).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Rows {
    /// The places that `mask` leaves open in the order of the published code: by modality, then by position.
    fn of(golden: &Golden, mask: &str, width: usize) -> Self {
        let mut samples = Vec::new();
        for modality in Modality::ALL {
            let name = |field: &str| format!("in/{}/{field}", modality.published_key());
            let (ids, masked) = (golden.integers(&name("ids")), golden.integers(&name(mask)));
            let n_tokens = golden.shape(&name("ids")).last().copied().expect("at least one axis");
            samples.resize(ids.len() / n_tokens, Vec::new());
            for (index, (&token, _)) in ids.iter().zip(&masked).enumerate().filter(|(_, (_, masked))| **masked == 0) {
                samples[index / n_tokens].push(Row { modality, position: (index % n_tokens) as i64, token });
            }
        }
        Self { samples, width }
    }

    fn of_modality(&self, modality: Modality) -> impl Iterator<Item = &Row> {
        self.samples.iter().flatten().filter(move |row| row.modality == modality)
    }

    /// A value of every place, `padding` where there is no row.
    fn column(&self, value: impl Fn(&Row) -> i64, padding: i64) -> Vec<i64> {
        let places = |rows: &[Row]| -> Vec<i64> {
            (0..self.width).map(|place| rows.get(place).map_or(padding, &value)).collect()
        };
        self.samples.iter().flat_map(|rows| places(rows)).collect()
    }

    fn mask(&self) -> Tensor {
        let mask = self.samples.iter().flat_map(|rows| (0..self.width).map(|place| place < rows.len()));
        Tensor::bool([self.samples.len(), self.width], mask.collect()).expect("as many values as places")
    }

    fn ids(&self, value: impl Fn(&Row) -> i64) -> Tensor {
        let ids = self.column(value, NONSENSE);
        Tensor::i64([self.samples.len(), self.width], ids).expect("as many values as places")
    }

    /// Of features of every place, those that are no padding.
    fn used(&self, values: &[f32], dim: usize) -> Vec<f32> {
        let samples = self.samples.iter().zip(values.chunks_exact(self.width * dim));
        samples.flat_map(|(rows, values)| values[..rows.len() * dim].to_vec()).collect()
    }
}

fn encoder_inputs(visible: &Rows) -> Vec<(&'static str, Tensor)> {
    vec![
        ("tokens", visible.ids(|row| row.token)),
        ("modality", visible.ids(|row| row.modality.index() as i64)),
        ("position", visible.ids(|row| row.position)),
        ("visible_mask", visible.mask()),
    ]
}

fn decoder_inputs(context: &[f32], visible: &Rows, targets: &Rows) -> Vec<(&'static str, Tensor)> {
    let (batch, width) = (visible.samples.len(), visible.width);
    let context = Tensor::f32([batch, width, context.len() / (batch * width)], context.to_vec());
    vec![
        ("context", context.expect("whole rows")),
        ("visible_mask", visible.mask()),
        ("modality", targets.ids(|row| row.modality.index() as i64)),
        ("position", targets.ids(|row| row.position)),
        ("query_mask", targets.mask()),
    ]
}

fn borrowed<'a>(inputs: &'a [(&'a str, Tensor)]) -> Vec<(&'a str, &'a Tensor)> {
    inputs.iter().map(|(name, tensor)| (*name, tensor)).collect()
}

fn floats(tensor: &Tensor) -> &[f32] {
    tensor.as_f32().expect("floats")
}

/// The features of these rows.
fn pick(values: &[f32], rows: &[i64], dim: usize) -> Vec<f32> {
    rows.iter().flat_map(|&row| values[row as usize * dim..][..dim].to_vec()).collect()
}

fn log_sum_exp(row: &[f32]) -> f64 {
    let max = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    max + row.iter().map(|&logit| (f64::from(logit) - max).exp()).sum::<f64>().ln()
}
