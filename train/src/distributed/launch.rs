use super::hosts::first_host;
use super::{DistributedError, Result};
use std::time::Duration;

/// Ports that a Slurm job's number picks one of.
const SLURM_PORTS: (u64, u64) = (15_000, 15_000);
/// How long ranks wait for each other, unless it is said.
const TIMEOUT: Duration = Duration::from_mins(30);
/// The longest time that can be asked for, a week.
const MAX_TIMEOUT_SECS: u64 = 7 * 24 * 3600;

/// This process's place among those that train together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Launch {
    /// Its number, from 0.
    pub rank: usize,
    /// How many there are, at least 2.
    pub n_ranks: usize,
    /// Its number on its machine, where the launcher says it.
    pub local_rank: Option<usize>,
    /// Where the store is that all ranks meet at.
    pub address: String,
    /// The store's port.
    pub port: u16,
    /// Whether the launcher serves the store; else rank 0 does.
    pub is_served: bool,
    /// What the keys of this launch begin with in the store, which outlives a restart by the launcher.
    pub prefix: String,
    /// This machine's address for the other ranks; `None` leaves it to Gloo.
    pub interface_address: Option<String>,
    /// How long a rank waits for the others.
    pub timeout: Duration,
}

impl Launch {
    /// How this process was launched, from the variables of its environment: `None` where it is on its own.
    ///
    /// | | torchrun | Slurm's srun |
    /// |---|---|---|
    /// | recognised by | `RANK` or `WORLD_SIZE` | `SLURM_PROCID`, with `SLURM_NTASKS` not 1 |
    /// | rank, ranks | `RANK`, `WORLD_SIZE` | `SLURM_PROCID`, `SLURM_NTASKS` |
    /// | rank on the machine | `LOCAL_RANK` | `SLURM_LOCALID` |
    /// | address | `MASTER_ADDR` | `MASTER_ADDR`, else the first of `SLURM_STEP_NODELIST`, else `SLURM_LAUNCH_NODE_IPADDR` |
    /// | port | `MASTER_PORT` | `MASTER_PORT`, else from `SLURM_JOB_ID` and `SLURM_STEP_ID` |
    ///
    /// With `TORCHELASTIC_USE_AGENT_STORE=True`, torchrun's agent serves the store. `EGOM2P_TIMEOUT_SECS` says how long ranks
    /// wait for each other; half an hour otherwise.
    ///
    /// # Errors
    /// Half an environment, or values that are no numbers or out of range.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let environment = Environment(&|name| variable(name).filter(|value| !value.trim().is_empty()));
        let launch = match environment.present(&["RANK", "WORLD_SIZE"]) {
            Some(present) => environment.torchrun(present)?,
            None => match environment.slurm()? {
                Some(launch) => launch,
                None => return Ok(None),
            },
        };
        Ok((launch.n_ranks > 1).then_some(launch))
    }
}

