//! Parameter names and shapes against those of the published checkpoints.

mod golden;

use std::collections::BTreeMap;

use egom2p_model::{Preset, expected_tensors, weights::WeightsPart};

/// The sum of the published modules' parameters and of the tokenizers' frozen tables (specification sections 1.10, 2.1, 3).
const PARAMETERS: [(WeightsPart, usize); 4] = [
    (WeightsPart::Model, 396_226_560),
    (WeightsPart::Camera, 179_681_330),
    (WeightsPart::Gaze, 179_659_812),
    (WeightsPart::Video, 112_472_182),
];

fn expected(part: WeightsPart) -> BTreeMap<String, (Vec<usize>, bool)> {
    let tensors = expected_tensors(&Preset::Base.config(), part).expect("the published config is sound");
    let n_tensors = tensors.len();
    let map: BTreeMap<_, _> =
        tensors.into_iter().map(|tensor| (tensor.name, (tensor.shape, tensor.optional))).collect();
    assert_eq!(map.len(), n_tensors, "every name once");
    map
}

/// The name with the numbers of repeated blocks left out.
fn pattern(name: &str) -> String {
    let parts = name.split('.').map(|part| if part.parse::<usize>().is_ok() { "*" } else { part });
    parts.collect::<Vec<_>>().join(".")
}

#[test]
fn tensors_of_the_published_model_by_kind() {
    let mut lines = Vec::new();
    for part in WeightsPart::ALL {
        let mut kinds = BTreeMap::new();
        for (name, (shape, optional)) in expected(part) {
            *kinds.entry((pattern(&name), shape, optional)).or_insert(0) += 1;
        }
        lines.push(part.file_name().to_owned());
        for ((name, shape, optional), count) in kinds {
            lines.push(format!("  {count} {name} {shape:?}{}", if optional { " optional" } else { "" }));
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn as_many_parameters_as_published() {
    for (part, published) in PARAMETERS {
        let tensors = expected(part);
        let is_buffer = |name: &str| name.ends_with("pos_emb") || name.starts_with("quantize._codebook.");
        let learned = tensors.iter().filter(|(name, _)| !is_buffer(name));
        let count: usize = learned.map(|(_, (shape, _))| shape.iter().product::<usize>()).sum();
        assert_eq!(count, published, "{part}");
    }
}

#[test]
fn names_and_shapes_are_those_of_the_published_checkpoints() {
    let Some(folder) = golden::listings() else { return };
    let listings = [
        (WeightsPart::Model, "state_dict_egom2p.tsv"),
        (WeightsPart::Camera, "state_dict_cam.tsv"),
        (WeightsPart::Gaze, "state_dict_gaze.tsv"),
        (WeightsPart::Video, "state_dict_cosmos_dv4x8x8.tsv"),
    ];
    for (part, file) in listings {
        let text = std::fs::read_to_string(folder.join(file)).expect("the listing is readable");
        let rows = text.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
        let published: BTreeMap<String, Vec<usize>> = rows
            .filter(|row| row.get(5).is_none_or(|alias_of| alias_of.is_empty()))
            .filter(|row| {
                !(part == WeightsPart::Model && row[4] == "buffer" && row[0].rsplit('.').next() == Some("bias"))
            })
            .map(|row| (row[0].to_owned(), serde_json::from_str(row[1]).expect("a shape is a list")))
            .collect();
        let expected: BTreeMap<_, _> = expected(part).into_iter().map(|(name, (shape, _))| (name, shape)).collect();
        assert_eq!(expected, published, "{part}");
    }
}
