//! The cases, by family.

mod attention;
mod convolution;
mod elementwise;
mod leaves;
mod lookup;
mod norm;
mod product;
mod quantisation;
mod random;
mod shape;

pub use random::random;

use super::Case;

/// Every case, in a fixed order; names are unique.
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
    families.into_iter().flatten().collect()
}