/// Variables that are not empty.
struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    fn torchrun(&self, present: &'static str) -> Result<Launch> {
        const MEND: &str = "start all ranks by torchrun, or unset RANK and WORLD_SIZE to train in one process";
        let needed = |variable| self.needed(variable, present, MEND);
        let (rank, n_ranks) = place(("RANK", needed("RANK")?), ("WORLD_SIZE", needed("WORLD_SIZE")?))?;
        let address = needed("MASTER_ADDR")?;
        let port = port(&needed("MASTER_PORT")?)?;
        let is_served = self.text("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|value| value == "True");
        // The same prefix as in torch: ranks that the agent restarts do not meet the keys of those before.
        let attempt = self.text("TORCHELASTIC_RESTART_COUNT").unwrap_or_else(|| "0".to_owned());
        let prefix = format!("/worker/attempt_{attempt}/egom2p");
        let local_rank = self.local_rank("LOCAL_RANK")?;
        self.launch((rank, n_ranks), local_rank, (address, port), (is_served, prefix))
    }

    fn slurm(&self) -> Result<Option<Launch>> {
        const PRESENT: &str = "SLURM_PROCID";
        const MEND: &str = "start all ranks by srun, or unset SLURM_PROCID to train in one process";
        let Some(rank) = self.text(PRESENT) else { return Ok(None) };
        let n_ranks = self.needed("SLURM_NTASKS", PRESENT, MEND)?;
        let (rank, n_ranks) = place((PRESENT, rank), ("SLURM_NTASKS", n_ranks))?;
        if n_ranks == 1 {
            return Ok(None);
        }
        let address = match (self.text("MASTER_ADDR"), self.text("SLURM_STEP_NODELIST")) {
            (Some(address), _) => address,
            (None, Some(list)) => first_host(&list).ok_or_else(|| DistributedError::Value {
                variable: "SLURM_STEP_NODELIST",
                value: list,
                expected: "hosts such as node[01-04]".to_owned(),
            })?,
            // Inside of a batch script but outside of srun, neither is there.
            (None, None) => self.text("SLURM_LAUNCH_NODE_IPADDR").ok_or(DistributedError::Missing {
                variable: "SLURM_STEP_NODELIST",
                present: PRESENT,
                mend: MEND,
            })?,
        };
        let number = |variable: &'static str| -> Result<u64> {
            let value = self.text(variable).unwrap_or_else(|| "0".to_owned());
            value.parse().map_err(|_| DistributedError::Value { variable, value, expected: "a number".to_owned() })
        };
        let port = if let Some(text) = self.text("MASTER_PORT") {
            port(&text)?
        } else {
            let (first, n_ports) = SLURM_PORTS;
            let place = number("SLURM_JOB_ID")?.wrapping_add(number("SLURM_STEP_ID")?) % n_ports;
            u16::try_from(first + place).unwrap_or(u16::MAX)
        };
        let local_rank = self.local_rank("SLURM_LOCALID")?;
        self.launch((rank, n_ranks), local_rank, (address, port), (false, "egom2p".to_owned())).map(Some)
    }

    fn launch(
        &self,
        (rank, n_ranks): (usize, usize),
        local_rank: Option<usize>,
        (address, port): (String, u16),
        (is_served, prefix): (bool, String),
    ) -> Result<Launch> {
        let is_loopback = address == "localhost" || address.starts_with("127.");
        let interface_address =
            (is_loopback && self.text("GLOO_SOCKET_IFNAME").is_none()).then(|| "127.0.0.1".to_owned());
        let timeout = self.timeout()?;
        Ok(Launch { rank, n_ranks, local_rank, address, port, is_served, prefix, interface_address, timeout })
    }

    fn local_rank(&self, variable: &'static str) -> Result<Option<usize>> {
        let Some(value) = self.text(variable) else { return Ok(None) };
        let number = value.parse().map(Some);
        number.map_err(|_| DistributedError::Value { variable, value, expected: "a number from 0 on".to_owned() })
    }

    fn timeout(&self) -> Result<Duration> {
        const VARIABLE: &str = "EGOM2P_TIMEOUT_SECS";
        let Some(value) = self.text(VARIABLE) else { return Ok(TIMEOUT) };
        match value.parse().ok().filter(|secs| (1..=MAX_TIMEOUT_SECS).contains(secs)) {
            Some(secs) => Ok(Duration::from_secs(secs)),
            None => Err(DistributedError::Value {
                variable: VARIABLE,
                value,
                expected: format!("seconds from 1 to {MAX_TIMEOUT_SECS}"),
            }),
        }
    }

    fn needed(&self, variable: &'static str, present: &'static str, mend: &'static str) -> Result<String> {
        self.text(variable).ok_or(DistributedError::Missing { variable, present, mend })
    }

    fn text(&self, variable: &str) -> Option<String> {
        (self.0)(variable).map(|value| value.trim().to_owned())
    }

    /// The first of these that is there.
    fn present(&self, variables: &[&'static str]) -> Option<&'static str> {
        variables.iter().copied().find(|variable| self.text(variable).is_some())
    }
}

fn port(text: &str) -> Result<u16> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| DistributedError::Value {
        variable: "MASTER_PORT",
        value: text.to_owned(),
        expected: "a port from 1 to 65535".to_owned(),
    })
}

/// The rank and the number of ranks.
fn place(rank: (&'static str, String), n_ranks: (&'static str, String)) -> Result<(usize, usize)> {
    let (variable, value) = n_ranks;
    let limit = i32::MAX as usize;
    let Some(n_ranks) = value.parse().ok().filter(|n| (1..=limit).contains(n)) else {
        return Err(DistributedError::Value { variable, value, expected: "a number from 1 on".to_owned() });
    };
    let (variable, value) = rank;
    let Some(rank) = value.parse().ok().filter(|rank| *rank < n_ranks) else {
        let expected = format!("a number from 0 to {}", n_ranks - 1);
        return Err(DistributedError::Value { variable, value, expected });
    };
    Ok((rank, n_ranks))
}
