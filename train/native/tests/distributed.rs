//! Two processes on the loopback. A test starts itself again as each of the ranks.

use egom2p_torch_native::{
    GroupSettings, NativeError, ProcessGroup, Reducer, ReducerSettings, Reduction, Store, checkpoint,
};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};
use tch::{Device, Kind, Tensor};

const RANK: &str = "EGOM2P_TEST_RANK";
const FOLDER: &str = "EGOM2P_TEST_FOLDER";
const N_RANKS: usize = 2;
const N_STEPS: usize = 50;
/// Largest difference of parameters and losses between two processes and one, relative; 2e-7 was measured where
/// gradients are accumulated, and 0 elsewhere.
const TOLERANCE: f64 = 1e-6;
/// Far longer than a lost rank may go unnoticed.
const TIMEOUT: Duration = Duration::from_mins(1);

/// One of the processes that a test starts.
struct Rank {
    rank: usize,
    folder: PathBuf,
}

impl Rank {
    /// Which one this process is; `None` in the process that the test runner started.
    fn of_this_process() -> Option<Self> {
        let rank = env::var(RANK).ok()?.parse().expect("a number");
        tch::set_num_threads(1);
        Some(Self { rank, folder: env::var_os(FOLDER).expect("the ranks share a folder").into() })
    }

    /// Meets the other ranks at a port that rank 0 writes into the folder.
    fn join(&self) -> ProcessGroup {
        let file = self.folder.join("port");
        let store = if self.rank == 0 {
            let store = Store::serve(0, TIMEOUT).expect("a port is free");
            write(&file, &store.port().to_string());
            store
        } else {
            let port = wait_for(&file).parse().expect("a number");
            Store::connect("localhost", port, TIMEOUT).expect("rank 0 serves")
        };
        let settings = GroupSettings {
            rank: self.rank,
            n_ranks: N_RANKS,
            timeout: TIMEOUT,
            interface_address: Some("127.0.0.1".to_owned()),
        };
        let store = store.with_prefix("training").expect("a store has views");
        ProcessGroup::gloo(&store, &settings).expect("both ranks are there")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}-{}", self.rank))
    }
}

/// The processes of a test; they end with it.
struct Ranks(Vec<Child>);

impl Ranks {
    fn start(test: &str, folder: &Path) -> Self {
        let start = |rank: usize| {
            let mut command = Command::new(env::current_exe().expect("a test is a program"));
            command.args([test, "--exact", "--nocapture"]).env(RANK, rank.to_string()).env(FOLDER, folder);
            command.stdout(Stdio::null()).spawn().expect("a test can be started")
        };
        Self((0..N_RANKS).map(start).collect())
    }

