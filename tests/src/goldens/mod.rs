//! The reference values in `tests/golden`, and the rule that makes their weights.

mod half;
mod parameters;
mod tensors;

use std::{collections::BTreeMap, error::Error, fs, path::PathBuf, rc::Rc};

use egom2p_calibration::{Precision, with_precision};
use egom2p_graph::{Literal, LiteralData};
use egom2p_model::{ModelConfig, Stage, Variant, stage_graph};
use serde::Deserialize;

pub use parameters::ReproducibleParameters;

use crate::{
    op_suite::{Case, Tolerance},
    published::Difference,
};

/// One file: cases of a stage, or of a generation, to be computed in one precision.
pub struct Golden {
    name: String,
    precision: Precision,
    /// The sizes of the model.
    pub config: ModelConfig,
    /// What the weights follow from.
    pub weight_seed: u64,
    /// The condition, target and guidance of a generation.
    pub generation: Option<Generation>,
    /// What was run, by name.
    pub cases: BTreeMap<String, GoldenCase>,
    tensors: BTreeMap<String, Literal>,
}

/// What a generation is told.
#[derive(Clone, Debug)]
pub struct Generation {
    /// The modality that is given.
    pub condition: String,
    /// The modality that is decoded.
    pub target: String,
    /// The number of steps.
    pub steps: usize,
    /// The weight of the conditional pass.
    pub guidance: f32,
}

/// One case: the variant of the stage, and what is known of each output.
#[derive(Deserialize)]
pub struct GoldenCase {
    variant: String,
    outputs: BTreeMap<String, Expectation>,
}

#[derive(Deserialize)]
struct Expectation {
    tolerance: Bound,
    rows: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Bound {
    Absolute(f64),
    Exact(String),
}

#[derive(Deserialize)]
struct About {
    config: serde_json::Value,
    weight_seed: u64,
    cases: BTreeMap<String, GoldenCase>,
    condition: Option<String>,
    target: Option<String>,
    steps: Option<usize>,
    guidance: Option<f32>,
}

impl Golden {
    /// The file called `name`, whose values graphs of this precision are to come near to.
    pub fn read(name: &str, precision: Precision) -> Result<Self, Box<dyn Error>> {
        let path = folder().join(name);
        let about: About = serde_json::from_str(&fs::read_to_string(path.with_extension("json"))?)?;
        let generation = match (about.condition, about.target, about.steps, about.guidance) {
            (Some(condition), Some(target), Some(steps), Some(guidance)) => {
                Some(Generation { condition, target, steps, guidance })
            }
            _ => None,
        };
        Ok(Self {
            name: name.to_owned(),
            precision,
            config: ModelConfig::from_json(&about.config.to_string())?,
            weight_seed: about.weight_seed,
            generation,
            cases: about.cases,
            tensors: tensors::read(&path.with_extension("safetensors"))?,
        })
    }

    /// The names of all files.
    pub fn names() -> Result<Vec<String>, Box<dyn Error>> {
        let paths: Vec<PathBuf> =
            fs::read_dir(folder())?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
        let stems = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
        let mut names: Vec<String> = stems.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
        names.sort();
        Ok(names)
    }

    /// The graph of a stage with this file's sizes and weights, to be run on `inputs`.
    pub fn case(&self, stage: Stage, variant: &str, inputs: &[(&str, Literal)]) -> Result<Case, Box<dyn Error>> {
        let variant = named(stage, variant)?;
        let graph = with_precision(&stage_graph(&self.config, stage, variant)?, self.precision)?;
        let mut fed = Vec::new();
        for (name, fact) in graph.inputs() {
            let (_, value) =
                inputs.iter().find(|(given, _)| *given == name).ok_or(format!("no input {name} {fact}"))?;
            fed.push((name, value.clone()));
        }
        if fed.len() != inputs.len() {
            return Err(format!("{stage} {variant} takes {} inputs, got {}", fed.len(), inputs.len()).into());
        }
        Ok(Case {
            name: format!("{stage} {variant}"),
            graph,
            inputs: fed,
            parameters: Rc::new(self.parameters(stage)),
            tolerance: Tolerance::SUM,
        })
    }

