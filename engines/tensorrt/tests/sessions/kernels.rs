//! Kernels that TensorRT for RTX compiles for a device are kept between processes.

use crate::bench::{Bench, ENGINE, Given, device, sum};
use crate::fake::in_child;
use std::path::PathBuf;

#[test]
fn kernels_are_kept_and_a_damaged_file_is_replaced() {
    in_child("kernels::kernels_are_kept_and_a_damaged_file_is_replaced", &[], || {
        for bench in Bench::all(ENGINE) {
            run(&bench, 2);
            let [file] = &files(&bench)[..] else {
                assert!(!bench.is_rtx());
                continue;
            };
            let name = file.file_name().unwrap().to_string_lossy();
            assert!(name.starts_with("tensorrt-rtx-1.") && name.ends_with("-Fake-GPU-9.0-0707070707070707.kernels"));
            let kept = std::fs::read(file).unwrap();
            assert!(kept.starts_with(b"KERNELS 1\n"));

            let written = std::fs::metadata(file).unwrap().modified().unwrap();
            run(&bench, 2);
            assert_eq!(std::fs::read(file).unwrap(), kept, "nothing was compiled again");
            assert_eq!(std::fs::metadata(file).unwrap().modified().unwrap(), written);
            run(&bench, 3);
            assert!(std::fs::read(file).unwrap().starts_with(b"KERNELS 2\n"));
            std::fs::write(file, "damaged").unwrap();
            run(&bench, 2);
            assert_eq!(std::fs::read(file).unwrap(), kept);
        }
    });
}

#[test]
fn a_folder_that_cannot_be_written_is_no_failure() {
    in_child("kernels::a_folder_that_cannot_be_written_is_no_failure", &[], || {
        for bench in Bench::all(ENGINE) {
            std::fs::write(bench.caches(), "a file").unwrap();
            run(&bench, 2);
        }
    });
}

/// A session of its own, as in a process of its own.
fn run(bench: &Bench, n_tokens: usize) {
    let mut session = bench.session().unwrap();
    let (device, stream) = device();
    assert_eq!(Given::new(&*device, 1, n_tokens).run(&mut *session, &*stream), sum(1, n_tokens));
}

fn files(bench: &Bench) -> Vec<PathBuf> {
    std::fs::read_dir(bench.caches())
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default()
}
