// Tokens by place in a table.

// The element of that index; 0 where the table has none.
EGOM2P_DEVICE long long gathered_token(const long long* table, u64 n_table, long long index) {
    return (u64)index < n_table ? table[index] : 0;
}

// Writes a value from 0 on to its place; others and places outside of the table are left as they are.
EGOM2P_DEVICE void scatter_token(long long* table, u64 n_table, long long index, long long value) {
    if (value >= 0 && (u64)index < n_table) table[index] = value;
}
