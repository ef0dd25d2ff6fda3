use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use egom2p_model::{Modality, Preset};
use tempfile::TempDir;

use crate::data::{
    Damage, DataSettings, DatasetSettings, Mixture, Sample, SampleStream, ShardSettings, ShardWriter, TokenLayout,
    Weighting, npz,
};

/// What was told of damage.
pub(super) type Told = Arc<Mutex<Vec<Damage>>>;

pub(super) fn layout() -> TokenLayout {
    TokenLayout::new(&Preset::Tiny.config())
}

/// Tokens that only this clip and modality have.
pub(super) fn tokens(key: &str, modality: Modality) -> Vec<i64> {
    let layout = layout();
    let seed = key.bytes().fold(modality.index() as i64 + 1, |sum, byte| (sum * 131 + i64::from(byte)) % 1_000_003);
    (0..layout.n_tokens(modality) as i64).map(|i| (seed + i * 7919) % layout.vocabulary(modality) as i64).collect()
}

pub(super) fn sample_tokens(key: &str, modalities: &[Modality]) -> [Option<Vec<i64>>; 4] {
    Modality::ALL.map(|modality| modalities.contains(&modality).then(|| tokens(key, modality)))
}

pub(super) fn npz(key: &str, modality: Modality) -> Vec<u8> {
    npz::write_tokens(&layout(), modality, &tokens(key, modality)).expect("memory has room")
}

pub(super) fn key(name: &str, index: usize) -> String {
    format!("{name}-{index:05}")
}

/// Writes shards of 10 clips and gives the dataset.
pub(super) fn shards(root: &Path, name: &str, modalities: &[Modality], n_shards: usize) -> DatasetSettings {
    let settings = ShardSettings {
        root: root.to_owned(),
        dataset: name.to_owned(),
        modalities: modalities.to_vec(),
        n_samples: 10,
    };
    let mut writer = ShardWriter::open(settings, &layout()).expect("a writable folder");
    for index in 0..10 * n_shards {
        let key = key(name, index);
        writer.append(&key, &sample_tokens(&key, modalities)).expect("room");
    }
    writer.finish().expect("room");
    let pattern =
        format!("{}/[{}]/{name}/token/shard-{{000000..{:06}}}.tar", root.display(), folders(modalities), n_shards - 1);
    DatasetSettings { name: name.to_owned(), pattern, n_samples: Some(10 * n_shards as u64) }
}

/// Writes a folder of clips and gives the dataset.
pub(super) fn folder(root: &Path, name: &str, modalities: &[Modality], n: usize) -> DatasetSettings {
    for modality in modalities {
        let folder = root.join(folders(&[*modality])).join(name);
        fs::create_dir_all(&folder).expect("room");
        for index in 0..n {
            let key = key(name, index);
            fs::write(folder.join(format!("{key}.npz")), npz(&key, *modality)).expect("room");
        }
    }
    let pattern = format!("{}/[{}]/{name}/*.npz", root.display(), folders(modalities));
    DatasetSettings { name: name.to_owned(), pattern, n_samples: None }
}

fn folders(modalities: &[Modality]) -> String {
    let name = |modality: &Modality| if *modality == Modality::Camera { "cam" } else { modality.name() };
    modalities.iter().map(name).collect::<Vec<_>>().join(",")
}

pub(super) fn settings() -> DataSettings {
    DataSettings { n_shuffled: 25, n_prefetched: 8, ..DataSettings::default() }
}

/// Neither shuffled nor repeated: the order of the shards.
pub(super) fn plain() -> DataSettings {
    DataSettings { n_shuffled: 1, n_repeats: 1, ..settings() }
}

pub(super) fn open(datasets: &[DatasetSettings], settings: &DataSettings) -> (Mixture, Told) {
    let told = Told::default();
    let to = Arc::clone(&told);
    let report = move |damage: &Damage| to.lock().expect("one thread").push(damage.clone());
    let mixture = Mixture::open(datasets, settings, &Weighting::Proportional, &layout(), report);
    (mixture.expect("a mixture"), told)
}

pub(super) fn take(stream: &mut impl SampleStream, n: usize) -> Vec<Sample> {
    (0..n).map(|_| stream.next_sample().expect("an endless stream")).collect()
}

pub(super) fn keys(samples: &[Sample]) -> Vec<&str> {
    samples.iter().map(|sample| sample.key.as_str()).collect()
}

/// Three datasets of unequal sizes, modalities and kinds, one of them damaged.
pub(super) fn datasets(root: &TempDir) -> Vec<DatasetSettings> {
    use Modality::{Camera, Depth, Gaze, Rgb};
    let all = shards(root.path(), "all", &Modality::ALL, 4);
    let damaged = shards(root.path(), "damaged", &[Rgb, Gaze, Camera], 3);
    let shard = root.path().join("rgb/damaged/token/shard-000001.tar");
    let bytes = fs::read(&shard).expect("a shard");
    fs::write(&shard, &bytes[..bytes.len() / 2]).expect("room");
    vec![all, damaged, folder(root.path(), "folder", &[Depth, Camera], 15)]
}
