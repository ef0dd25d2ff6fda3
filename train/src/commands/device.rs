//! Where a training computes.

use anyhow::{Context as _, bail};
use egom2p_torch_native::Gpu;
use egom2p_train::distributed::Launch;
use std::{env, path::Path};

/// The variable that names libtorch's part for GPUs.
const LIBRARY: &str = "EGOM2P_TORCH_CUDA";

/// What `--device` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DeviceName {
    /// The processor.
    Cpu,
    /// The GPU of the process's place on its machine.
    Cuda,
    /// The GPU of this index.
    CudaIndex(usize),
}

impl DeviceName {
    /// Opens libtorch's part for GPUs and takes one of them; `None` for the processor. Nothing falls back to it.
    pub(super) fn open(self, launch: Option<&Launch>) -> anyhow::Result<Option<Gpu>> {
        let index = match (self, launch) {
            (Self::Cpu, _) => return Ok(None),
            (Self::Cuda, None) => 0,
            (Self::Cuda, Some(launch)) => launch.local_rank.context(
                "--device cuda: the launcher does not say which GPU is this process's\nset LOCAL_RANK to its number on its machine",
            )?,
            (Self::CudaIndex(index), None) => index,
            (Self::CudaIndex(index), Some(_)) => {
                bail!("--device cuda:{index} is one GPU for several processes\nuse --device cuda, which gives each its own")
            }
        };
        let library = env::var_os(LIBRARY).filter(|path| !path.is_empty()).with_context(|| {
            format!(
                "--device cuda: {LIBRARY} does not say where libtorch's part for GPUs is\nrun \"cargo xtask setup --torch-cuda SITE-PACKAGES\", which prints what to set, or use --device cpu"
            )
        })?;
        Ok(Some(Gpu::open(Path::new(&library), index)?))
    }
}

/// Reads what stands behind `--device`.
pub(super) fn device(name: &str) -> Result<DeviceName, String> {
    match name {
        "cpu" => Ok(DeviceName::Cpu),
        "cuda" => Ok(DeviceName::Cuda),
        _ => {
            let digits = name.strip_prefix("cuda:").filter(|index| index.bytes().all(|byte| byte.is_ascii_digit()));
            let index = digits.and_then(|index| index.parse().ok()).map(DeviceName::CudaIndex);
            index.ok_or_else(|| format!("{name} is no device; use cpu, cuda or cuda:N"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceName, device};

    #[test]
    fn devices_are_named_as_libtorch_names_them() {
        assert_eq!(device("cpu"), Ok(DeviceName::Cpu));
        assert_eq!(device("cuda"), Ok(DeviceName::Cuda));
        assert_eq!(device("cuda:0"), Ok(DeviceName::CudaIndex(0)));
        assert_eq!(device("cuda:13"), Ok(DeviceName::CudaIndex(13)));
        for name in [
            "",
            "CPU",
            "cpu:0",
            "cuda:",
            "cuda:-1",
            "cuda:+1",
            "cuda: 1",
            "cuda:1 ",
            "cuda:99999999999999999999",
            "gpu",
        ] {
            assert_eq!(device(name), Err(format!("{name} is no device; use cpu, cuda or cuda:N")));
        }
    }
}
