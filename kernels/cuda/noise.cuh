// The Exp(1) noise of a sampling call: x_i = a^i x_0 mod (2^31 - 1), noise_i = -ln(x_i / (2^31 - 1)) in fp32.

static const u64 MODULUS = 0x7fffffff;
static const u64 MULTIPLIER = 1132489760;

EGOM2P_DEVICE u64 multiply_modulo(u64 a, u64 b) {
    u64 product = a * b;
    u64 folded = (product & MODULUS) + (product >> 31);
    return folded >= MODULUS ? folded - MODULUS : folded;
}

// The state `index` steps after `state`; the order of the multiplier divides 2^31 - 2.
EGOM2P_DEVICE u64 noise_state(u64 state, u64 index) {
    u64 power = MULTIPLIER;
    for (u64 rest = index % (MODULUS - 1); rest != 0; rest >>= 1) {
        if (rest & 1) state = multiply_modulo(state, power);
        power = multiply_modulo(power, power);
    }
    return state;
}

EGOM2P_DEVICE float uniform_of(u64 state) { return (float)((double)state / (double)MODULUS); }

// The natural logarithm of a normal value up to 1, nearly correctly rounded, from exactly rounded operations alone, so that
// it is the same on every machine: ln u = e ln 2 + 2 artanh((m - 1) / (m + 1)), the quotient in two parts.
EGOM2P_DEVICE double natural_logarithm(float u) {
    u32 bits = bits_of(u);
    int exponent = (int)(bits >> 23) - 127;
    double m = (double)float_of((bits & 0x007fffffu) | 0x3f800000u);
    if (m >= 1.4142135) {
        m *= 0.5;
        exponent += 1;
    }
    double s = (m - 1.0) / (m + 1.0);
    // 27 bits, so that the product with the 26 bits of m + 1 is exact.
    double s_high = double_of(bits_of(s) & ~0x3ffffffull);
    double s_low = ((m - 1.0) - s_high * (m + 1.0)) / (m + 1.0);
    double square = s * s;
    double series = 1.0 / 25.0;
    for (int n = 23; n >= 3; n -= 2) series = 1.0 / n + square * series;
    double small = 2.0 * s_low + 2.0 * s * square * series;
    double of_two = exponent * 6.93147180369123816490e-01;
    double high = of_two + 2.0 * s_high;
    double low = (of_two - high) + 2.0 * s_high;
    return high + (low + (small + exponent * 1.90821492927058770002e-10));
}

// Positive, and never zero.
EGOM2P_DEVICE float noise_of(float uniform) { return (float)-natural_logarithm(uniform) + 1.17549435e-38f; }
