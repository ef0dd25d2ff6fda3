/// Something of a dataset that cannot be used and is passed over.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Damage {
    /// A shard or file that is not there.
    #[error("{path} is not there\nbring it back, or take it out of the pattern")]
    Missing {
        /// The shard or file.
        path: String,
    },
    /// A shard or file that cannot be read to its end.
    #[error("cannot read {path}: {reason}\ncheck its permissions, the disk and the connection")]
    Unreadable {
        /// The shard or file.
        path: String,
        /// The system's reason.
        reason: String,
    },
    /// A shard that ends before its end mark.
    #[error("{path} is truncated: it ends at byte {at}, in {part}\ncopy or write the shard again")]
    Truncated {
        /// The shard.
        path: String,
        /// How many bytes it has.
        at: u64,
        /// What it was in the middle of.
        part: String,
    },
    /// A shard whose bytes are not those of a tar file.
    #[error("{path} is no tar file that can be read: byte {at}: {reason}\ncopy or write the shard again")]
    Tar {
        /// The shard.
        path: String,
        /// Where.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// A shard without samples.
    #[error("{path} holds no samples\nwrite the shard again, or take it out of the pattern")]
    Empty {
        /// The shard of the dataset's first modality.
        path: String,
    },
    /// Shards of several modalities that do not hold the same samples in the same order; what follows in them is passed
    /// over.
    #[error(
        "{path} does not go with {other}: member {index} is {got}, expected {expected}\nwrite the shards of these modalities together"
    )]
    Misaligned {
        /// The shard that differs from the first modality's.
        path: String,
        /// The shard of the first modality.
        other: String,
        /// Which member, from 0.
        index: u64,
        /// Its sample, or the end of the shard.
        got: String,
        /// The sample of the first modality, or the end of the shard.
        expected: String,
    },
    /// A member that is not an `.npz`, or too large for one.
    #[error("{member} is {reason}\nwrite only samples into shards, as NAME.npz")]
    Foreign {
        /// Shard and member.
        member: String,
        /// What is wrong.
        reason: String,
    },
    /// A member that is no NumPy archive.
    #[error("{member} is no .npz that can be read: {reason}\nwrite the sample again")]
    Corrupt {
        /// Shard and member, or file.
        member: String,
        /// What is wrong.
        reason: String,
    },
    /// A member with an array that is not one of this model's tokens.
    #[error("{member} holds other tokens than the model's: {reason}\nmake the tokens with this preset's tokenizer")]
    Array {
        /// Shard and member, or file.
        member: String,
        /// What is wrong.
        reason: String,
    },
}

impl Damage {
    /// The first line: what is damaged.
    pub(super) fn what(&self) -> String {
        self.to_string().lines().next().unwrap_or_default().to_owned()
    }
}
