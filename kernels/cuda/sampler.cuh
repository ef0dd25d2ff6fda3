// One draw per row of logits by a block of threads, without sorting (see the documentation of the crate).

struct SampleArguments {
    u64 noise_state;   // x_0 of the call's noise, 1 to 2^31 - 2
    u64 first_query;   // the query of the first row
    double top_p;      // outside (0, 1): no nucleus
    u32 n_vocabulary;  // logits per row, 1 to 2^24
    u32 top_k;         // 0, or the vocabulary and more: all
    float temperature; // 0: the first of the largest logits
    u32 padding;
};

// What a row gives that has no token.
static const long long NAN_LOGIT = -1;
static const long long INFINITE_LOGIT = -2;
static const long long NO_FINITE_LOGIT = -3;
static const long long UNDECIDED = -4;

static const u32 N_BINS = 256;
static const u32 TOKEN_BITS = 24;
static const u32 KEY_OF_INFINITY = 0xff800000u;
static const u32 KEY_OF_SMALLEST = 0x00800000u; // the finite logit of the largest size below 0
// No more than the sums of fp32 exponentials on the CPU can be off: ten roundings in each of three sums.
static const double MARGIN = 1.0 / 524288.0;
// Sums of multiples of this are exact in fp32 up to 64, and in fp64 over any vocabulary.
static const float GRAINS_PER_UNIT = 262144.0f;

struct RowMemory {
    u64 words[N_THREADS];
    double sums[N_THREADS];
    double bin_mass[N_BINS];
    u32 bin_count[N_BINS];
    u64 prefix;
    double mass_above;
    double mass_within;
    u32 n_within;
};

