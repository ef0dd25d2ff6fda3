//! How much a run holds at a time, by what the system counts.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

use egom2p_graph::{Builder, DType, Dim, Graph};
use egom2p_torch::{CheckpointedGraph, TorchParameters, run};
use std::fs;
use tch::{Device, Kind, Tensor};

/// The bytes of one value of the graph: large enough that they are the system's pages and not the allocator's.
const VALUE_BYTES: usize = 4 << 20;
const N_BLOCKS: usize = 24;

/// [`N_BLOCKS`] blocks of four values, of which the backward pass needs three.
fn graph() -> Graph {
    let g = Builder::new("sketch");
    let mut x = g.input("x", DType::F32, [Dim::from("rows"), 1024.into()]);
    for block in 0..N_BLOCKS {
        x = g.enter("layers", || g.enter(block, || x + x.gelu().tanh().silu()));
    }
    let outputs = [("y", x.id())];
    g.finish(outputs).unwrap()
}

/// How many values more than before are held at most while `body` runs, after a run on one row.
fn peak(body: impl Fn(&Tensor)) -> f64 {
    tch::set_num_threads(1);
    let rows = |n_rows: usize| Tensor::rand([n_rows as i64, 1024], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    body(&rows(1));
    let x = rows(VALUE_BYTES / 4096);
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    body(&x);
    (status("VmHWM:") - before) / VALUE_BYTES as f64
}

/// A line of the process's status, in bytes.
fn status(line: &str) -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let value = text.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    value.trim().strip_suffix(" kB").unwrap().parse::<f64>().unwrap() * 1024.0
}

fn plain(x: &Tensor) -> Tensor {
    run(&graph(), &[("x", x)], &TorchParameters::default(), Device::Cpu).unwrap().swap_remove(0).1
}

#[test]
fn without_gradients_a_few_values_are_held() {
    let peak = peak(|x| tch::no_grad(|| drop(plain(x))));
    // Three are in use at a time; the allocator keeps some that were freed. Together they are 96.
    assert!(peak < 10.0, "{peak:.1} values");
}

#[test]
fn checkpointed_blocks_hold_what_crosses_their_borders() {
    let once = peak(|x| plain(x).sum(Kind::Float).backward());
    assert!(once > 3.0 * N_BLOCKS as f64, "{once:.1} values: the measure does not see what is held");
    let graph = CheckpointedGraph::new(graph());
    let twice = peak(|x| {
        let outputs = graph.run(&[("x", x)], &TorchParameters::default(), Device::Cpu).unwrap();
        outputs[0].1.sum(Kind::Float).backward();
    });
    // One value per block, and those of one block with their gradients.
    assert!(twice < N_BLOCKS as f64 + 12.0, "{twice:.1} values, {once:.1} without checkpoints");
}
