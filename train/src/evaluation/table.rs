use super::{Mean, Measure, Source};
use egom2p_model::Modality;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt::Write as _};

/// What the errors over the clips of all datasets are called.
const ALL: &str = "all";

/// Errors by dataset, modality, source and measure.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct ErrorTable {
    /// In the order in which they came.
    datasets: Vec<String>,
    cells: BTreeMap<Cell, Mean>,
}

/// The dataset is `None` for all of them together.
type Cell = (Option<usize>, Modality, Source, Measure);

impl ErrorTable {
    /// Takes the errors of one clip in.
    pub fn push(&mut self, dataset: &str, modality: Modality, source: Source, errors: &[(Measure, f64)]) {
        let index = self.datasets.iter().position(|name| name == dataset).unwrap_or_else(|| {
            self.datasets.push(dataset.to_owned());
            self.datasets.len() - 1
        });
        for &(measure, value) in errors {
            for group in [None, Some(index)] {
                self.cells.entry((group, modality, source, measure)).or_default().push(value);
            }
        }
    }

    /// The mean of a measure over the clips of a dataset, or of all of them.
    pub fn mean(&self, dataset: Option<&str>, modality: Modality, source: Source, measure: Measure) -> Option<Mean> {
        let group = match dataset {
            Some(name) => Some(self.datasets.iter().position(|dataset| dataset == name)?),
            None => None,
        };
        self.cells.get(&(group, modality, source, measure)).copied()
    }

    /// The error of the prediction over that of a naive one.
    pub fn ratio(&self, dataset: Option<&str>, modality: Modality, naive: Source, measure: Measure) -> Option<f64> {
        if !(measure.is_error() && naive.is_naive()) {
            return None;
        }
        let mean = |source| self.mean(dataset, modality, source, measure).map(|mean| mean.mean());
        let (predicted, naive) = (mean(Source::Prediction)?, mean(naive)?);
        (naive > 0.0).then(|| predicted / naive)
    }

