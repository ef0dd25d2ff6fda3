//! The cases, by family.

mod attention;
mod convolution;
mod elementwise;
mod half;
mod leaves;
mod lookup;
mod norm;
mod product;
mod quantisation;
mod random;
mod shape;

pub use random::random;

use super::Case;

/// Every case, in a fixed order; names are unique. Those in half precision begin with `fp16/` and `bf16/`.
pub fn all() -> Vec<Case> {
    let families = [
        leaves::cases(),
        elementwise::cases(),
        shape::cases(),
        lookup::cases(),
        product::cases(),
        norm::cases(),
        attention::cases(),
        convolution::cases(),
        quantisation::cases(),
    ];
    let mut cases: Vec<Case> = families.into_iter().flatten().collect();
    cases.extend(half::cases(&cases));
    cases
}
