//! What launchers say.

use egom2p_train::distributed::Launch;
use std::collections::BTreeMap;
use std::time::Duration;

fn launch(variables: &str) -> Result<Option<Launch>, String> {
    let variables: BTreeMap<&str, &str> =
        variables.split_whitespace().map(|variable| variable.split_once('=').unwrap()).collect();
    Launch::from_environment(|name| variables.get(name).map(|value| (*value).to_owned()))
        .map_err(|error| error.to_string())
}

const TORCHRUN: &str = "RANK=3 LOCAL_RANK=1 WORLD_SIZE=4 MASTER_ADDR=node1 MASTER_PORT=29500";
const SRUN: &str = "SLURM_PROCID=5 SLURM_LOCALID=1 SLURM_NTASKS=8 SLURM_JOB_ID=1234567 SLURM_STEP_ID=2 SLURM_STEP_NODELIST=gpu[03-04,09]";

#[test]
fn torchrun_is_understood() {
    let expected = Launch {
        rank: 3,
        n_ranks: 4,
        local_rank: Some(1),
        address: "node1".to_owned(),
        port: 29500,
        is_served: false,
        prefix: "/worker/attempt_0/egom2p".to_owned(),
        interface_address: None,
        timeout: Duration::from_mins(30),
    };
    assert_eq!(launch(TORCHRUN), Ok(Some(expected.clone())));
    let agent = format!("{TORCHRUN} TORCHELASTIC_USE_AGENT_STORE=True TORCHELASTIC_RESTART_COUNT=2");
    let served = Launch { is_served: true, prefix: "/worker/attempt_2/egom2p".to_owned(), ..expected };
    assert_eq!(launch(&agent), Ok(Some(served)));
    let patient = launch(&format!("{TORCHRUN} EGOM2P_TIMEOUT_SECS=90")).unwrap().unwrap();
    assert_eq!(patient.timeout, Duration::from_secs(90));
}

#[test]
fn srun_is_understood() {
    let found = launch(SRUN).unwrap().unwrap();
    assert_eq!((found.rank, found.n_ranks, found.local_rank), (5, 8, Some(1)));
    assert_eq!((found.address.as_str(), found.port, found.is_served), ("gpu03", 19_569, false));
    let given = launch(&format!("{SRUN} MASTER_ADDR=head MASTER_PORT=1")).unwrap().unwrap();
    assert_eq!((given.address.as_str(), given.port), ("head", 1));
    let launching = SRUN.replace("SLURM_STEP_NODELIST=gpu[03-04,09]", "SLURM_LAUNCH_NODE_IPADDR=10.0.0.7");
    assert_eq!(launch(&launching).unwrap().unwrap().address, "10.0.0.7");
    // torchrun may itself run under Slurm.
    assert_eq!(launch(&format!("{SRUN} {TORCHRUN}")).unwrap().unwrap().rank, 3);
}

#[test]
fn the_loopback_is_used_where_all_ranks_meet_there() {
    let interface = |more: &str| {
        let variables = TORCHRUN.replace("node1", "127.0.0.1") + more;
        launch(&variables).unwrap().unwrap().interface_address
    };
    assert_eq!(interface("").as_deref(), Some("127.0.0.1"));
    assert_eq!(interface(" GLOO_SOCKET_IFNAME=eth0"), None);
}

#[test]
fn one_process_is_no_launch() {
    for variables in [
        "",
        "MASTER_ADDR=node1 MASTER_PORT=29500 LOCAL_RANK=0",
        "RANK=0 WORLD_SIZE=1 MASTER_ADDR=node1 MASTER_PORT=29500",
        "SLURM_NTASKS=4 SLURM_JOB_ID=5",
        "SLURM_PROCID=0 SLURM_NTASKS=1",
    ] {
        assert_eq!(launch(variables), Ok(None), "{variables}");
    }
}

#[test]
fn half_an_environment_is_refused() {
    let without = |variables: &str, name: &str| {
        let kept = variables.split_whitespace().filter(|variable| !variable.starts_with(&format!("{name}=")));
        kept.collect::<Vec<_>>().join(" ")
    };
    for (variables, message) in [
        (without(TORCHRUN, "RANK"), "RANK is missing although WORLD_SIZE is there"),
        (without(TORCHRUN, "WORLD_SIZE"), "WORLD_SIZE is missing although RANK is there"),
        (without(TORCHRUN, "MASTER_ADDR"), "MASTER_ADDR is missing although RANK is there"),
        (without(TORCHRUN, "MASTER_PORT"), "MASTER_PORT is missing although RANK is there"),
        (without(SRUN, "SLURM_NTASKS"), "SLURM_NTASKS is missing although SLURM_PROCID is there"),
        (without(SRUN, "SLURM_STEP_NODELIST"), "SLURM_STEP_NODELIST is missing although SLURM_PROCID is there"),
    ] {
        let error = launch(&variables).unwrap_err();
        assert!(error.starts_with(message) && error.lines().count() == 2, "{variables}: {error}");
    }
}

#[test]
fn values_out_of_range_are_refused() {
    for (variables, from, to, message) in [
        (TORCHRUN, "RANK=3", "RANK=4", "RANK is \"4\", expected a number from 0 to 3"),
        (TORCHRUN, "RANK=3", "RANK=-1", "RANK is \"-1\", expected a number from 0 to 3"),
        (TORCHRUN, "WORLD_SIZE=4", "WORLD_SIZE=0", "WORLD_SIZE is \"0\", expected a number from 1 on"),
        (TORCHRUN, "29500", "0", "MASTER_PORT is \"0\", expected a port from 1 to 65535"),
        (TORCHRUN, "29500", "70000", "MASTER_PORT is \"70000\", expected a port from 1 to 65535"),
        (TORCHRUN, "LOCAL_RANK=1", "LOCAL_RANK=x", "LOCAL_RANK is \"x\", expected a number from 0 on"),
        (SRUN, "gpu[03-04,09]", "gpu[", "SLURM_STEP_NODELIST is \"gpu[\", expected hosts such as node[01-04]"),
        (SRUN, "SLURM_JOB_ID=1234567", "SLURM_JOB_ID=x", "SLURM_JOB_ID is \"x\", expected a number"),
        (SRUN, "SLURM_STEP_ID=2", "EGOM2P_TIMEOUT_SECS=0", "EGOM2P_TIMEOUT_SECS is \"0\", expected seconds from 1"),
    ] {
        let error = launch(&variables.replacen(from, to, 1)).unwrap_err();
        assert!(error.starts_with(message) && error.lines().count() == 2, "{to}: {error}");
    }
}
