use super::{DistributedError, Launch, Result};
use crate::tokenizers::{Peers, Result as TokenizerResult, TokenizerError};
use egom2p_torch_native::{Gpu, GroupSettings, ProcessGroup, Reducer, ReducerSettings, Reduction, Store};
use std::cell::RefCell;
use std::fmt;
use tch::{Device, TchError, Tensor};

/// The processes that train together, as one of them sees it.
///
/// Every rank makes the same calls in the same order. Where another rank ended, a call fails with
/// [`DistributedError::LostRank`], and so does every one after it.
pub struct Ranks {
    group: ProcessGroup,
    reducer: RefCell<Option<Reducer>>,
    /// The server of the store, on one rank, lives as long as the group.
    _store: Store,
}

impl Ranks {
    /// Waits until all ranks are there. With a GPU, which is of this rank alone, what lies on GPUs goes from one to the other
    /// by NCCL: gradients, and what [`send`](Self::send) is given. The rest goes through the processors.
    pub fn meet(launch: &Launch, gpu: Option<&Gpu>) -> Result<Self> {
        let Launch { rank, n_ranks, timeout, .. } = *launch;
        let store = if rank == 0 && !launch.is_served {
            Store::serve(launch.port, timeout)?
        } else {
            Store::connect(&launch.address, launch.port, timeout)?
        };
        let settings = GroupSettings { rank, n_ranks, timeout, interface_address: launch.interface_address.clone() };
        let keys = store.with_prefix(&launch.prefix)?;
        let group = match gpu {
            Some(gpu) => ProcessGroup::nccl(&keys, &settings, gpu)?,
            None => ProcessGroup::gloo(&keys, &settings)?,
        };
        Ok(Self { group, reducer: RefCell::default(), _store: store })
    }

    /// Which one this is, from 0.
    pub fn rank(&self) -> usize {
        self.group.rank()
    }

    /// How many there are.
    pub fn n_ranks(&self) -> usize {
        self.group.n_ranks()
    }

    /// Whether this is the rank that prints and writes.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Gives all ranks the values that rank 0 has.
    pub fn send<'a>(&self, tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<()> {
        tensors.into_iter().try_for_each(|tensor| Ok(self.group.broadcast(&tensor.detach(), 0)?))
    }

    /// Names what [`average_gradients`](Self::average_gradients) is about from now on, in the same order on every rank.
    pub fn learn<'a>(&self, parameters: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Result<()> {
        // The engine before unhooks itself from the parameters first.
        *self.reducer.borrow_mut() = None;
        let reducer = Reducer::new(&self.group, parameters, &ReducerSettings::default())?;
        *self.reducer.borrow_mut() = Some(reducer);
        Ok(())
    }

    /// Adds the gradient of a loss to those of this rank, and leaves the mean over the ranks in every one. The loss depends
    /// on a learned parameter at least; on which ones may differ by rank.
    pub fn average_gradients(&self, loss: &Tensor) -> Result<()> {
        match self.reducer.borrow_mut().as_mut() {
            Some(reducer) => {
                reducer.prepare(&[loss])?;
                Ok(reducer.backward(loss)?)
            }
            None => Err(DistributedError::Operation {
                action: "average gradients over the ranks",
                reason: "no parameters to learn".to_owned(),
            }),
        }
    }

    /// Whether something holds on any rank.
    pub fn any(&self, holds: bool) -> Result<bool> {
        let flag = Tensor::f_from_slice(&[i64::from(holds)]).map_err(DistributedError::operation("make a flag"))?;
        self.group.all_reduce(&flag, Reduction::Max)?;
        Ok(flag.f_int64_value(&[0]).map_err(DistributedError::operation("read a flag"))? > 0)
    }

    /// The numbers of every rank, by rank; as many on each.
    pub fn gather_numbers(&self, own: &[f64]) -> Result<Vec<Vec<f64>>> {
        let failed = || DistributedError::operation("gather numbers of all ranks");
        let gathered = self.group.all_gather(&Tensor::f_from_slice(own).map_err(failed())?)?;
        gathered.iter().map(|numbers| Vec::try_from(numbers).map_err(failed())).collect()
    }

    /// The texts of every rank, by rank.
    pub fn gather_texts(&self, own: &str) -> Result<Vec<String>> {
        let failed = || DistributedError::operation("gather texts of all ranks");
        let lengths = self.gather_numbers(&[own.len() as f64])?;
        let lengths: Vec<usize> = lengths.iter().map(|length| length[0] as usize).collect();
        let mut padded = own.as_bytes().to_vec();
        padded.resize(lengths.iter().copied().max().unwrap_or(0).max(1), 0);
        let gathered = self.group.all_gather(&Tensor::f_from_slice(&padded).map_err(failed())?)?;
        let text = |(bytes, length): (&Tensor, usize)| {
            let bytes = Vec::<u8>::try_from(bytes).map_err(failed())?;
            Ok(String::from_utf8_lossy(&bytes[..length.min(bytes.len())]).into_owned())
        };
        gathered.iter().zip(lengths).map(text).collect()
    }

    /// Fails on all ranks where one has another text than rank 0.
    pub fn agree(&self, what: &'static str, text: &str) -> Result<()> {
        let digests = self.gather_texts(&blake3::hash(text.as_bytes()).to_hex())?;
        match digests.iter().position(|digest| *digest != digests[0]) {
            Some(rank) => Err(DistributedError::Disagreement { rank, what }),
            None => Ok(()),
        }
    }

    /// Waits until all ranks are here.
    pub fn barrier(&self) -> Result<()> {
        Ok(self.group.barrier()?)
    }

    fn sum_of_copy(&self, tensor: &Tensor) -> Result<Tensor> {
        let copy = || -> Result<Tensor, TchError> { tensor.f_detach_copy()?.f_to_device(Device::Cpu)?.f_contiguous() };
        let sum = copy().map_err(DistributedError::operation("copy what is to be summed"))?;
        self.group.all_reduce(&sum, Reduction::Sum)?;
        sum.f_to_device(tensor.device()).map_err(DistributedError::operation("copy a sum"))
    }
}

impl Peers for Ranks {
    fn rank(&self) -> usize {
        self.group.rank()
    }

    fn n_ranks(&self) -> usize {
        self.group.n_ranks()
    }

    fn sum(&self, tensor: &Tensor) -> TokenizerResult<Tensor> {
        Ok(self.sum_of_copy(tensor)?)
    }

    /// The parameters are those that [`Ranks::learn`] was given, or else these from now on.
    fn backward(&self, loss: &Tensor, parameters: &[&Tensor]) -> TokenizerResult<()> {
        if self.reducer.borrow().is_none() {
            let names: Vec<String> = (0..parameters.len()).map(|index| format!("parameter {index}")).collect();
            self.learn(names.iter().map(String::as_str).zip(parameters.iter().copied()))?;
        }
        Ok(self.average_gradients(loss)?)
    }
}

impl From<DistributedError> for TokenizerError {
    fn from(error: DistributedError) -> Self {
        Self::Peers(Box::new(error))
    }
}

impl fmt::Debug for Ranks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranks").field("rank", &self.rank()).field("n_ranks", &self.n_ranks()).finish_non_exhaustive()
    }
}
