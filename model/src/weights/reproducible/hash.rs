/// The 64-bit FNV-1a hash of the text's UTF-8 bytes.
pub(super) fn fnv1a64(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// The output of splitmix64 for a state, which is advanced by the golden constant first.
#[inline]
pub(super) fn splitmix64(state: u64) -> u64 {
    let x = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A uniform value in [-1, 1) with 24 random bits.
#[inline]
pub(super) fn uniform(state: u64) -> f64 {
    const STEP: f64 = 1.0 / (1_u64 << 23) as f64;
    (splitmix64(state) >> 40) as f64 * STEP - 1.0
}
