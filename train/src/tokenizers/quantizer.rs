use super::rows::drawn;
use super::{Peers, Result, TokenizerError};
use crate::random::Random;
use egom2p_graph::Parameters;
use tch::{Device, Kind, TchError, Tensor};

/// The smallest length that a latent or a code is divided by (specification section 2.2).
const SMALLEST_LENGTH: f64 = 1e-12;

/// How a codebook learns.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct VectorQuantizerSettings {
    /// What a step leaves of the old code and of the old cluster size.
    pub decay: f64,
    /// The weight of the commitment loss.
    pub commitment_weight: f64,
    /// A code whose cluster size is smaller is replaced.
    pub dead_code_threshold: f64,
}

/// A codebook that is searched by cosine similarity and learned as a moving average (specification section 2.2).
#[derive(Debug)]
pub struct VectorQuantizer {
    settings: VectorQuantizerSettings,
    embed: Tensor,
    cluster_size: Tensor,
    initted: Tensor,
}

/// The codes nearest to some latents. Nothing here has a gradient.
#[derive(Debug)]
pub struct Lookup {
    /// Indices of the codes, i64, one axis less than the latents.
    pub tokens: Tensor,
    /// The codes as they are stored, not normalised, f32 of the latents' shape.
    pub codes: Tensor,
    /// The latents of length 1, `[latents, code_dim]`.
    directions: Tensor,
}

/// Latents quantised for training.
#[derive(Debug)]
pub struct Quantized {
    /// What was found.
    pub lookup: Lookup,
    /// The codes, whose gradient is passed on to the latents as it is.
    pub codes: Tensor,
    /// The weighted mean of the squared distance from latents to codes, an f32 scalar whose gradient moves the latents only.
    pub commitment: Tensor,
}

/// What a step did to the codebook.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CodebookUpdate {
    /// Codes that some latent of the batch, on any rank, is nearest to.
    pub used_codes: usize,
    /// Codes that were replaced.
    pub replaced_codes: usize,
}

/// Rows for dead codes that follow from a seed and a step: given the number of dead codes and the number of latents of all
/// ranks, as many rows as codes, without repetition where there are enough.
pub fn drawn_rows(seed: u64, step: u64) -> impl FnOnce(usize, usize) -> Vec<usize> {
    move |n_dead, n_latents| drawn(n_dead, n_latents, &mut Random::new(seed, "dead codes", step))
}

impl Default for VectorQuantizerSettings {
    fn default() -> Self {
        Self { decay: 0.99, commitment_weight: 1.0, dead_code_threshold: 2.0 }
    }
}

impl VectorQuantizer {
    /// The codes `[codes, code_dim]`.
    pub const EMBED: &'static str = "quantize._codebook.embed";
    /// The moving average of how many latents of a step each code is nearest to, `[codes]`.
    pub const CLUSTER_SIZE: &'static str = "quantize._codebook.cluster_size";
    /// 1 where the codes have values, `[1]`; published files carry it.
    pub const INITTED: &'static str = "quantize._codebook.initted";

    /// A new codebook: codes of length 1 in directions drawn from a cube, cluster sizes 0.
    pub fn new(
        n_codes: usize,
        code_dim: usize,
        settings: VectorQuantizerSettings,
        seed: u64,
        device: Device,
    ) -> Result<Self> {
        let mut random = Random::new(seed, "initial codes", 0);
        let cube: Vec<f32> = (0..n_codes * code_dim).map(|_| (2.0 * random.unit() - 1.0) as f32).collect();
        let sizes = [n_codes as i64, code_dim as i64];
        let build = || -> Result<Self, TchError> {
            let embed = directions(&Tensor::f_from_slice(&cube)?.f_reshape(sizes)?.f_to_device(device)?)?;
            let cluster_size = Tensor::f_zeros([sizes[0]], (Kind::Float, device))?;
            Ok(Self { settings, embed, cluster_size, initted: Tensor::f_ones([1], (Kind::Float, device))? })
        };
        build().map_err(TokenizerError::operation("make a codebook"))
    }

