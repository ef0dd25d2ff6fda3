//! Processes that a test starts.

use egom2p_train::distributed::{Launch, Ranks};
use std::{
    env,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

pub(crate) const N_RANKS: usize = 2;
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(2);
const FOLDER: &str = "EGOM2P_TEST_FOLDER";

/// What one of the processes is, if the test runner did not start it: its folder, and its ranks.
pub(crate) fn of_this_process() -> Option<(PathBuf, Rc<Ranks>)> {
    let folder = env::var_os(FOLDER)?;
    tch::set_num_threads(1);
    let launch = Launch::from_environment(|name| env::var(name).ok()).unwrap().unwrap();
    Some((folder.into(), Rc::new(Ranks::meet(&launch, None).unwrap())))
}

/// The variables of torchrun for a rank.
pub(crate) fn environment(rank: usize, port: u16) -> [(&'static str, String); 6] {
    [
        ("RANK", rank.to_string()),
        ("LOCAL_RANK", rank.to_string()),
        ("WORLD_SIZE", N_RANKS.to_string()),
        ("MASTER_ADDR", "127.0.0.1".to_owned()),
        ("MASTER_PORT", port.to_string()),
        ("EGOM2P_TIMEOUT_SECS", "60".to_owned()),
    ]
}

/// A port that nobody listens at.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The processes of a test, by rank; they end with it.
pub(crate) struct Processes(Vec<Option<Child>>);

impl Processes {
    /// Starts a command once for every rank.
    pub(crate) fn start(command: impl Fn() -> Command) -> Self {
        let port = free_port();
        let start = |rank| {
            let mut command = command();
            command.envs(environment(rank, port)).stdout(Stdio::piped()).stderr(Stdio::piped());
            Some(command.spawn().unwrap())
        };
        Self((0..N_RANKS).map(start).collect())
    }

    /// Starts this test as every rank.
    pub(crate) fn of_test(test: &str, folder: &Path) -> Self {
        Self::start(|| {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args([test, "--exact", "--nocapture"]).env(FOLDER, folder);
            command
        })
    }

    pub(crate) fn id(&self, rank: usize) -> u32 {
        self.0[rank].as_ref().unwrap().id()
    }

    pub(crate) fn kill(&mut self, rank: usize) {
        self.0[rank].as_mut().unwrap().kill().unwrap();
    }

    /// Whether a rank has ended.
    pub(crate) fn status(&mut self, rank: usize) -> Option<ExitStatus> {
        self.0[rank].as_mut().unwrap().try_wait().unwrap()
    }

    /// What a rank said and how it ended, and how long that took from now on.
    pub(crate) fn end(&mut self, rank: usize) -> (Output, Duration) {
        let start = Instant::now();
        while self.status(rank).is_none() {
            assert!(start.elapsed() < PATIENCE, "rank {rank} does not end");
            thread::sleep(Duration::from_millis(10));
        }
        let took = start.elapsed();
        (self.0[rank].take().unwrap().wait_with_output().unwrap(), took)
    }

    /// What every rank said; all of them succeed.
    pub(crate) fn succeed(mut self) -> Vec<Output> {
        let outputs: Vec<Output> = (0..N_RANKS).map(|rank| self.end(rank).0).collect();
        for (rank, output) in outputs.iter().enumerate() {
            assert!(output.status.success(), "rank {rank}: {}", text(&output.stderr));
        }
        outputs
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.0.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The last two lines of an error, which are all that it has.
pub(crate) fn two_lines(stderr: &[u8]) -> (String, String) {
    let stderr = text(stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    let [.., what, mend] = lines[..] else { panic!("no error: {stderr}") };
    assert!(what.starts_with("error: ") && mend.starts_with("  help: "), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    (what.to_owned(), mend.to_owned())
}
