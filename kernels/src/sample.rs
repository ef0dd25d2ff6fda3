/// The largest vocabulary that the sampling kernel takes: a token and a logit share a key of 56 bits.
pub const MAX_VOCABULARY: usize = 1 << 24;

/// 2^31 - 1, the modulus of the noise.
const NOISE_MODULUS: u32 = 0x7fff_ffff;

/// What the sampling kernel is told, passed to it by value.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SampleArguments {
    noise_state: u64,
    first_query: u64,
    top_p: f64,
    n_vocabulary: u32,
    top_k: u32,
    temperature: f32,
    padding: u32,
}

/// What the sampling kernel gives for a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The token that the sampler on the CPU draws from the same logits and noise.
    Token(u32),
    /// The row has NaN.
    NanLogit,
    /// The row has infinity.
    InfiniteLogit,
    /// Every logit is negative infinity.
    NoFiniteLogit,
    /// The winner is so close to the edge of the nucleus that the CPU's order of rounding decides: draw this row there.
    Undecided,
}

impl SampleArguments {
    /// Arguments for rows of `n_vocabulary` logits (1 to [`MAX_VOCABULARY`]) that are the queries `first_query..` of a
    /// sampling call; `None` for another vocabulary.
    ///
    /// `noise_output` is the one 32-bit output of the generator that the call's noise consumes. The settings mean what
    /// they mean on the CPU, and are refused there where they are out of range: a `temperature` up to 1e-10 takes the
    /// first of the largest logits, a `top_p` outside of (0, 1) switches the nucleus off, and a `top_k` that is 0 or at
    /// least the vocabulary switches top-k off.
    pub fn new(
        n_vocabulary: usize,
        temperature: f64,
        top_p: f64,
        top_k: usize,
        noise_output: u32,
        first_query: u64,
    ) -> Option<Self> {
        if n_vocabulary == 0 || n_vocabulary > MAX_VOCABULARY {
            return None;
        }
        Some(Self {
            noise_state: u64::from((noise_output % NOISE_MODULUS).max(1)),
            first_query,
            top_p,
            n_vocabulary: n_vocabulary as u32,
            top_k: top_k.min(n_vocabulary) as u32,
            temperature: if temperature > 1e-10 { (temperature as f32).min(f32::MAX) } else { 0.0 },
            padding: 0,
        })
    }

    /// Logits per row.
    pub fn n_vocabulary(&self) -> usize {
        self.n_vocabulary as usize
    }
}

impl Outcome {
    /// Reads what the kernel writes; `None` for a number that it never writes.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            -1 => Some(Self::NanLogit),
            -2 => Some(Self::InfiniteLogit),
            -3 => Some(Self::NoFiniteLogit),
            -4 => Some(Self::Undecided),
            token => u32::try_from(token).ok().map(Self::Token),
        }
    }

    /// What the kernel writes for it.
    pub fn code(self) -> i64 {
        match self {
            Self::Token(token) => i64::from(token),
            Self::NanLogit => -1,
            Self::InfiniteLogit => -2,
            Self::NoFiniteLogit => -3,
            Self::Undecided => -4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_VOCABULARY, Outcome, SampleArguments};

    #[test]
    fn refuses_vocabularies_that_no_key_holds() {
        let arguments = |n_vocabulary| SampleArguments::new(n_vocabulary, 0.01, 0.8, 0, 1, 0);
        assert!(arguments(0).is_none() && arguments(MAX_VOCABULARY + 1).is_none());
        assert_eq!(arguments(MAX_VOCABULARY).map(|arguments| arguments.n_vocabulary()), Some(MAX_VOCABULARY));
    }

    #[test]
    fn codes_outside_of_the_list_are_not_read() {
        assert_eq!(Outcome::from_code(63_999), Some(Outcome::Token(63_999)));
        assert_eq!(Outcome::from_code(-4), Some(Outcome::Undecided));
        assert_eq!(Outcome::from_code(-5), None);
        assert_eq!(Outcome::from_code(1 << 32), None);
        for code in -4..3 {
            assert_eq!(Outcome::from_code(code).map(Outcome::code), Some(code));
        }
    }
}
