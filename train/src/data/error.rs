use std::io;

/// What ends a stream of samples, or keeps it from starting.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A pattern that names no shards.
    #[error("the pattern \"{pattern}\" cannot be read: {reason}\n{help}")]
    Pattern {
        /// The pattern, shortened.
        pattern: String,
        /// What is wrong.
        reason: String,
        /// How it should be.
        help: &'static str,
    },
    /// A setting that makes no stream.
    #[error("{name} is {got}, expected {expected}\nchange the setting")]
    Setting {
        /// The setting.
        name: String,
        /// Its value.
        got: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A folder that cannot be listed.
    #[error("cannot list {path}: {reason}\ncheck the path, its permissions and the connection")]
    List {
        /// The folder or address.
        path: String,
        /// The system's reason.
        reason: String,
    },
    /// A place that this program cannot reach.
    #[error("cannot open the object store of {url}: {reason}\n{help}")]
    Store {
        /// The address.
        url: String,
        /// What is wrong.
        reason: String,
        /// How to mend it.
        help: &'static str,
    },
    /// More members or shards are damaged than the settings accept.
    #[error(
        "more than {limit} members or shards are damaged, the last one: {last}\nmend or remove them, or raise max_damaged"
    )]
    TooMuchDamage {
        /// How many are accepted.
        limit: usize,
        /// The first line of the last damage.
        last: String,
    },
    /// Nothing of a dataset can be read.
    #[error(
        "no shard or file of the dataset {dataset} gives a sample, the last damage: {last}\ncheck the pattern of this dataset"
    )]
    Barren {
        /// The dataset.
        dataset: String,
        /// The first line of the last damage.
        last: String,
    },
    /// A position that is not one of this stream.
    #[error(
        "the position in the data is not one of this stream: {reason}\nresume with the settings and datasets of the checkpoint"
    )]
    Position {
        /// What differs.
        reason: String,
    },
    /// A sample of the position cannot be read any more.
    #[error("the data changed since the checkpoint: {reason}\nbring the data back, or start a new training")]
    Changed {
        /// What differs.
        reason: String,
    },
    /// Threads that read ahead could not be started, or ended.
    #[error("the threads that read the data {what}\ncheck the limits on threads and memory, or use fewer workers")]
    Threads {
        /// What happened.
        what: String,
    },
    /// A sample that cannot go into a shard.
    #[error("the sample \"{key}\" cannot be written: {reason}\n{help}")]
    Unwritable {
        /// The sample.
        key: String,
        /// What is wrong.
        reason: String,
        /// How to mend it.
        help: &'static str,
    },
    /// A shard or its folder that cannot be written.
    #[error("cannot write {path}: {source}\nchoose a folder that can be written and has room")]
    Write {
        /// The file or folder.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Another program writes the same shards.
    #[error("another program writes the shards of {path}\nwait until it ends")]
    Busy {
        /// The folder.
        path: String,
    },
}
