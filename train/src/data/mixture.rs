use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::dataset::DatasetStream;
use super::decoders::Decoders;
use super::key::Key;
use super::ledger::Ledger;
use super::position::MixturePosition;
use super::source::{Cursor, Source};
use super::writer::SHARD_SAMPLES;
use super::{
    Damage, DataError, DataSettings, DatasetSettings, Sample, SampleStream, SourcePattern, TokenLayout, Weighting,
};

/// Several datasets, each sample drawn from one of them independently (specification section 5.1).
///
/// The order follows from the settings alone: not from the number of threads, nor from their timing. What is damaged is
/// told and passed over. After an error, only `seek` leads on.
#[derive(Debug)]
pub struct Mixture {
    settings: DataSettings,
    datasets: Vec<DatasetStream>,
    probabilities: Vec<f64>,
    key: Key,
    n_given: u64,
    ledger: Ledger,
}

impl Mixture {
    /// Opens the datasets and starts to read ahead. `report` is told of every damage once, in the order of the samples,
    /// on the thread that asks for them.
    pub fn open(
        datasets: &[DatasetSettings],
        settings: &DataSettings,
        weighting: &Weighting,
        layout: &TokenLayout,
        report: impl FnMut(&Damage) + Send + 'static,
    ) -> Result<Self, DataError> {
        let sources = datasets.iter().map(|dataset| {
            let source = Source::open(&dataset.pattern.parse::<SourcePattern>()?, layout)?;
            Ok((dataset.name.clone(), source, dataset.n_samples))
        });
        let sources = sources.collect::<Result<Vec<_>, DataError>>()?;
        Self::of(sources, settings, weighting, layout, Box::new(report))
    }

    /// The mixture of sources that are open.
    pub(super) fn of(
        sources: Vec<(String, Source, Option<u64>)>,
        settings: &DataSettings,
        weighting: &Weighting,
        layout: &TokenLayout,
        report: Box<dyn FnMut(&Damage) + Send>,
    ) -> Result<Self, DataError> {
        check(settings)?;
        let names: BTreeSet<&str> = sources.iter().map(|(name, ..)| name.as_str()).collect();
        if names.len() < sources.len() {
            let got = format!("{:?}", sources.iter().map(|(name, ..)| name).collect::<Vec<_>>());
            return Err(DataError::Setting {
                name: "the names of the datasets".to_owned(),
                got,
                expected: "different names",
            });
        }
        let n_samples = |(_, source, n): &(String, Source, Option<u64>)| {
            n.unwrap_or_else(|| source.n_files().unwrap_or_else(|| source.n_shards() * SHARD_SAMPLES) as u64)
        };
        let probabilities = weighting.probabilities(&sources.iter().map(n_samples).collect::<Vec<_>>())?;
        let decoders = Decoders::start(settings.n_workers, layout.clone())?;
        let start = |(name, source, _): (String, Source, Option<u64>)| {
            DatasetStream::start(&name, Arc::new(source), decoders.clone(), settings, Cursor::default())
        };
        Ok(Self {
            datasets: sources.into_iter().map(start).collect::<Result<_, _>>()?,
            probabilities,
            key: Key::new("mixture", "", settings.seed, settings.rank),
            n_given: 0,
            ledger: Ledger::new(settings.max_damaged, report),
            settings: settings.clone(),
        })
    }

    /// The probability of every dataset.
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// How many different members and shards are damaged so far.
    pub fn n_damaged(&self) -> usize {
        self.ledger.damaged().len()
    }

    /// How often something was passed over so far; what is drawn again counts again.
    pub fn n_skipped(&self) -> u64 {
        self.ledger.n_skipped()
    }

    fn draw_dataset(&self) -> usize {
        let mut left = self.key.unit(self.n_given);
        let mut last = 0;
        for (index, probability) in self.probabilities.iter().enumerate().filter(|(_, probability)| **probability > 0.0)
        {
            last = index;
            left -= probability;
            if left < 0.0 {
                break;
            }
        }
        last
    }
}

impl SampleStream for Mixture {
    fn next_sample(&mut self) -> Result<Sample, DataError> {
        self.ledger.check()?;
        let dataset = self.draw_dataset();
        let sample = self.datasets[dataset].next(&mut self.ledger)?;
        self.n_given += 1;
        let ids =
            |tokens: &Option<Vec<u32>>| tokens.as_ref().map(|tokens| tokens.iter().copied().map(i64::from).collect());
        Ok(Sample { key: sample.place.key.clone(), dataset, tokens: sample.tokens.each_ref().map(ids) })
    }

    fn dataset_name(&self, dataset: usize) -> String {
        self.datasets.get(dataset).map_or_else(|| format!("dataset {dataset}"), |dataset| dataset.name().to_owned())
    }

    fn position(&self) -> Value {
        let DataSettings { seed, rank, n_shuffled, n_repeats, .. } = self.settings;
        serde_json::json!(MixturePosition {
            seed,
            rank,
            n_shuffled,
            n_repeats,
            n_given: self.n_given,
            damaged: self.ledger.damaged().clone(),
            n_skipped: self.ledger.n_skipped(),
            datasets: self.datasets.iter().map(DatasetStream::position).collect(),
        })
    }

    fn seek(&mut self, position: &Value) -> Result<(), DataError> {
        let wrong = |reason: String| DataError::Position { reason };
        let position: MixturePosition = serde::Deserialize::deserialize(position)
            .map_err(|error| wrong(super::npy::one_line(&error.to_string())))?;
        let settings = &self.settings;
        for (name, got, expected) in [
            ("seed", position.seed, settings.seed),
            ("rank", position.rank, settings.rank),
            ("n_shuffled", position.n_shuffled as u64, settings.n_shuffled as u64),
            ("n_repeats", position.n_repeats as u64, settings.n_repeats as u64),
            ("number of datasets", position.datasets.len() as u64, self.datasets.len() as u64),
        ] {
            if got != expected {
                return Err(wrong(format!("its {name} is {got}, expected {expected}")));
            }
        }
        let datasets = self.datasets.iter().zip(&position.datasets).map(|(dataset, position)| dataset.at(position));
        self.datasets = datasets.collect::<Result<_, _>>()?;
        self.n_given = position.n_given;
        self.ledger.restore(position.damaged, position.n_skipped);
        Ok(())
    }
}

fn check(settings: &DataSettings) -> Result<(), DataError> {
    for (name, got, limit, expected) in [
        ("n_workers", settings.n_workers, 256, "1 to 256"),
        ("n_prefetched", settings.n_prefetched, 100_000, "1 to 100000"),
        ("n_shuffled", settings.n_shuffled, 1_000_000, "1 to 1000000"),
        ("n_repeats", settings.n_repeats, 1_000_000, "1 to 1000000"),
    ] {
        if got == 0 || got > limit {
            return Err(DataError::Setting { name: name.to_owned(), got: got.to_string(), expected });
        }
    }
    Ok(())
}
