// The exponential of the sampler on the CPU, operation by operation: no multiplication may be fused with an addition.

static const float SMALLEST = -87.0f;

// e^x for x from -87 to 0.
EGOM2P_DEVICE float exponential_in_normal_range(float x) {
    const float rounding = 12582912.0f;
    float shifted = x * 1.44269504088896340736f + rounding;
    float whole = shifted - rounding;
    float r = (x - whole * 0.693359375f) - whole * -2.1219444e-4f;
    float tail = 0.4999923f + r * (0.16667115f + r * (0.04189033f + r * 0.008312501f));
    float power_of_two = float_of((bits_of(shifted) << 23) + 0x3f800000u);
    return (1.0f + (r + (r * r) * tail)) * power_of_two;
}

// e^x for x up to 0; below -87 it is 0.
EGOM2P_DEVICE float exponential(float x) {
    return x >= SMALLEST ? exponential_in_normal_range(x) : 0.0f;
}
