use super::DataError;

/// Tokens of one clip, in the order of [`Modality::index`](egom2p_model::Modality::index); `None` for a modality that
/// the dataset, or this sample, lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The name of the clip, without `.npz`.
    pub key: String,
    /// The index of its dataset in the list that the stream was opened with.
    pub dataset: usize,
    /// Ids, row-major, all of them below the vocabulary.
    pub tokens: [Option<Vec<i64>>; 4],
}

/// An endless stream whose future follows from its position alone.
pub trait SampleStream: Send {
    /// The next sample.
    fn next_sample(&mut self) -> Result<Sample, DataError>;

    /// What messages call a dataset.
    fn dataset_name(&self, dataset: usize) -> String {
        format!("dataset {dataset}")
    }

    /// Where the stream is, as JSON, for a checkpoint; [`seek`](Self::seek) goes on from there exactly as if never
    /// stopped.
    fn position(&self) -> serde_json::Value;

    /// Goes to a position of a stream that was opened with the same settings.
    fn seek(&mut self, position: &serde_json::Value) -> Result<(), DataError>;
}
