//! The host side of decoding and the motion conversions against values of the published PyTorch code.
//!
//! The goldens lie in the folder named by `EGOM2P_GOLDEN_DIR`, or else in `../shared/golden` beside the workspace;
//! without them every test says so and passes. The published example clips lie in the folder `clips` beside them.

mod golden;

mod clips;
mod decoding;
mod motion;
mod sampling;