// A number that orders floats as IEEE's total order does.
EGOM2P_DEVICE u32 total_order(float value) {
    u32 bits = bits_of(value);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// The same with both zeros equal.
EGOM2P_DEVICE u32 numeric_order(float value) { return total_order(value + 0.0f); }

EGOM2P_DEVICE float value_at(u32 key) { return float_of(key & 0x80000000u ? key & 0x7fffffffu : ~key); }

// By descending logit, then ascending token: the order in which a nucleus is filled.
EGOM2P_DEVICE u64 rank(float logit, u32 token) {
    return (u64)total_order(logit) << TOKEN_BITS | ((1u << TOKEN_BITS) - 1 - token);
}

EGOM2P_DEVICE float nucleus_weight(float logit, float max) {
    float x = logit - max;
    return x > SMALLEST ? exponential_in_normal_range(x) : 0.0f;
}

EGOM2P_DEVICE float race_weight(float logit, float max, float temperature) {
    float scaled_max = max / temperature;
    if ((bits_of(scaled_max) & 0x7f800000u) != 0x7f800000u) return exponential(logit / temperature - scaled_max);
    return exponential((float)((double)(logit - max) / (double)temperature));
}

struct Cut {
    u64 lowest;     // keys from here on come before the cut
    double through; // their mass
};

// Walks down the digits of the keys to the last entry, by descending key, for which `keep(mass of the larger keys)`
// holds. `entry(token, key, weight)` says whether a token takes part.
template <class Entry, class Keep>
EGOM2P_DEVICE Cut cut_at(RowMemory& memory, u32 n_vocabulary, int shift, const Entry& entry, const Keep& keep) {
    u64 prefix = 0;
    double above = 0.0;
    for (;; shift -= 8) {
        phase([&](u32 thread) {
            if (thread < N_BINS) {
                memory.bin_mass[thread] = 0.0;
                memory.bin_count[thread] = 0;
            }
        });
        phase([&](u32 thread) {
            for (u32 token = thread; token < n_vocabulary; token += N_THREADS) {
                u64 key;
                double weight;
                if (entry(token, key, weight) && (key >> shift) >> 8 == prefix) {
                    u32 bin = (u32)(key >> shift) & (N_BINS - 1);
                    add_shared(&memory.bin_mass[bin], weight);
                    add_shared(&memory.bin_count[bin], 1u);
                }
            }
        });
        phase([&](u32 thread) {
            if (thread != 0) return;
            double before = above;
            u32 last = 0;
            memory.mass_above = above;
            for (u32 bin = N_BINS; bin-- > 0;) {
                if (memory.bin_count[bin] == 0) continue;
                if (!keep(before)) break;
                last = bin;
                memory.mass_above = before;
                before += memory.bin_mass[bin];
            }
            memory.prefix = prefix << 8 | last;
            memory.mass_within = memory.bin_mass[last];
            memory.n_within = memory.bin_count[last];
        });
        prefix = memory.prefix;
        above = memory.mass_above;
        if (memory.n_within == 1 || shift == 0) break;
    }
    Cut cut = {prefix << shift, above + memory.mass_within};
    phase([](u32) {});
    return cut;
}

// The survivors of the filters: logits from `first` on (numeric order) that rank from `certain` on. Those between
// `possible` and `certain` are so close to the edge of the nucleus that rounding on the CPU decides.
struct Survivors {
    u32 first;
    u64 certain;
    u64 possible;
};

EGOM2P_DEVICE u32 top_k_cut(RowMemory& memory, const float* logits, u32 n_vocabulary, u32 top_k) {
    Cut cut = cut_at(
        memory, n_vocabulary, 24,
        [&](u32 token, u64& key, double& weight) {
            key = numeric_order(logits[token]);
            weight = 1.0;
            return true;
        },
        [&](double before) { return before < (double)top_k; });
    u32 first = (u32)cut.lowest;
    return first > KEY_OF_SMALLEST ? first : KEY_OF_SMALLEST;
}

// Fills in the cuts of the nucleus. `sum_from` is the smallest logit that counts for the normaliser.
EGOM2P_DEVICE void nucleus_cut(RowMemory& memory, const float* logits, u32 n_vocabulary, double top_p, float max,
                               u32 sum_from, Survivors& survivors, PerThread<u32>& n_candidates) {
    u32 first = survivors.first;
    PerThread<double> total, mass;
    PerThread<u64> smallest, fine;
    phase([&](u32 thread) {
        double thread_total = 0.0, thread_mass = 0.0;
        u32 n = 0;
        u64 least = bits_of(1.0f), any_fine = 0;
        for (u32 token = thread; token < n_vocabulary; token += N_THREADS) {
            float logit = logits[token];
            u32 key = numeric_order(logit);
            if (key < sum_from) continue;
            float weight = nucleus_weight(logit, max);
            float grains = weight * GRAINS_PER_UNIT;
            thread_total += weight;
            any_fine |= grains != (float)(u32)grains;
            if (key >= first) {
                n += 1;
                thread_mass += weight;
                least = bits_of(weight) < least ? bits_of(weight) : least;
            }
        }
        total[thread] = thread_total;
        mass[thread] = thread_mass;
        smallest[thread] = least;
        fine[thread] = any_fine;
        n_candidates[thread] = n;
    });
    auto add = [](double a, double b) { return a + b; };
    double sum = reduce(memory.sums, total, add);
    double candidate_mass = reduce(memory.sums, mass, add);
    double least = float_of((u32)reduce(memory.words, smallest, [](u64 a, u64 b) { return a < b ? a : b; }));
    bool is_exact = reduce(memory.words, fine, [](u64 a, u64 b) { return a | b; }) == 0;
    double margin = is_exact ? 0.0 : MARGIN;
    double least_sum = sum * (1.0 - margin), largest_sum = sum * (1.0 + margin);
    // The CPU compares either with top_p times the sum or, divided by top_p, with the sum.
    auto is_certain = [&](double before) { return before <= top_p * least_sum && before / top_p <= least_sum; };
    auto is_possible = [&](double before) { return before <= top_p * largest_sum || before / top_p <= largest_sum; };
    if (is_certain(candidate_mass - least)) return;
    auto entry = [&](u32 token, u64& key, double& weight) {
        float logit = logits[token];
        if (numeric_order(logit) < first) return false;
        key = rank(logit, token);
        weight = nucleus_weight(logit, max);
        return true;
    };
    Cut certain = cut_at(memory, n_vocabulary, 48, entry, is_certain);
    survivors.certain = certain.lowest;
    survivors.possible = certain.lowest;
    if (is_possible(certain.through)) {
        survivors.possible = cut_at(memory, n_vocabulary, 48, entry, is_possible).lowest;
    }
}

struct Runner {
    double ratio;
    u32 token;
};

EGOM2P_DEVICE bool leads(double ratio, u32 token, double other_ratio, u32 other_token) {
    return ratio > other_ratio || (ratio == other_ratio && token < other_token);
}

// The survivor with the largest ratio of probability to noise, the first of equals.
EGOM2P_DEVICE u32 race(RowMemory& memory, const float* logits, u32 n_vocabulary, float max, float temperature,
                       u64 row_state, const Survivors& survivors, PerThread<u32>& n_candidates) {
    phase([&](u32 thread) {
        double best_ratio = -1.0;
        u32 best_token = 0xffffffffu;
        // Most threads have seen that they have no candidate and do not read the row again.
        u32 end = n_candidates[thread] == 0 ? 0 : n_vocabulary;
        for (u32 token = thread; token < end; token += N_THREADS) {
            float logit = logits[token];
            if (numeric_order(logit) < survivors.first || rank(logit, token) < survivors.possible) continue;
            float weight = race_weight(logit, max, temperature);
            if (weight == 0.0f) continue;
            float uniform = uniform_of(noise_state(row_state, token));
            // As -ln(u) >= 1 - u, most candidates cannot win and need no logarithm.
            if ((double)weight < 0.99 * best_ratio * (double)(1.0f - uniform)) continue;
            double ratio = (double)weight / (double)noise_of(uniform);
            if (leads(ratio, token, best_ratio, best_token)) {
                best_ratio = ratio;
                best_token = token;
            }
        }
        memory.sums[thread] = best_ratio;
        memory.words[thread] = best_token;
    });
    for (u32 n = N_THREADS / 2; n > 0; n /= 2) {
        phase([&](u32 thread) {
            if (thread >= n) return;
            double ratio = memory.sums[thread + n];
            u32 token = (u32)memory.words[thread + n];
            if (leads(ratio, token, memory.sums[thread], (u32)memory.words[thread])) {
                memory.sums[thread] = ratio;
                memory.words[thread] = token;
            }
        });
    }
    return (u32)memory.words[0];
}

// The token that the CPU draws from this row, or one of the codes above. All threads return the same.
EGOM2P_DEVICE long long sample_row(RowMemory& memory, const float* logits, u32 row, const SampleArguments& arguments) {
    u32 n_vocabulary = arguments.n_vocabulary;
    PerThread<u64> largest;
    PerThread<u32> n_candidates;
    phase([&](u32 thread) {
        u64 best = 0;
        for (u32 token = thread; token < n_vocabulary; token += N_THREADS) {
            float logit = logits[token];
            u64 key = logit == logit ? (u64)numeric_order(logit) << 32 | (0xffffffffu - token) : ~0ull;
            best = key > best ? key : best;
        }
        largest[thread] = best;
        n_candidates[thread] = 1;
    });
    u64 best = reduce(memory.words, largest, [](u64 a, u64 b) { return a > b ? a : b; });
    u32 max_key = (u32)(best >> 32);
    if (best == ~0ull) return NAN_LOGIT;
    if (max_key == KEY_OF_INFINITY) return INFINITE_LOGIT;
    if (max_key < KEY_OF_SMALLEST) return NO_FINITE_LOGIT;
    float temperature = arguments.temperature;
    if (!(temperature > 0.0f)) return (long long)(0xffffffffu - (u32)best);

    float max = value_at(max_key);
    Survivors survivors = {KEY_OF_SMALLEST, 0, 0};
    u32 sum_from = 0;
    if (arguments.top_k > 0 && arguments.top_k < n_vocabulary) {
        survivors.first = top_k_cut(memory, logits, n_vocabulary, arguments.top_k);
        sum_from = survivors.first;
    } else {
        // Below this the weight is zero: the exponential of fp32 ends 87 temperatures below the maximum.
        double size = max < 0.0f ? -(double)max : (double)max;
        double range = 88.0 * (double)temperature + 4.0 * 1.1920928955078125e-7 * size;
        u32 floor_key = numeric_order((float)((double)max - range));
        survivors.first = floor_key > KEY_OF_SMALLEST ? floor_key - 1 : KEY_OF_SMALLEST;
    }
    if (arguments.top_p > 0.0 && arguments.top_p < 1.0) {
        nucleus_cut(memory, logits, n_vocabulary, arguments.top_p, max, sum_from, survivors, n_candidates);
    }
    u64 row_state = noise_state(arguments.noise_state, (arguments.first_query + row) * n_vocabulary);
    u32 token = race(memory, logits, n_vocabulary, max, temperature, row_state, survivors, n_candidates);
    if (token >= n_vocabulary) return UNDECIDED;
    return rank(logits[token], token) < survivors.certain ? UNDECIDED : (long long)token;
}