    /// As Markdown: a section for all datasets and one for each, in each a table for every modality.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for group in self.groups() {
            let _ = writeln!(text, "## {}\n", group.map_or("All datasets", |name| name));
            for modality in Modality::ALL {
                self.write_modality(&mut text, group, modality);
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    /// As JSON: objects by dataset, modality, source and measure; `ratios` stands beside the sources.
    pub fn json(&self) -> Value {
        let mut datasets = Map::new();
        for group in self.groups() {
            let mut modalities = Map::new();
            for modality in Modality::ALL {
                let mut sources = Map::new();
                for &source in Source::of(modality) {
                    let cells = Measure::of(modality).iter().filter_map(|&measure| {
                        Some((measure.name().to_owned(), json!(self.mean(group, modality, source, measure)?)))
                    });
                    let cells: Map<String, Value> = cells.collect();
                    if !cells.is_empty() {
                        sources.insert(source.name().to_owned(), Value::Object(cells));
                    }
                }
                if sources.is_empty() {
                    continue;
                }
                let ratios = Source::of(modality).iter().filter_map(|&naive| {
                    let ratios = Measure::of(modality).iter().filter_map(|&measure| {
                        Some((measure.name().to_owned(), json!(self.ratio(group, modality, naive, measure)?)))
                    });
                    let ratios: Map<String, Value> = ratios.collect();
                    (!ratios.is_empty()).then(|| (naive.name().to_owned(), Value::Object(ratios)))
                });
                let ratios: Map<String, Value> = ratios.collect();
                if !ratios.is_empty() {
                    sources.insert("ratios".to_owned(), Value::Object(ratios));
                }
                modalities.insert(modality.name().to_owned(), Value::Object(sources));
            }
            datasets.insert(group.unwrap_or(ALL).to_owned(), Value::Object(modalities));
        }
        Value::Object(datasets)
    }

    /// All datasets together, and each if there are several.
    fn groups(&self) -> impl Iterator<Item = Option<&str>> {
        let each = self.datasets.iter().filter(|_| self.datasets.len() > 1).map(|name| Some(name.as_str()));
        std::iter::once(None).chain(each)
    }

    fn write_modality(&self, text: &mut String, group: Option<&str>, modality: Modality) {
        let measures = Measure::of(modality);
        let n_clips = Source::of(modality).iter().filter_map(|&source| self.mean(group, modality, source, measures[0]));
        let Some(n_clips) = n_clips.map(|mean| mean.n()).max() else { return };
        let labels: Vec<&str> = measures.iter().map(|measure| measure.label()).collect();
        let _ = writeln!(text, "| {modality}, {n_clips} clips | {} |", labels.join(" | "));
        let _ = writeln!(text, "|---|{}", "---|".repeat(measures.len()));
        for &source in Source::of(modality) {
            let cells = measures.iter().map(|&measure| {
                self.mean(group, modality, source, measure).map_or_else(|| "-".to_owned(), |mean| shown(&mean))
            });
            let _ = writeln!(text, "| {} | {} |", source.label(), cells.collect::<Vec<_>>().join(" | "));
        }
        for &naive in Source::of(modality).iter().filter(|source| source.is_naive()) {
            let cells = measures.iter().map(|&measure| {
                let ratio = self.ratio(group, modality, naive, measure);
                ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
            });
            let name = naive.label().trim_start_matches("naive: ");
            let _ = writeln!(text, "| prediction / {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
        text.push('\n');
    }
}

/// Three digits of the mean, and as many places of its standard error.
fn shown(mean: &Mean) -> String {
    let value = mean.mean();
    let places = if value == 0.0 { 0.0 } else { 2.0 - value.abs().log10().floor() };
    let places = places.clamp(0.0, 8.0) as usize;
    match mean.standard_error() {
        Some(error) => format!("{value:.places$} ± {error:.places$}"),
        None => format!("{value:.places$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorTable, Measure, Modality, Source};

    /// Two clips of a dataset with all and one of a dataset with the camera alone.
    fn table() -> ErrorTable {
        let mut table = ErrorTable::default();
        for (dataset, predicted, naive) in [("rooms", 0.1, 0.5), ("rooms", 0.3, 0.7), ("walks", 0.2, 0.3)] {
            let errors = |ate| [(Measure::Ate, ate), (Measure::Rte, 0.01), (Measure::Rre, 12.345)];
            table.push(dataset, Modality::Camera, Source::Prediction, &errors(predicted));
            table.push(dataset, Modality::Camera, Source::ConstantPose, &errors(naive));
        }
        table.push("rooms", Modality::Rgb, Source::Quantisation, &[(Measure::L1, 0.0123), (Measure::Psnr, 31.416)]);
        table
    }

    #[test]
    fn means_are_over_clips_not_datasets() {
        let table = table();
        let all = table.mean(None, Modality::Camera, Source::ConstantPose, Measure::Ate).expect("three clips");
        assert_eq!(all.n(), 3);
        assert!((all.mean() - 0.5).abs() < 1e-12);
        let ratio = |dataset| table.ratio(dataset, Modality::Camera, Source::ConstantPose, Measure::Ate);
        assert!((ratio(None).expect("both") - 0.4).abs() < 1e-12);
        assert!((ratio(Some("walks")).expect("both") - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(ratio(Some("tasks")), None);
        assert_eq!(table.ratio(None, Modality::Rgb, Source::Quantisation, Measure::L1), None);
    }

    #[test]
    fn tables_are_readable() {
        let expected = "\
## All datasets

| camera, 3 clips | ATE, m | RTE, m | RRE, degrees |
|---|---|---|---|
| quantisation | - | - | - |
| prediction | 0.200 ± 0.058 | 0.0100 ± 0.0000 | 12.3 ± 0.0 |
| naive: constant pose | 0.500 ± 0.115 | 0.0100 ± 0.0000 | 12.3 ± 0.0 |
| prediction / constant pose | 0.40 | 1.00 | 1.00 |

| rgb, 1 clips | L1 | PSNR, dB |
|---|---|---|
| quantisation | 0.0123 | 31.4 |

## rooms

";
        let text = table().markdown();
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("## walks\n\n| camera, 1 clips |") && text.ends_with("|\n"), "{text}");
    }

    #[test]
    fn json_has_every_cell() {
        let json = table().json();
        let cell = &json["walks"]["camera"]["prediction"]["ate_metres"];
        assert_eq!(*cell, serde_json::json!({ "mean": 0.2, "standard_error": null, "clips": 1 }));
        assert!(json["all"]["camera"]["ratios"]["constant_pose"]["ate_metres"].is_f64(), "{json}");
        assert_eq!(json["rooms"]["rgb"]["quantisation"]["l1"]["clips"], 1);
        assert!(json["walks"].get("rgb").is_none());
    }
}