    fn wait(&mut self, rank: usize) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < TIMEOUT * 2 {
            if let Some(status) = self.0[rank].try_wait().expect("the process is this one's child") {
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("rank {rank} does not end");
    }
}

impl Drop for Ranks {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Writes a file that appears whole.
fn write(path: &Path, text: &str) {
    let partial = path.with_extension("partial");
    fs::write(&partial, text).expect("the folder is writable");
    fs::rename(partial, path).expect("the folder is writable");
}

fn wait_for(path: &Path) -> String {
    let start = Instant::now();
    while start.elapsed() < TIMEOUT {
        if let Ok(text) = fs::read_to_string(path) {
            return text;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{} does not appear", path.display());
}

/// Runs `act` as every rank, and fails where one fails.
fn on_all_ranks(test: &str, act: impl Fn(&Rank)) -> Option<tempfile::TempDir> {
    if let Some(rank) = Rank::of_this_process() {
        act(&rank);
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut ranks = Ranks::start(test, folder.path());
    for rank in 0..N_RANKS {
        assert!(ranks.wait(rank).success(), "rank {rank} failed");
    }
    Some(folder)
}

/// A model whose parameters are used by turns: `shared` always, `even` and `odd` by batches of that number only, `never` by
/// none.
struct Model {
    parameters: Vec<(&'static str, Tensor)>,
}

impl Model {
    fn new(seed: i64) -> Self {
        tch::manual_seed(seed);
        let leaf = |name| (name, Tensor::randn([4, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true));
        Self { parameters: ["shared", "even", "odd", "never"].map(leaf).into() }
    }

    fn named(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.parameters.iter().map(|(name, tensor)| (*name, tensor))
    }

    /// The loss of a batch, which is a function of its number.
    fn loss(&self, batch: usize, checkpointed: bool) -> Tensor {
        let values: Vec<f32> = (0..20).map(|place| ((batch * 20 + place) as f32 * 0.7).sin()).collect();
        let rows = Tensor::from_slice(&values).reshape([5, 4]);
        let [shared, own] = [0, 1 + batch % 2].map(|index| self.parameters[index].1.shallow_clone());
        let layer = move |inputs: &[Tensor]| -> Result<Vec<Tensor>, NativeError> {
            Ok(vec![inputs[0].matmul(&shared) + inputs[0].square().matmul(&own)])
        };
        let inputs = [&rows];
        let outputs = if checkpointed { checkpoint(&inputs, layer) } else { layer(&inputs.map(Tensor::shallow_clone)) };
        (outputs.expect("the layer runs").remove(0) - rows.cos()).square().mean(Kind::Float)
    }

    /// Moves against the gradients, and clears them in place.
    fn step(&self) {
        tch::no_grad(|| {
            for (_, parameter) in &self.parameters {
                let mut gradient = parameter.grad();
                if gradient.defined() {
                    let _ = parameter.shallow_clone().g_sub_(&(&gradient * 0.1));
                    let _ = gradient.zero_();
                }
            }
        });
    }

    fn values(&self) -> Vec<f64> {
        let tensors: Vec<Tensor> = self.parameters.iter().map(|(_, tensor)| tensor.detach().flatten(0, -1)).collect();
        Vec::try_from(Tensor::cat(&tensors, 0).to_kind(Kind::Double)).expect("a list of numbers")
    }
}

/// How two processes train.
#[derive(Clone, Copy)]
struct Case {
    /// Whether one rank uses `even` and the other `odd`, by turns; else both use the same.
    apart: bool,
    /// Batches of each rank in a step, which averages after the last.
    n_parts: usize,
    checkpointed: bool,
    gradient_as_bucket_view: bool,
}

impl Case {
    const PLAIN: Self = Self { apart: false, n_parts: 1, checkpointed: false, gradient_as_bucket_view: false };

    /// The batches of the ranks in each part of a step.
    fn batches(self, step: usize) -> Vec<[usize; N_RANKS]> {
        let second = if self.apart { 1 } else { 2 };
        (0..self.n_parts).map(|part| [step * 3 + part * 5, step * 3 + part * 5 + second]).collect()
    }

    /// Losses and parameters of a training in this process.
    fn train_alone(self) -> Vec<f64> {
        let model = Model::new(1);
        let mut losses = Vec::new();
        for step in 0..N_STEPS {
            for batches in self.batches(step) {
                let [first, second] = batches.map(|batch| model.loss(batch, false));
                let loss = (first + second) / N_RANKS as f64;
                loss.backward();
                losses.push(loss.double_value(&[]));
            }
            model.step();
        }
        losses.extend(model.values());
        losses
    }

    fn train_together(self, rank: &Rank) -> Vec<f64> {
        let group = rank.join();
        let model = Model::new(1 + rank.rank as i64);
        for (_, parameter) in model.named() {
            group.broadcast(parameter, 0).expect("both ranks are there");
        }
        // Buckets of one parameter each, so that there are several.
        let settings = ReducerSettings {
            first_bucket_bytes: 32,
            bucket_bytes: 64,
            gradient_as_bucket_view: self.gradient_as_bucket_view,
            ..ReducerSettings::default()
        };
        let mut reducer = Reducer::new(&group, model.named(), &settings).expect("the ranks agree");
        let mut losses = Vec::new();
        for step in 0..N_STEPS {
            let parts = self.batches(step);
            for (part, batches) in parts.iter().enumerate() {
                let loss = model.loss(batches[rank.rank], self.checkpointed);
                if part + 1 == parts.len() {
                    reducer.prepare(&[&loss]).expect("the last step is over");
                }
                reducer.backward(&loss).expect("both ranks are there");
                let mean = loss.detach() / N_RANKS as f64;
                group.all_reduce(&mean, Reduction::Sum).expect("both ranks are there");
                losses.push(mean.double_value(&[]));
            }
            model.step();
        }
        group.barrier().expect("both ranks are there");
        losses.extend(model.values());
        losses
    }

    fn equals_one_process(self, test: &str) {
        let folder = on_all_ranks(test, |rank| {
            let found = self.train_together(rank);
            write(&rank.file("found"), &found.iter().map(f64::to_string).collect::<Vec<_>>().join("\n"));
        });
        let Some(folder) = folder else { return };
        let alone = self.train_alone();
        for rank in 0..N_RANKS {
            let text = fs::read_to_string(folder.path().join(format!("found-{rank}"))).expect("the rank wrote it");
            let found: Vec<f64> = text.lines().map(|line| line.parse().expect("a number")).collect();
            assert_eq!(found.len(), alone.len());
            let worst = found.iter().zip(&alone).map(|(found, alone)| (found - alone).abs() / alone.abs().max(0.1));
            let worst = worst.fold(0.0, f64::max);
            assert!(worst <= TOLERANCE, "rank {rank}: {worst:.1e}");
        }
        assert!(alone[N_STEPS - 1] < alone[0] / 2.0, "training does something: {} to {}", alone[0], alone[N_STEPS - 1]);
    }
}

/// Kills a rank in the middle of a training, and gives what the other says and after how many seconds it ended.
fn lose(test: &str, lost: usize) -> Option<(String, f64)> {
    if let Some(rank) = Rank::of_this_process() {
        let group = rank.join();
        let model = Model::new(1);
        let mut reducer = Reducer::new(&group, model.named(), &ReducerSettings::default()).expect("the ranks agree");
        for step in 0.. {
            let loss = model.loss(step + rank.rank, false);
            let outcome = reducer.prepare(&[&loss]).and_then(|()| reducer.backward(&loss));
            if let Err(error) = outcome {
                assert!(matches!(error, NativeError::LostRank { .. }), "{error:?}");
                write(&rank.file("error"), &error.to_string());
                return None;
            }
            model.step();
            if step == 5 {
                write(&rank.file("under-way"), "");
            }
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut ranks = Ranks::start(test, folder.path());
    wait_for(&folder.path().join(format!("under-way-{lost}")));
    ranks.0[lost].kill().expect("the process is this one's child");
    let killed = Instant::now();
    let other = 1 - lost;
    assert!(ranks.wait(other).success(), "the other rank ends by itself, with an error of its own");
    let secs = killed.elapsed().as_secs_f64();
    Some((wait_for(&folder.path().join(format!("error-{other}"))), secs))
}

fn a_lost_rank_ends_the_other(test: &str, lost: usize) {
    let Some((error, secs)) = lose(test, lost) else { return };
    assert!(secs < 10.0, "{secs} s");
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(
        lines[0].contains("another rank is lost: ") && lines[1].contains("resume from the last checkpoint"),
        "{error}"
    );
}

#[test]
fn collectives_are_right() {
    on_all_ranks("collectives_are_right", |rank| {
        let group = rank.join();
        let own = || Tensor::from_slice(&[1.0_f32 + rank.rank as f32, -4.0, 5.0 * rank.rank as f32]);
        for (reduction, expected) in [
            (Reduction::Sum, [3.0_f32, -8.0, 5.0]),
            (Reduction::Product, [2.0, 16.0, 0.0]),
            (Reduction::Min, [1.0, -4.0, 0.0]),
            (Reduction::Max, [2.0, -4.0, 5.0]),
        ] {
            let tensor = own();
            group.all_reduce(&tensor, reduction).expect("both ranks are there");
            assert_eq!(tensor, Tensor::from_slice(&expected), "{reduction:?}");
        }
        let tensor = own();
        group.broadcast(&tensor, 1).expect("both ranks are there");
        assert_eq!(tensor, Tensor::from_slice(&[2.0_f32, -4.0, 5.0]));
        let gathered = group.all_gather(&Tensor::from_slice(&[rank.rank as i64, 7])).expect("both ranks are there");
        assert_eq!(gathered, [Tensor::from_slice(&[0_i64, 7]), Tensor::from_slice(&[1_i64, 7])]);
        let entered = Instant::now();
        if rank.rank == 1 {
            thread::sleep(Duration::from_millis(300));
        }
        group.barrier().expect("both ranks are there");
        assert!(entered.elapsed() >= Duration::from_millis(250), "the first waits for the second");
        let error = group.broadcast(&tensor, 2).expect_err("there is no rank 2").to_string();
        assert!(error.contains("rank 2 is not one of 2") && error.lines().count() == 2, "{error}");
        let columns = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu)).transpose(0, 1);
        let error = group.all_reduce(&columns, Reduction::Sum).expect_err("it is not contiguous").to_string();
        assert!(error.contains("the tensor is not contiguous") && error.lines().count() == 2, "{error}");
    });
}

#[test]
fn training_with_the_same_parameters_equals_one_process() {
    Case::PLAIN.equals_one_process("training_with_the_same_parameters_equals_one_process");
}

#[test]
fn training_with_parameters_unused_on_one_rank_equals_one_process() {
    let case = Case { apart: true, ..Case::PLAIN };
    case.equals_one_process("training_with_parameters_unused_on_one_rank_equals_one_process");
}

#[test]
fn training_with_gradients_in_the_buckets_equals_one_process() {
    let case = Case { apart: true, gradient_as_bucket_view: true, ..Case::PLAIN };
    case.equals_one_process("training_with_gradients_in_the_buckets_equals_one_process");
}

#[test]
fn training_with_checkpoints_equals_one_process() {
    let case = Case { apart: true, checkpointed: true, ..Case::PLAIN };
    case.equals_one_process("training_with_checkpoints_equals_one_process");
}

#[test]
fn training_with_accumulated_gradients_equals_one_process() {
    let case = Case { apart: true, n_parts: 2, ..Case::PLAIN };
    case.equals_one_process("training_with_accumulated_gradients_equals_one_process");
}

#[test]
fn ranks_that_disagree_about_parameters_are_told() {
    on_all_ranks("ranks_that_disagree_about_parameters_are_told", |rank| {
        let group = rank.join();
        let leaf = Tensor::zeros([2, 3 + rank.rank as i64], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let error = Reducer::new(&group, [("a", &leaf)], &ReducerSettings::default()).expect_err("the shapes differ");
        assert_eq!(error.to_string().lines().count(), 2, "{error}");
    });
}

#[test]
fn a_lost_second_rank_ends_the_first() {
    a_lost_rank_ends_the_other("a_lost_second_rank_ends_the_first", 1);
}

#[test]
fn a_lost_first_rank_ends_the_second() {
    a_lost_rank_ends_the_other("a_lost_first_rank_ends_the_second", 0);
}

#[test]
fn a_store_that_nobody_serves_is_told() {
    let error = Store::connect("127.0.0.1", 9, Duration::from_secs(1)).expect_err("nobody serves").to_string();
    assert!(error.lines().count() == 2 && error.contains("start every rank with the same address"), "{error}");
    let error = Store::connect("a\0b", 9, Duration::from_secs(1)).expect_err("no host").to_string();
    assert!(error.contains("holds a null byte"), "{error}");
}
