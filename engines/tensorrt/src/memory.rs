//! Memory of this machine: what a build takes, what is free, and what was taken.

use egom2p_engine_core::{EngineError, Result};
use std::path::{Path, PathBuf};

/// Bytes that a build takes however small its model is, measured: see [`Need::of`].
const BASE_BYTES: u64 = 400_000_000;
/// Bytes of address space that it reserves beyond what it uses, measured: see [`Need::of`].
const RESERVED_BYTES: u64 = 350_000_000;

/// Memory that a build is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// Bytes of memory.
    pub(crate) resident_bytes: u64,
    /// Bytes of address space, which a limit of the process may bound.
    pub(crate) address_bytes: u64,
}

impl Need {
    /// The memory for a model with this many bytes of weights, kept in files of this many bytes.
    ///
    /// The rule is 400 MB and 3.5 bytes per byte of weights; in address space 350 MB more, and the weights' files, which
    /// the parser maps whole. It lies above every build of the base preset with TensorRT for RTX 1.7.1 for four compute
    /// capabilities, measured as the growth from before the builder was made (MB = 10^6 bytes, fp32 where nothing is
    /// said). Under a limit of the address space at which this check just passes, every one that was tried builds.
    ///
    /// | stage | weights | memory: rule | measured | address space: rule | measured |
    /// |---|---|---|---|---|---|
    /// | head_camera | 1 | 404 | 80 | 2402 | 1974 |
    /// | head_rgb | 197 | 1090 | 654 | 3088 | 2356 |
    /// | video_encoder | 171 | 998 | 737 | 1767 | 1261 |
    /// | video_decoder | 248 | 1268 | 991 | 2037 | 1441 |
    /// | decoder, contextless | 356 | 1646 | 1286 | 3644 | 2818 |
    /// | camera_encoder | 359 | 1656 | 1280 | 2725 | 1917 |
    /// | decoder, unmasked | 469 | 2042 | 1743 | 4040 | 3160 |
    /// | decoder, masked | 469 | 2042 | 1800 | 4040 | 3217 |
    /// | encoder, unmasked | 753 | 3036 | 2446 | 5034 | 3588 |
    /// | encoder, masked | 753 | 3036 | 2475 | 5034 | 3616 |
    /// | fp16: video_encoder | 86 | 701 | 486 | 1261 | 889 |
    /// | fp16: camera_encoder | 180 | 1030 | 783 | 1740 | 1241 |
    /// | fp16: decoder, masked | 242 | 1247 | 1119 | 2849 | 2375 |
    /// | fp16: encoder, masked | 583 | 2440 | 1936 | 4042 | 2855 |
    pub(crate) fn of(weights_bytes: u64, files_bytes: u64) -> Self {
        let resident_bytes = (weights_bytes / 2).saturating_mul(7).saturating_add(BASE_BYTES);
        Self {
            resident_bytes,
            address_bytes: resident_bytes.saturating_add(RESERVED_BYTES).saturating_add(files_bytes),
        }
    }

    /// Checks that this much is free. The library itself does not always survive too little: it may stop for good.
    pub(crate) fn check(self, onnx: &Path, free: Free) -> Result<()> {
        let pairs = [(self.resident_bytes, free.resident_bytes), (self.address_bytes, free.address_bytes)];
        match pairs.into_iter().find(|(needed, free)| free.is_some_and(|free| free < *needed)) {
            Some((needed_bytes, Some(free_bytes))) => {
                Err(EngineError::Memory { onnx: onnx.to_owned(), needed_bytes, free_bytes })
            }
            _ => Ok(()),
        }
    }
}

/// Memory that this process can still get; none where the system does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Free {
    /// Bytes of memory: the least of what the machine and the process's control group have left.
    pub(crate) resident_bytes: Option<u64>,
    /// Bytes of address space below the limit of the process; none without a limit.
    pub(crate) address_bytes: Option<u64>,
}

impl Free {
    /// What is free now. Linux tells; on other systems nothing is known.
    pub(crate) fn now() -> Self {
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        let available = read(Path::new("/proc/meminfo")).and_then(|text| kib_field(&text, "MemAvailable:"));
        let group = read(Path::new("/proc/self/cgroup")).and_then(|text| left_in_group(&text, &read));
        let limit = read(Path::new("/proc/self/limits")).and_then(|text| address_limit(&text));
        let used = read(Path::new("/proc/self/status")).and_then(|text| kib_field(&text, "VmSize:"));
        Self {
            resident_bytes: available.into_iter().chain(group).min(),
            address_bytes: limit.zip(used).map(|(limit, used)| limit.saturating_sub(used)),
        }
    }
}

/// The most memory that this process holds from here on, where the system tells.
#[derive(Debug)]
pub(crate) struct Peak {
    is_reset: bool,
}

