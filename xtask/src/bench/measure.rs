//! Time and memory of another program.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{
    console::{failure, say},
    process,
};

/// How often the memory is looked at; the kernel keeps the peak, so that only the last moments can be missed.
const INTERVAL: Duration = Duration::from_millis(20);

/// What a program took.
pub(super) struct Measured {
    /// Wall time from start to end in seconds.
    pub(super) secs: f64,
    /// Largest resident memory in bytes.
    pub(super) peak_bytes: u64,
}

/// Runs a program to its end.
pub(super) fn run(command: &mut Command) -> Result<Measured> {
    let line = process::line(command);
    say(format_args!("$ {line}"));
    let begin = Instant::now();
    let started = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let mut child = started.with_context(|| format!("{line} cannot be started\nbuild it again"))?;
    let mut peak_bytes = 0;
    loop {
        peak_bytes = peak_bytes.max(peak_of(child.id()).unwrap_or(0));
        let ended = child.try_wait().with_context(|| format!("{line} cannot be waited for\ntry again"))?;
        match ended {
            Some(status) if status.success() => {
                return Ok(Measured { secs: begin.elapsed().as_secs_f64(), peak_bytes });
            }
            Some(status) => return Err(failure(format_args!("{line} failed ({status})"), "its own output is above")),
            None => thread::sleep(INTERVAL),
        }
    }
}

/// The largest resident memory of a process so far; nothing once it has ended.
fn peak_of(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::run;

    #[test]
    fn time_and_memory_of_a_program_are_seen() {
        let measured = run(Command::new("sh").args(["-c", "x=$(head -c 20000000 /dev/zero | tr '\\0' a); sleep 0.2"]))
            .expect("it ends well");
        assert!(measured.secs >= 0.2, "{}", measured.secs);
        assert!(measured.peak_bytes > 15_000_000, "{}", measured.peak_bytes);
    }

    #[test]
    fn a_program_that_fails_is_an_error() {
        assert!(run(Command::new("sh").args(["-c", "exit 3"])).is_err());
    }
}
