//! The stages, run by the reference interpreter, against values of the published code.

mod golden;

use egom2p_graph::{Literal, ParameterError, Parameters, interpreter::interpret};
use egom2p_model::weights::{ReproducibleTensor, WeightsPart};
use egom2p_model::{Modality, ModelConfig, Stage, Variant, stage_graph};
use golden::Golden;

/// What a masked row holds here: nothing that any table has.
const NONSENSE: i64 = -999_999;

/// A model with the weights that the reference values were made with.
struct Reference {
    config: ModelConfig,
    seed: u64,
}

/// The reference weights of one file.
struct Rule<'a> {
    model: &'a Reference,
    part: WeightsPart,
}

/// Rows of one sample: modality, position and token.
type Rows = Vec<(Modality, i64, i64)>;

impl Reference {
    fn of(golden: &Golden) -> Self {
        let config = ModelConfig::from_golden_json(golden.description()).expect("a config of the recipe");
        Self { config, seed: golden.description()["weight_seed"].as_u64().expect("a seed is a number") }
    }

    fn run(&self, stage: Stage, variant: Variant, inputs: &[(&str, Literal)]) -> Literal {
        let graph = stage_graph(&self.config, stage, variant).expect("a sound stage");
        let weights = Rule { model: self, part: stage.weights_file() };
        let mut outputs = interpret(&graph, inputs, &weights).expect("the inputs are legal");
        outputs.remove(0).1
    }

    /// `hidden` of any number of rows to `logits`.
    fn logits(&self, modality: Modality, hidden: Vec<f32>) -> Vec<f32> {
        let queries = hidden.len() / self.config.dim;
        let hidden = Literal::f32([1, queries, self.config.dim], hidden).expect("whole rows");
        floats(&self.run(Stage::head(modality), Variant::Default, &[("hidden", hidden)])).to_vec()
    }

    fn encode(&self, rows: &Rows) -> Literal {
        let [modality, position, token] = columns(std::slice::from_ref(rows), rows.len());
        self.run(
            Stage::Encoder,
            Variant::Unmasked,
            &[("tokens", token), ("modality", modality), ("position", position)],
        )
    }

    fn decode(&self, context: &Literal, modality: Modality, positions: &[i64]) -> Vec<f32> {
        let [modality, position] = queries(modality, positions);
        let inputs = [("context", context.clone()), ("modality", modality), ("position", position)];
        floats(&self.run(Stage::Decoder, Variant::Unmasked, &inputs)).to_vec()
    }
}

impl Parameters for Rule<'_> {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let [_, side, _] = self.model.config.video.grid();
        let tensor = ReproducibleTensor::new(self.model.seed, self.part, name, shape, side);
        tensor.map(|tensor| tensor.values()).map_err(|error| ParameterError::Source(Box::new(error)))
    }
}

fn floats(literal: &Literal) -> &[f32] {
    literal.as_f32().expect("floats")
}

fn integers(literal: &Literal) -> &[i64] {
    literal.as_i64().expect("integers")
}

/// The unmasked positions of every sample in the order of the published code: by modality, then by position.
fn rows(golden: &Golden, mask: &str) -> Vec<Rows> {
    let mut samples = vec![Rows::new(); golden.i64("in/tok_cam/ids").shape()[0]];
    for modality in Modality::ALL {
        let tensor = |field: &str| golden.i64(&format!("in/{}/{field}", modality.published_key()));
        let (ids, masks) = (tensor("ids"), tensor(mask));
        let n_tokens = ids.shape()[1];
        for (index, (&id, &masked)) in integers(&ids).iter().zip(integers(&masks)).enumerate() {
            if masked == 0 {
                samples[index / n_tokens].push((modality, (index % n_tokens) as i64, id));
            }
        }
    }
    samples
}

/// Modality, position and token as `[samples, width]`, with nonsense after the last row of a sample.
fn columns(samples: &[Rows], width: usize) -> [Literal; 3] {
    let column = |value: &dyn Fn(&(Modality, i64, i64)) -> i64| {
        let padded = samples
            .iter()
            .flat_map(|rows| rows.iter().map(value).chain(std::iter::repeat_n(NONSENSE, width - rows.len())));
        Literal::i64([samples.len(), width], padded.collect()).expect("as many values as rows")
    };
    [column(&|row| row.0.index() as i64), column(&|row| row.1), column(&|row| row.2)]
}

/// Which rows of `[samples, width]` are no padding.
fn used(samples: &[Rows], width: usize) -> Literal {
    let used = samples.iter().flat_map(|rows| (0..width).map(|row| row < rows.len()));
    Literal::bool([samples.len(), width], used.collect()).expect("as many values as rows")
}

fn queries(modality: Modality, positions: &[i64]) -> [Literal; 2] {
    let column = |values| Literal::i64([1, positions.len()], values).expect("as many values as rows");
    [column(vec![modality.index() as i64; positions.len()]), column(positions.to_vec())]
}

