// Guidance: u + (c - u) w, element by element, rounded after every operation.
EGOM2P_DEVICE float mix(float conditional, float unconditional, float weight) {
    return unconditional + (conditional - unconditional) * weight;
}
