//! Saves that do not get to their end: a disk that fills up, and a process that is killed.

use crate::training::{bits, names, training};
use egom2p_train::checkpoint;
use std::{
    collections::BTreeSet,
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tch::Device;

/// Names the folder that a child process saves into.
const FOLDER: &str = "EGOM2P_TEST_CHECKPOINTS";

fn child(command: &mut Command, test: &str, folder: &Path) -> Child {
    let test = format!("stopped::{test}");
    command.args([test.as_str(), "--exact", "--ignored", "--nocapture"]).env(FOLDER, folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
#[ignore = "what a_full_disk_leaves_what_was_there runs in a process with a limit"]
fn child_saves_once() {
    let folder = env::var_os(FOLDER).unwrap();
    let error = checkpoint::save(Path::new(&folder), &training(2), 1).unwrap_err().to_string();
    assert!(error.lines().count() == 2 && error.contains("step-00000002.partial"), "{error}");
    eprintln!("{error}");
}

/// A limit on the size of files stands in for the disk: the same kind of error, and it needs no rights.
#[test]
fn a_full_disk_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = checkpoint::save(folder.path(), &training(1), 1).unwrap();
    let blocks = |name: &str| fs::metadata(path.join(name)).unwrap().len() / 1024;
    let (parameters, moments) = (blocks("model.safetensors"), blocks("optimizer.safetensors"));
    assert!(parameters + 1 < moments);
    // No byte at all, no parameters, half of them, and all of them but not the moments.
    for n_blocks in [0, 2, parameters / 2, parameters + 1, moments] {
        let mut command = Command::new("bash");
        let script = format!("trap '' XFSZ; ulimit -f {n_blocks}; exec \"$@\"");
        command.args(["-c", &script, "bash"]).arg(env::current_exe().unwrap());
        let output = child(&mut command, "child_saves_once", folder.path()).wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{n_blocks} blocks: {text}");
        assert_eq!(names(folder.path()), ["step-00000001"], "{n_blocks} blocks");
    }
    assert_eq!(checkpoint::latest(folder.path()).unwrap(), Some(path));
}

/// A file system of its own that is too small for the moments, where the kernel lets anybody mount one.
#[test]
fn a_disk_without_room_is_named_and_left_empty() {
    let folder = tempfile::tempdir().unwrap();
    let allowed = Command::new("unshare").args(["--map-root-user", "--mount", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no file system may be mounted here");
        return;
    }
    let mut command = Command::new("unshare");
    let script = format!("mount -t tmpfs -o size=400k none \"${FOLDER}\"; \"$@\" || exit; ls -A \"${FOLDER}\"");
    command.args(["--map-root-user", "--mount", "bash", "-c", &script, "bash"]).arg(env::current_exe().unwrap());
    let output = child(&mut command, "child_saves_once", folder.path()).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert!(text.contains("no space left on the disk") && !text.ends_with("step-00000002.partial\n"), "{text}");
}

#[test]
#[ignore = "what slow_a_killed_save_leaves_a_whole_checkpoint starts and kills"]
fn child_saves_forever() {
    let folder = env::var_os(FOLDER).unwrap();
    let folder = Path::new(&folder);
    let first = checkpoint::checkpoints(folder).unwrap().last().map_or(1, |(step, _)| step + 1);
    for step in first.. {
        checkpoint::save(folder, &training(step), 1).unwrap();
    }
}

/// With one kept there is no second one to fall back on.
#[test]
fn slow_a_killed_save_leaves_a_whole_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (mut n_interrupted, mut steps) = (0, BTreeSet::new());
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..25 {
        let before = newest(folder.path());
        let mut child = child(&mut Command::new(env::current_exe().unwrap()), "child_saves_forever", folder.path());
        let start = Instant::now();
        while newest(folder.path()) == before {
            assert!(start.elapsed() < Duration::from_mins(1), "nothing is saved in round {round}");
            thread::sleep(Duration::from_millis(1));
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        thread::sleep(Duration::from_micros(random % 40_000));
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        n_interrupted += checkpoint::interrupted(folder.path()).unwrap().len();
        let path = checkpoint::latest(folder.path()).unwrap().unwrap();
        let found = checkpoint::load(&path, Device::Cpu).unwrap();
        let expected = training(found.step);
        assert_eq!((bits(&found), &found.state), (bits(&expected), &expected.state), "round {round}");
        steps.insert(found.step);
    }
    assert_eq!(steps.len(), 25);
    assert!(n_interrupted > 5, "only {n_interrupted} of 25 kills met a save");
}

/// The newest step by its name, while another process writes.
fn newest(folder: &Path) -> Option<u64> {
    checkpoint::checkpoints(folder).unwrap().last().map(|(step, _)| *step)
}