/// The features of the rows of `[samples, width, dim]` that `keep` wants, by sample and row.
fn pick(values: &Literal, keep: impl Fn(usize, usize) -> bool) -> Vec<f32> {
    let [_, width, dim] = values.shape() else { panic!("expected three axes") };
    let rows = floats(values).chunks_exact(*dim).enumerate();
    rows.filter(|(index, _)| keep(index / width, index % width)).flat_map(|(_, row)| row.to_vec()).collect()
}

#[test]
fn a_batch_with_masks_and_padding() {
    let Some(golden) = Golden::open("tiny_forward") else { return };
    let model = Reference::of(&golden);
    let (visible, targets) = (rows(&golden, "input_mask"), rows(&golden, "target_mask"));
    let width = golden.f32("out/context").shape()[1];
    let [modality, position, tokens] = columns(&visible, width);
    let visible_mask = used(&visible, width);
    let inputs =
        [("tokens", tokens), ("modality", modality), ("position", position), ("visible_mask", visible_mask.clone())];
    let context = model.run(Stage::Encoder, Variant::Masked, &inputs);
    let is_visible = |sample: usize, row: usize| row < visible[sample].len();
    let expected = golden.f32("out/context");
    golden.assert_close("out/context", &pick(&context, is_visible), &pick(&expected, is_visible));

    let [modality, position, _] = columns(&targets, width);
    let inputs = [
        ("context", context),
        ("visible_mask", visible_mask),
        ("modality", modality),
        ("position", position),
        ("query_mask", used(&targets, width)),
    ];
    let hidden = model.run(Stage::Decoder, Variant::Masked, &inputs);
    let is_target = |sample: usize, row: usize| row < targets[sample].len();
    let expected = golden.f32("out/decoder_out");
    golden.assert_close("out/decoder_out", &pick(&hidden, is_target), &pick(&expected, is_target));

    for modality in Modality::ALL {
        let name = format!("out/logits/{}", modality.published_key());
        let own = pick(&hidden, |sample, row| targets[sample].get(row).is_some_and(|(one, ..)| *one == modality));
        golden.assert_close(&name, &model.logits(modality, own), floats(&golden.f32(&name)));
    }
}

#[test]
fn a_batch_without_masks_or_padding_is_the_same() {
    let Some(golden) = Golden::open("tiny_forward") else { return };
    let model = Reference::of(&golden);
    let (visible, targets) = (rows(&golden, "input_mask"), rows(&golden, "target_mask"));
    let (expected_context, expected_hidden) = (golden.f32("out/context"), golden.f32("out/decoder_out"));
    for (sample, (visible, targets)) in visible.iter().zip(&targets).enumerate() {
        let context = model.encode(visible);
        let expected = pick(&expected_context, |other, row| other == sample && row < visible.len());
        golden.assert_close("out/context", floats(&context), &expected);
        for modality in Modality::ALL {
            let is_own = |row: usize| targets.get(row).is_some_and(|(one, ..)| *one == modality);
            let positions: Vec<i64> = targets.iter().filter(|row| row.0 == modality).map(|row| row.1).collect();
            if !positions.is_empty() {
                let expected = pick(&expected_hidden, |other, row| other == sample && is_own(row));
                golden.assert_close("out/decoder_out", &model.decode(&context, modality, &positions), &expected);
            }
        }
    }
}

/// The first step of a generation from colour tokens: with them, and with nothing visible.
fn first_step(name: &str, target: Modality) {
    let Some(golden) = Golden::open(name) else { return };
    let model = Reference::of(&golden);
    let condition = golden.i64("cond_tokens");
    let visible =
        integers(&condition).iter().enumerate().map(|(place, &id)| (Modality::Rgb, place as i64, id)).collect();
    let positions = golden.i64("greedy/step0/positions");
    let positions = integers(&positions);

    let hidden = model.decode(&model.encode(&visible), target, positions);
    let logits_cond = floats(&golden.f32("greedy/step0/logits_cond")).to_vec();
    golden.assert_close("greedy/step0/logits_cond", &model.logits(target, hidden), &logits_cond);

    let [modality, position] = queries(target, positions);
    let bare = [("modality", modality.clone()), ("position", position.clone())];
    let hidden = floats(&model.run(Stage::Decoder, Variant::Contextless, &bare)).to_vec();
    let logits_uncond = floats(&golden.f32("greedy/step0/logits_uncond")).to_vec();
    golden.assert_close("greedy/step0/logits_uncond", &model.logits(target, hidden.clone()), &logits_uncond);

    let nothing = Literal::f32([1, 0, model.config.dim], Vec::new()).expect("no values");
    assert_eq!(model.decode(&nothing, target, positions), hidden, "no visible row is as good as no context");
    let masked = [
        ("context", Literal::f32([1, 3, model.config.dim], vec![7.0; 3 * model.config.dim]).expect("three rows")),
        ("visible_mask", Literal::bool([1, 3], vec![false; 3]).expect("three rows")),
        ("modality", modality),
        ("position", position),
        ("query_mask", Literal::bool([1, positions.len()], vec![true; positions.len()]).expect("as many as queries")),
    ];
    let masked = model.run(Stage::Decoder, Variant::Masked, &masked);
    assert_eq!(floats(&masked), hidden, "masked rows are as good as no context");
}