    /// A codebook with its bookkeeping as stored.
    pub fn load(
        n_codes: usize,
        code_dim: usize,
        settings: VectorQuantizerSettings,
        source: &dyn Parameters,
        device: Device,
    ) -> Result<Self> {
        let buffer = |name: &str, shape: &[usize]| -> Result<Tensor> {
            let values = source.parameter(name, shape)?;
            let sizes: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
            let tensor = Tensor::f_from_slice(&values).and_then(|tensor| tensor.f_reshape(sizes));
            let tensor = tensor.and_then(|tensor| tensor.f_to_device(device));
            tensor.map_err(TokenizerError::operation("load a codebook"))
        };
        Ok(Self {
            settings,
            embed: buffer(Self::EMBED, &[n_codes, code_dim])?,
            cluster_size: buffer(Self::CLUSTER_SIZE, &[n_codes])?,
            initted: buffer(Self::INITTED, &[1])?,
        })
    }

    /// What is stored, by its published names.
    pub fn buffers(&self) -> [(&'static str, &Tensor); 3] {
        [(Self::CLUSTER_SIZE, &self.cluster_size), (Self::EMBED, &self.embed), (Self::INITTED, &self.initted)]
    }

    /// The codes nearest to `latents` f32 `[…, code_dim]` by the angle; of equally near ones the first.
    pub fn lookup(&self, latents: &Tensor) -> Result<Lookup> {
        let (shape, dim) = (latents.size(), self.embed.size()[1]);
        if shape.last() != Some(&dim) {
            let expected = format!("{dim} values in the last axis");
            return Err(TokenizerError::Shape { what: "latents", expected, actual: shape });
        }
        let _no_gradient = tch::no_grad_guard();
        let look_up = || -> Result<Lookup, TchError> {
            let directions = directions(&latents.f_detach()?.f_reshape([-1, dim])?)?;
            let nearest = directions.f_matmul(&self::directions(&self.embed)?.f_tr()?)?.f_argmax(1, false)?;
            let codes = self.embed.f_index_select(0, &nearest)?.f_reshape(&shape)?;
            let tokens = nearest.f_reshape(&shape[..shape.len() - 1])?;
            Ok(Lookup { tokens, codes, directions })
        };
        look_up().map_err(TokenizerError::operation("look codes up"))
    }

    /// The codes of `tokens`, as they are stored: f32, one axis more.
    pub fn codes(&self, tokens: &Tensor) -> Result<Tensor> {
        let rows = Tensor::f_embedding(&self.embed, tokens, -1, false, false);
        rows.map_err(TokenizerError::operation("look codes up"))
    }

    /// Quantises latents in a way that has a gradient, and says how far they are from their codes.
    pub fn quantize(&self, latents: &Tensor) -> Result<Quantized> {
        let lookup = self.lookup(latents)?;
        let straight_through = || -> Result<(Tensor, Tensor), TchError> {
            let distance = latents.f_mse_loss(&lookup.codes, tch::Reduction::Mean)?;
            let codes = latents.f_add(&lookup.codes.f_sub(latents)?.f_detach()?)?;
            Ok((codes, distance.f_mul_scalar(self.settings.commitment_weight)?))
        };
        let (codes, commitment) = straight_through().map_err(TokenizerError::operation("quantise latents"))?;
        Ok(Quantized { lookup, codes, commitment })
    }

    /// Moves codes and cluster sizes towards a step's latents, then replaces dead codes.
    ///
    /// `choose` is given the number of dead codes and the number of latents of all ranks, in the order of the ranks, and picks a
    /// latent for each code, in the order of the codes; see [`drawn_rows`]. A code that no latent is nearest to moves towards
    /// its own direction. Cluster sizes of replaced codes stay. Where this fails, the codebook is as it was.
    pub fn update(
        &mut self,
        lookup: &Lookup,
        peers: &dyn Peers,
        choose: impl FnOnce(usize, usize) -> Vec<usize>,
    ) -> Result<CodebookUpdate> {
        let _no_gradient = tch::no_grad_guard();
        let failed = || TokenizerError::operation("update a codebook");
        let statistics = peers.sum(&self.statistics(lookup).map_err(failed())?)?;
        let (embed, cluster_size, counts) = self.averaged(&statistics).map_err(failed())?;
        let dead = cluster_size.f_lt(self.settings.dead_code_threshold).and_then(|dead| dead.f_nonzero());
        let dead = dead.and_then(|dead| dead.f_flatten(0, -1)).map_err(failed())?;
        let embed = match dead.numel() {
            0 => embed,
            n_dead => {
                let rows = replacements(&lookup.directions, n_dead, peers, choose)?;
                embed.f_index_copy(0, &dead, &rows).map_err(failed())?
            }
        };
        let used = counts.f_gt(0.0).and_then(|used| used.f_sum(Kind::Int64)).and_then(|n| n.f_int64_value(&[]));
        let used_codes = used.map_err(failed())? as usize;
        self.embed.f_copy_(&embed).map_err(failed())?;
        self.cluster_size.f_copy_(&cluster_size).map_err(failed())?;
        Ok(CodebookUpdate { used_codes, replaced_codes: dead.numel() })
    }

    /// Per code, the sum of the directions that are nearest to it, and last how many they are: `[codes, code_dim + 1]`.
    /// A product sums in a fixed order on every device.
    fn statistics(&self, lookup: &Lookup) -> Result<Tensor, TchError> {
        let nearest = lookup.tokens.f_reshape([-1, 1])?;
        let (n_latents, n_codes) = (nearest.size()[0], self.embed.size()[0]);
        let assigned = Tensor::f_zeros([n_latents, n_codes], (Kind::Float, self.embed.device()))?;
        let assigned = assigned.f_scatter_value(1, &nearest, 1.0)?;
        let ones = Tensor::f_ones([n_latents, 1], (Kind::Float, self.embed.device()))?;
        assigned.f_tr()?.f_matmul(&Tensor::f_cat(&[&lookup.directions, &ones], 1)?)
    }

    /// Codes and cluster sizes after a step's statistics, and its counts.
    fn averaged(&self, statistics: &Tensor) -> Result<(Tensor, Tensor, Tensor), TchError> {
        let dim = self.embed.size()[1];
        let (sums, counts) = (statistics.f_narrow(1, 0, dim)?, statistics.f_select(1, dim)?);
        let column = counts.f_unsqueeze(1)?;
        let means = directions(&sums.f_div(&column.f_clamp_min(1.0)?)?)?;
        let targets = directions(&self.embed)?.f_where_self(&column.f_eq(0.0)?, &means)?;
        let average = |old: &Tensor, new: &Tensor| {
            let (decay, rest) = (self.settings.decay, 1.0 - self.settings.decay);
            old.f_mul_scalar(decay)?.f_add(&new.f_mul_scalar(rest)?)
        };
        Ok((average(&self.embed, &targets)?, average(&self.cluster_size, &counts)?, counts))
    }
}

/// The directions that take the place of dead codes, gathered from the ranks that have them.
fn replacements(
    own: &Tensor,
    n_dead: usize,
    peers: &dyn Peers,
    choose: impl FnOnce(usize, usize) -> Vec<usize>,
) -> Result<Tensor> {
    let failed = || TokenizerError::operation("replace dead codes");
    let mut sizes = vec![0.0_f64; peers.n_ranks()];
    sizes[peers.rank()] = own.size()[0] as f64;
    let sizes = Tensor::f_from_slice(&sizes).and_then(|sizes| sizes.f_to_device(own.device())).map_err(failed())?;
    let sizes = Vec::<f64>::try_from(&peers.sum(&sizes)?).map_err(failed())?;
    let n_latents = sizes.iter().sum::<f64>() as usize;
    let first = sizes[..peers.rank()].iter().sum::<f64>() as usize;

    let rows = choose(n_dead, n_latents);
    let outside = rows.iter().copied().find(|&row| row >= n_latents);
    if rows.len() != n_dead || outside.is_some() {
        return Err(TokenizerError::Rows { n_dead, n_latents, got: outside });
    }
    let here = |row: &usize| row.checked_sub(first).filter(|&row| row < own.size()[0] as usize);
    let places: Vec<i64> = rows.iter().map(|row| here(row).unwrap_or(0) as i64).collect();
    let is_here: Vec<bool> = rows.iter().map(|row| here(row).is_some()).collect();
    let gather = || -> Result<Tensor, TchError> {
        if !is_here.contains(&true) {
            return Tensor::f_zeros([n_dead as i64, own.size()[1]], (Kind::Float, own.device()));
        }
        let rows = own.f_index_select(0, &Tensor::f_from_slice(&places)?.f_to_device(own.device())?)?;
        let others = Tensor::f_from_slice(&is_here)?.f_to_device(own.device())?.f_logical_not()?.f_unsqueeze(1)?;
        rows.f_masked_fill(&others, 0.0)
    };
    peers.sum(&gather().map_err(failed())?)
}

/// Rows of length 1.
fn directions(rows: &Tensor) -> Result<Tensor, TchError> {
    rows.f_div(&rows.f_norm_scalaropt_dim(2.0, [-1_i64], true)?.f_clamp_min(SMALLEST_LENGTH)?)
}
