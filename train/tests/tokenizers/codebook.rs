//! Steps of a codebook against `golden/vector_quantizer.py`.

use crate::stored::{Stored, assert_close};
use egom2p_graph::{ParameterError, Parameters};
use egom2p_train::tokenizers::{
    Alone, Peers, Result, TokenizerError, VectorQuantizer, VectorQuantizerSettings, drawn_rows,
};
use std::cell::RefCell;
use tch::{Device, Kind, Tensor};

const N_STEPS: usize = 6;
/// What six steps in single precision lose of values up to 4; the largest difference found is 4.8e-7.
const ROUNDING: f64 = 2e-6;
/// The same for cluster sizes, which are up to 100; the largest difference found is 7.6e-6.
const SIZE_ROUNDING: f64 = 3e-5;

/// Codes on the axes, of which the first and the last, and the second and third have one direction each.
struct Axes;

impl Parameters for Axes {
    fn parameter(&self, _: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let axes = [0.0, 0.5, 2.0, 0.0, 0.5, 0.0, 0.0, 1.0];
        Ok(axes[..shape.iter().product()].to_vec())
    }
}

struct Buffers<'a>(&'a Stored);

impl Parameters for Buffers<'_> {
    fn parameter(&self, name: &str, _: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let tensor = match name {
            VectorQuantizer::EMBED => self.0.tensor("before/embed"),
            VectorQuantizer::CLUSTER_SIZE => self.0.tensor("before/cluster_size"),
            VectorQuantizer::INITTED => Tensor::ones([1], (Kind::Float, Device::Cpu)),
            other => panic!("no buffer is called {other}"),
        };
        Ok(Vec::try_from(tensor.flatten(0, -1)).unwrap())
    }
}

fn codebook(stored: &Stored) -> VectorQuantizer {
    let [n_codes, code_dim] = stored.tensor("before/embed").size()[..] else { panic!("expected two axes") };
    let (n_codes, code_dim) = (n_codes as usize, code_dim as usize);
    VectorQuantizer::load(n_codes, code_dim, VectorQuantizerSettings::default(), &Buffers(stored), Device::Cpu).unwrap()
}

fn buffer(codebook: &VectorQuantizer, name: &str) -> Tensor {
    codebook.buffers().into_iter().find(|(own, _)| *own == name).unwrap().1.copy()
}

fn rows(stored: &Stored, step: usize) -> Vec<usize> {
    let rows = Vec::<i64>::try_from(stored.tensor(&format!("{step}/rows"))).unwrap();
    rows.into_iter().map(|row| row as usize).collect()
}

#[test]
fn steps_are_those_of_the_reference() {
    tch::set_num_threads(1);
    let stored = Stored::own("vector_quantizer");
    let mut codebook = codebook(&stored);
    for step in 0..N_STEPS {
        let expected = |what: &str| stored.tensor(&format!("{step}/{what}"));
        let latents = expected("latents").set_requires_grad(true);
        let quantized = codebook.quantize(&latents).unwrap();
        assert_eq!(quantized.lookup.tokens, expected("tokens"));
        assert_close("codes", &quantized.lookup.codes, &expected("codes"), ROUNDING);
        assert_close("straight-through codes", &quantized.codes.detach(), &expected("codes"), ROUNDING);
        let commitment = expected("commitment");
        let relative = quantized.commitment.detach() / &commitment;
        assert_close("commitment", &relative, &commitment.ones_like(), ROUNDING);
        (&quantized.commitment + (&quantized.codes * expected("weights")).sum(Kind::Float)).backward();
        assert_close("gradient", &latents.grad(), &expected("gradient"), ROUNDING);

        let replacements = rows(&stored, step);
        let n_replaced = replacements.len();
        let choose = |n_dead, n_latents| {
            assert_eq!((n_dead, n_latents), (n_replaced, 21));
            replacements
        };
        let update = codebook.update(&quantized.lookup, &Alone, choose).unwrap();
        let mut used = Vec::<i64>::try_from(expected("tokens").flatten(0, -1)).unwrap();
        used.sort_unstable();
        used.dedup();
        assert_eq!((update.used_codes, update.replaced_codes), (used.len(), n_replaced));
        assert_close("embed", &buffer(&codebook, VectorQuantizer::EMBED), &expected("embed"), ROUNDING);
        let sizes = buffer(&codebook, VectorQuantizer::CLUSTER_SIZE);
        assert_close("cluster sizes", &sizes, &expected("cluster_size"), SIZE_ROUNDING);
    }
}