#[test]
fn the_first_step_from_colour_to_depth() {
    first_step("tiny_gen_rgb2depth", Modality::Depth);
}

#[test]
fn the_first_step_from_colour_to_gaze() {
    first_step("tiny_gen_rgb2gaze", Modality::Gaze);
}

/// Clips to tokens and back at the published size. Tokens must agree where the margin is ten times the error of a cosine.
fn tokenizer(name: &str, modality: Modality) {
    let Some(golden) = Golden::open(name) else { return };
    let model = Reference::of(&golden);
    let tolerance = golden.description()["tensors"]["cos_top1"]["tolerance"].as_f64().expect("a number");
    for (clip, tokens, margin) in [("x", "tokens", "margin"), ("random_x", "random_x_tokens", "random_x_margin")] {
        let inputs = [(modality.name(), golden.f32(clip))];
        let actual = model.run(Stage::tokenizer(modality), Variant::Default, &inputs);
        let (expected, margin) = (golden.i64(tokens), golden.f32(margin));
        let pairs = integers(&actual).iter().zip(integers(&expected)).zip(floats(&margin));
        let clear: Vec<_> = pairs.filter(|(_, margin)| f64::from(**margin) > 10.0 * tolerance).collect();
        assert!(clear.len() * 10 >= integers(&expected).len() * 9, "{tokens}: nearly all margins are clear");
        assert!(clear.iter().all(|((actual, expected), _)| actual == expected), "{tokens}: {clear:?}");
    }
    for (tokens, clip) in [("tokens", "decoded"), ("random_tokens", "random_decoded")] {
        let inputs = [("tokens", golden.i64(tokens))];
        let actual = model.run(Stage::detokenizer(modality), Variant::Default, &inputs);
        golden.assert_close(clip, floats(&actual), floats(&golden.f32(clip)));
    }
}

#[test]
fn slow_the_published_gaze_tokenizer() {
    tokenizer("gaze_tokenizer", Modality::Gaze);
}

#[test]
fn slow_the_published_camera_tokenizer() {
    tokenizer("cam_tokenizer", Modality::Camera);
}

/// A clip `[frames, height, width, 3]` of bytes as the stage takes it: `[1, 3, frames, height, width]` in `[-1, 1]`.
fn video(clip: &Literal) -> Literal {
    let [frames, height, width, colours] = clip.shape() else { panic!("expected four axes") };
    let n_pixels = frames * height * width;
    let value = |index: usize| integers(clip)[index % n_pixels * colours + index / n_pixels] as f32 / 255.0 * 2.0 - 1.0;
    let values = (0..n_pixels * colours).map(value).collect();
    Literal::f32([1, *colours, *frames, *height, *width], values).expect("as many values as pixels and colours")
}

fn with_batch(tokens: &Literal) -> Literal {
    let shape: Vec<usize> = [1].into_iter().chain(tokens.shape().iter().copied()).collect();
    Literal::new(shape, tokens.data().clone()).expect("one sample")
}

#[test]
fn slow_the_published_video_encoder() {
    let Some(golden) = Golden::open("video_tokenizer_clip9") else { return };
    let model = Reference::of(&golden);
    let inputs = [("video", video(&golden.i64("video")))];
    let actual = model.run(Stage::VideoEncoder, Variant::Default, &inputs);
    let expected = with_batch(&golden.i64("tokens"));
    assert_eq!(actual.shape(), expected.shape());
    // A token is as clear as the least clear of its digits; margins are [digits, t, h, w].
    let tolerance = golden.description()["tensors"]["bounded"]["tolerance"].as_f64().expect("a number");
    let (margin, n_tokens) = (golden.f32("margin"), integers(&expected).len());
    let is_clear =
        |token: usize| floats(&margin).chunks(n_tokens).all(|digit| f64::from(digit[token]) > 10.0 * tolerance);
    let clear: Vec<usize> = (0..n_tokens).filter(|&token| is_clear(token)).collect();
    assert!(clear.len() * 10 >= n_tokens * 9, "nearly all margins are clear");
    let differing: Vec<_> =
        clear.iter().filter(|&&token| integers(&actual)[token] != integers(&expected)[token]).collect();
    assert!(differing.is_empty(), "{differing:?}");
}

#[test]
fn slow_the_published_video_decoder() {
    let Some(golden) = Golden::open("video_tokenizer_clip9") else { return };
    let model = Reference::of(&golden);
    let inputs = [("tokens", with_batch(&golden.i64("tokens")))];
    let actual = model.run(Stage::VideoDecoder, Variant::Default, &inputs);
    golden.assert_close("decoded", floats(&actual), floats(&golden.f32("decoded")));
}
