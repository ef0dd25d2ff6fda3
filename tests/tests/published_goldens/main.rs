//! Values of the published code, held against the whole way of this one: weights that follow from the rule, export in every
//! form, an ONNX Runtime bundle, the stages and the decoding loop.
//!
//! The values lie in the folder named by `EGOM2P_GOLDEN_DIR`, or else in `../shared/golden` beside the workspace. Without
//! them, or without ONNX Runtime, every test says so and passes. Models of the published size are kept in
//! `cache/test/published` and only made again when their weights, graphs or engines would come out different.

/// Makes a test of each function for every form.
macro_rules! in_every_form {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            use egom2p_tests::published::Form;

            #[test]
            fn onnxruntime_cpu() {
                super::$name(Form::OnnxRuntimeCpu);
            }

            #[test]
            fn standard() {
                super::$name(Form::Standard);
            }

            #[test]
            fn standard_fp16() {
                super::$name(Form::StandardFp16);
            }
        })+
    };
}

mod bf16;
mod coverage;
mod forward;
mod generation;
mod motion;
mod video;

use std::{num::NonZeroUsize, thread::available_parallelism};

use egom2p_tests::published::{Comparison, Golden, onnxruntime_is_here};

/// Threads of small models: tests run beside each other.
const ONE_THREAD: NonZeroUsize = NonZeroUsize::MIN;

/// Threads of models of the published size, whose tests run one at a time.
fn all_threads() -> NonZeroUsize {
    available_parallelism().unwrap_or(ONE_THREAD)
}

/// Fails unless everything held and nothing was left out.
fn finish(comparison: Comparison<'_>, golden: &Golden) {
    comparison.finish(|tensor| coverage::is_elsewhere(golden.name(), tensor));
}

/// The file called `name`, if it is there and so is ONNX Runtime.
fn golden(name: &str) -> Option<Golden> {
    Golden::open(name).filter(|_| onnxruntime_is_here())
}