#[test]
fn of_equally_near_codes_the_first_is_taken() {
    tch::set_num_threads(1);
    let codebook = VectorQuantizer::load(4, 2, VectorQuantizerSettings::default(), &Axes, Device::Cpu).unwrap();
    let lookup = codebook.lookup(&Tensor::from_slice(&[0.0_f32, 3.0, 4.0, 0.0]).reshape([1, 2, 2])).unwrap();
    assert_eq!(lookup.tokens, Tensor::from_slice(&[0_i64, 1]).reshape([1, 2]));
    assert_eq!(lookup.codes, Tensor::from_slice(&[0.0_f32, 0.5, 2.0, 0.0]).reshape([1, 2, 2]));
}

/// One of two ranks whose sums were agreed on beforehand: what it contributes is noted, what it gets is given.
struct Scripted<'a> {
    rank: usize,
    sums: RefCell<std::vec::IntoIter<Tensor>>,
    contributed: &'a RefCell<Vec<Tensor>>,
}

impl Peers for Scripted<'_> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn n_ranks(&self) -> usize {
        2
    }

    fn sum(&self, tensor: &Tensor) -> Result<Tensor> {
        self.contributed.borrow_mut().push(tensor.copy());
        Ok(self.sums.borrow_mut().next().unwrap_or_else(|| tensor.copy()))
    }

    fn backward(&self, _: &Tensor, _: &[&Tensor]) -> Result<()> {
        unreachable!("a codebook has no gradient")
    }
}

/// Two ranks with unequal parts of a batch come to the codebook of one process with all of it.
#[test]
fn ranks_together_do_what_one_process_does() {
    tch::set_num_threads(1);
    let stored = Stored::own("vector_quantizer");
    let latents = stored.tensor("0/latents");
    let parts = [latents.narrow(0, 0, 2), latents.narrow(0, 2, 1)];
    let run = |rank: usize, sums: Vec<Tensor>| {
        let mut codebook = codebook(&stored);
        let lookup = codebook.lookup(&parts[rank]).unwrap();
        let contributed = RefCell::default();
        let peers = Scripted { rank, sums: RefCell::new(sums.into_iter()), contributed: &contributed };
        let choose = |n_dead, n_latents| drawn_rows(7, 0)(n_dead, n_latents);
        let result = codebook.update(&lookup, &peers, choose).map(|_| buffer(&codebook, VectorQuantizer::EMBED));
        (result, contributed.into_inner())
    };
    // Every round of sums needs the contributions of both, which follow from the sums before.
    let mut sums: Vec<Tensor> = Vec::new();
    for round in 0..3 {
        let contributions = [0, 1].map(|rank| run(rank, sums.iter().map(Tensor::copy).collect()).1[round].copy());
        sums.push(&contributions[0] + &contributions[1]);
    }
    let mut whole = codebook(&stored);
    let lookup = whole.lookup(&latents).unwrap();
    whole.update(&lookup, &Alone, drawn_rows(7, 0)).unwrap();
    for rank in [0, 1] {
        let (embed, contributed) = run(rank, sums.iter().map(Tensor::copy).collect());
        assert_eq!(contributed.len(), 3);
        assert_close("embed of a rank", &embed.unwrap(), &buffer(&whole, VectorQuantizer::EMBED), ROUNDING);
    }
}

#[test]
fn rows_outside_of_the_batch_are_refused_and_change_nothing() {
    tch::set_num_threads(1);
    let stored = Stored::own("vector_quantizer");
    let mut codebook = codebook(&stored);
    let before = [VectorQuantizer::EMBED, VectorQuantizer::CLUSTER_SIZE].map(|name| buffer(&codebook, name));
    let lookup = codebook.lookup(&stored.tensor("0/latents")).unwrap();
    let outside = codebook.update(&lookup, &Alone, |n_dead, n_latents| vec![n_latents; n_dead]);
    assert!(matches!(outside, Err(TokenizerError::Rows { got: Some(21), .. })), "{outside:?}");
    let too_few = codebook.update(&lookup, &Alone, |_, _| Vec::new());
    assert!(matches!(too_few, Err(TokenizerError::Rows { got: None, .. })), "{too_few:?}");
    let after = [VectorQuantizer::EMBED, VectorQuantizer::CLUSTER_SIZE].map(|name| buffer(&codebook, name));
    assert_eq!(before, after);
    assert!(matches!(codebook.lookup(&before[1]), Err(TokenizerError::Shape { .. })));
}