    /// A stored case of a stage.
    pub fn stored_case(&self, stage: Stage, name: &str) -> Result<Case, Box<dyn Error>> {
        let case = self.cases.get(name).ok_or(format!("no case {name}"))?;
        let prefix = format!("{name}/in/");
        let inputs = self.tensors.iter().filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?, value.clone())));
        self.case(stage, &case.variant, &inputs.collect::<Vec<_>>())
    }

    /// The stored tensor called `name`.
    pub fn tensor(&self, name: &str) -> Result<&Literal, Box<dyn Error>> {
        Ok(self.tensors.get(name).ok_or(format!("no tensor {name}"))?)
    }

    /// Compares an output of a case with the stored one: the largest difference in units of the tolerance, which the file
    /// states for single precision.
    pub fn compare(&self, case: &str, output: &str, actual: &Literal) -> Result<f64, Box<dyn Error>> {
        let expectation = self.cases.get(case).and_then(|case| case.outputs.get(output)).ok_or("no such output")?;
        let expected = self.tensor(&format!("{case}/out/{output}"))?;
        let (expected, actual) = match &expectation.rows {
            None => (expected.clone(), actual.clone()),
            Some(rows) => {
                let rows = self.tensor(&format!("{case}/in/{rows}"))?.as_bool().ok_or("rows are marked by a mask")?;
                (kept(expected, rows)?, kept(actual, rows)?)
            }
        };
        let share = match (&expectation.tolerance, self.precision) {
            (_, Precision::Fp16 | Precision::Bf16) => self.share_in_half(output, &expected, &actual),
            (Bound::Absolute(absolute), Precision::Fp32) => {
                Tolerance { name: "golden", absolute: *absolute, relative: 0.0 }.share(&expected, &actual)
            }
            (Bound::Exact(word), Precision::Fp32) if word == "exact" => Tolerance::EXACT.share(&expected, &actual),
            (Bound::Exact(word), Precision::Fp32) => Err(format!("no tolerance is called {word}")),
        };
        share.map_err(|reason| format!("{case}: {output}: {reason}").into())
    }

    fn share_in_half(&self, output: &str, expected: &Literal, actual: &Literal) -> Result<f64, String> {
        if expected.shape() != actual.shape() || expected.dtype() != actual.dtype() {
            return Err(format!(
                "expected {}{:?}, got {}{:?}",
                expected.dtype(),
                expected.shape(),
                actual.dtype(),
                actual.shape()
            ));
        }
        let (text, share) = match (expected.data(), actual.data()) {
            (LiteralData::F32(expected), LiteralData::F32(actual)) => {
                let (difference, tolerance) =
                    (Difference::of(actual, expected), half::tolerance(&self.name, output, self.precision));
                (difference.to_string(), difference.share(tolerance))
            }
            (LiteralData::I64(expected), LiteralData::I64(actual)) => {
                let n_other = expected.iter().zip(actual).filter(|(e, a)| e != a).count();
                let share = n_other as f64 / expected.len() as f64 / half::other_tokens(self.precision);
                (format!("{n_other} of {} tokens differ", expected.len()), share)
            }
            _ => return Err("only floats and tokens are compared in half precision".to_owned()),
        };
        if share <= 1.0 { Ok(share) } else { Err(format!("{text}: {share:.2} times what is tolerated")) }
    }

    fn parameters(&self, stage: Stage) -> ReproducibleParameters {
        let [_, video_side, _] = self.config.video.grid();
        ReproducibleParameters { part: stage.weights_file(), seed: self.weight_seed, video_side }
    }
}

impl GoldenCase {
    /// The outputs by name.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.outputs.keys().map(String::as_str)
    }
}

/// The leading rows of floats `[batch, rows, ..]` that a mask `[batch, rows]` keeps, one after the other.
fn kept(value: &Literal, rows: &[bool]) -> Result<Literal, Box<dyn Error>> {
    let values = value.as_f32().ok_or("only floats have rows without meaning")?;
    if values.is_empty() {
        return Ok(Literal::f32([0], Vec::new())?);
    }
    if rows.is_empty() || values.len() % rows.len() != 0 {
        return Err(format!("{} values do not split into {} rows", values.len(), rows.len()).into());
    }
    let chunks = values.chunks_exact(values.len() / rows.len()).zip(rows).filter(|(_, keep)| **keep);
    let kept: Vec<f32> = chunks.flat_map(|(chunk, _)| chunk.iter().copied()).collect();
    Ok(Literal::new(vec![kept.len()], LiteralData::F32(kept))?)
}

fn named(stage: Stage, variant: &str) -> Result<Variant, Box<dyn Error>> {
    let known = stage.variants().iter().find(|known| known.name() == variant);
    Ok(*known.ok_or(format!("stage {stage} has no variant {variant}"))?)
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}