impl Peak {
    /// Begins to measure.
    pub(crate) fn start() -> Self {
        // 5 resets the highest resident size (proc(5)).
        Self { is_reset: std::fs::write("/proc/self/clear_refs", "5").is_ok() }
    }

    /// Bytes, so far.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let status = self.is_reset.then(|| std::fs::read_to_string("/proc/self/status").ok()).flatten()?;
        kib_field(&status, "VmHWM:")
    }
}

/// Bytes in a line such as `VmHWM:     1024 kB`.
fn kib_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The soft limit in a line such as `Max address space   4096000000   unlimited   bytes`.
fn address_limit(limits: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix("Max address space"))?.split_whitespace().next()?.parse().ok()
}

/// Bytes that are left in the process's control group and those that hold it. File pages count as used there, but those
/// that were not used lately are given back when they are needed.
fn left_in_group(cgroup: &str, read: &impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = cgroup.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?.trim_start_matches('/'));
        match controllers {
            "" => Some((PathBuf::from("/sys/fs/cgroup"), path, ["memory.max", "memory.current", "inactive_file "])),
            _ if controllers.split(',').any(|name| name == "memory") => Some((
                PathBuf::from("/sys/fs/cgroup/memory"),
                path,
                ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "],
            )),
            _ => None,
        }
    });
    let left = groups.flat_map(|(top, path, names)| {
        let group = top.join(path);
        let held: Vec<PathBuf> =
            group.ancestors().take_while(|folder| folder.starts_with(&top)).map(Path::to_owned).collect();
        held.into_iter().filter_map(move |folder| left_in(&folder, names, read)).collect::<Vec<_>>()
    });
    left.min()
}

fn left_in(folder: &Path, [max, current, inactive]: [&str; 3], read: &impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let number = |name: &str| read(&folder.join(name))?.trim().parse::<u64>().ok();
    let (limit, used) = (number(max)?, number(current)?);
    let stat = read(&folder.join("memory.stat")).unwrap_or_default();
    let reclaimable = stat.lines().find_map(|line| line.strip_prefix(inactive)?.trim().parse().ok()).unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(reclaimable)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const MB: u64 = 1_000_000;

    #[test]
    fn a_build_needs_memory_for_its_weights_several_times() {
        let encoder = Need::of(753 * MB, 1648 * MB);
        assert_eq!(encoder.resident_bytes, 3_035_500_000);
        assert_eq!(encoder.address_bytes, 5_033_500_000);
        assert_eq!(Need::of(u64::MAX, u64::MAX).address_bytes, u64::MAX);
    }

    #[test]
    fn too_little_memory_and_too_little_address_space_are_refused() {
        let need = Need::of(100 * MB, 100 * MB);
        let onnx = Path::new("head.onnx");
        let check = |resident, address| need.check(onnx, Free { resident_bytes: resident, address_bytes: address });
        check(None, None).unwrap();
        check(Some(750 * MB), Some(1200 * MB)).unwrap();
        assert!(matches!(
            check(Some(749 * MB), None).unwrap_err(),
            EngineError::Memory { needed_bytes: 750_000_000, free_bytes: 749_000_000, .. }
        ));
        assert!(matches!(
            check(Some(9000 * MB), Some(1199 * MB)).unwrap_err(),
            EngineError::Memory { needed_bytes: 1_200_000_000, free_bytes: 1_199_000_000, .. }
        ));
    }

    #[test]
    fn what_the_system_says_is_read() {
        assert_eq!(kib_field("Name:\tx\nVmHWM:\t    2048 kB\n", "VmHWM:"), Some(2048 * 1024));
        assert_eq!(kib_field("Name:\tx\n", "VmHWM:"), None);
        let limits = |soft: &str| {
            format!("Max open files   1024   4096   files\nMax address space   {soft}   unlimited   bytes\n")
        };
        assert_eq!(address_limit(&limits("4096000000")), Some(4_096_000_000));
        assert_eq!(address_limit(&limits("unlimited")), None);
    }

    #[test]
    fn the_tightest_control_group_counts() {
        let files: BTreeMap<&str, &str> = [
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/b/memory.current", "10\n"),
            ("/sys/fs/cgroup/a/memory.max", "1000\n"),
            ("/sys/fs/cgroup/a/memory.current", "700\n"),
            ("/sys/fs/cgroup/a/memory.stat", "anon 400\ninactive_file 250\n"),
            ("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "500\n"),
            ("/sys/fs/cgroup/memory/c/memory.usage_in_bytes", "100\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "100\n"),
        ]
        .into();
        let read = |path: &Path| files.get(path.to_str().unwrap()).map(|text| (*text).to_owned());
        assert_eq!(left_in_group("0::/a/b\n", &read), Some(550));
        assert_eq!(left_in_group("4:memory:/c\n0::/a/b\n", &read), Some(400));
        assert_eq!(left_in_group("4:cpu:/c\n0::/elsewhere\n", &read), None);
        assert_eq!(left_in_group("damaged", &read), None);
    }
}
