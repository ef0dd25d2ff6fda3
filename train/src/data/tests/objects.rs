use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;

use egom2p_model::Modality::{Camera, Gaze};
use object_store::memory::InMemory;
use object_store::{ObjectStoreExt, PutPayload};

use super::fixture::{folder, layout, open, settings, shards, take};
use crate::data::source::Source;
use crate::data::store::object::ObjectFiles;
use crate::data::store::{Amount, Store};
use crate::data::{Damage, DataError, DatasetSettings, Mixture, SampleStream, Weighting};

/// All files below a folder, by their paths from there.
fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("inside").to_str().expect("text").to_owned();
                found.push((name, std::fs::read(path).expect("a file")));
            }
        }
    }
    found
}

fn memory(root: &Path) -> ObjectFiles {
    let store = InMemory::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for (name, content) in files(root) {
        runtime.block_on(store.put(&name.as_str().into(), PutPayload::from(content))).expect("memory has room");
    }
    ObjectFiles::new("memory://b/", Box::new(store)).expect("threads")
}

fn mixture(store: impl Fn() -> Box<dyn Store>, datasets: &[DatasetSettings], from: &str, to: &str) -> Mixture {
    let sources = datasets.iter().map(|dataset| {
        let pattern = dataset.pattern.replace(from, to).parse().expect("a pattern");
        (dataset.name.clone(), Source::open_in(store(), &pattern, &layout()).expect("a source"), Some(1))
    });
    let mixture =
        Mixture::of(sources.collect(), &settings(), &Weighting::Proportional, &layout(), Box::new(|_: &Damage| {}));
    mixture.expect("a mixture")
}

#[test]
fn objects_give_the_stream_of_the_files() {
    let root = tempfile::tempdir().expect("a folder");
    let mut datasets = [shards(root.path(), "a", &[Camera, Gaze], 3), folder(root.path(), "b", &[Camera, Gaze], 12)];
    for dataset in &mut datasets {
        dataset.n_samples = Some(1);
    }
    std::fs::remove_file(root.path().join("gaze/a/token/shard-000001.tar")).expect("a shard");
    let (mut local, told) = open(&datasets, &settings());
    let from = format!("{}/", root.path().display());
    let mut objects = mixture(|| Box::new(memory(root.path())), &datasets, &from, "memory://b/");
    assert!(take(&mut objects, 300) == take(&mut local, 300));
    assert_eq!(objects.n_damaged(), 1);
    assert!(matches!(&told.lock().expect("one thread")[..], [Damage::Missing { .. }]));
    let position = objects.position();
    objects.seek(&position).expect("a position of this stream");
    assert!(take(&mut objects, 100) == take(&mut local, 100));
}

#[test]
fn large_objects_are_read_block_by_block_from_any_byte() {
    let root = tempfile::tempdir().expect("a folder");
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(root.path().join("large"), &bytes).expect("room");
    std::fs::write(root.path().join("empty"), []).expect("room");
    let store = memory(root.path());
    let offsets = [0, 1, 2 << 20, 4_999_999, 5_000_000, 6_000_000];
    for (offset, amount) in offsets.iter().flat_map(|&offset| [(offset, Amount::All), (offset, Amount::Bytes(70_000))])
    {
        let mut found = Vec::new();
        store
            .open("memory://b/large", offset as u64, amount)
            .expect("an object")
            .read_to_end(&mut found)
            .expect("memory");
        assert!(found == bytes[offset.min(bytes.len())..], "from {offset}");
    }
    let n = store.open("memory://b/empty", 0, Amount::All).expect("an object").read(&mut [0]).expect("memory");
    assert_eq!(n, 0);
    let error = store.open("memory://b/none", 0, Amount::All).err().expect("no object");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

/// A server that answers `HEAD` and ranges of `GET` as S3 does, for buckets in the path.
fn serve(root: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let objects = files(root);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            let headers: Vec<String> =
                lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
            let signed = headers.iter().any(|line| line.starts_with("authorization: aws4-hmac-sha256"));
            let mut words = request.split(' ');
            let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let object = objects.iter().find(|(name, _)| path.strip_prefix("/b/") == Some(name)).filter(|_| signed);
            let range = headers.iter().find_map(|line| line.strip_prefix("range: bytes=")?.split_once('-'));
            let range = range.and_then(|(first, last)| Some(first.parse().ok()?..=last.parse::<usize>().ok()?));
            let frame = "connection: close\r\netag: \"1\"\r\nlast-modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
            let answer = match (object, range) {
                (None, _) => format!("HTTP/1.1 404 Not Found\r\n{frame}content-length: 0\r\n\r\n").into_bytes(),
                (Some((_, all)), Some(range)) if method == "GET" => {
                    let (first, last) = (*range.start(), (*range.end()).min(all.len() - 1));
                    let head = format!(
                        "HTTP/1.1 206 Partial Content\r\n{frame}content-length: {}\r\ncontent-range: bytes {first}-{last}/{}\r\n\r\n",
                        last + 1 - first,
                        all.len()
                    );
                    [head.as_bytes(), &all[first..=last]].concat()
                }
                (Some((_, all)), _) => {
                    format!("HTTP/1.1 200 OK\r\n{frame}content-length: {}\r\n\r\n", all.len()).into_bytes()
                }
            };
            let _ = stream.write_all(&answer);
        }
    });
    address
}

#[test]
fn s3_is_spoken() {
    let root = tempfile::tempdir().expect("a folder");
    let datasets = [shards(root.path(), "a", &[Camera, Gaze], 3)];
    let address = serve(root.path());
    let variables = || {
        let variables = [
            ("aws_endpoint", address.as_str()),
            ("aws_allow_http", "true"),
            ("aws_region", "here"),
            ("aws_access_key_id", "name"),
            ("aws_secret_access_key", "word"),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter()
    };
    let store = || -> Box<dyn Store> { Box::new(ObjectFiles::open_with("s3://b/cam", variables()).expect("a store")) };
    let from = format!("{}/", root.path().display());
    let mut objects = mixture(store, &datasets, &from, "s3://b/");
    let (mut local, _) = open(&datasets, &settings());
    assert!(take(&mut objects, 100) == take(&mut local, 100));
}

#[test]
fn addresses_of_no_store_are_errors() {
    for address in ["carrier://b/[cam]/a/{0..1}.tar", "s3:///[cam]/{0..1}.tar", "file:///[cam]/{0..1}.tar"] {
        let dataset = DatasetSettings { name: "a".to_owned(), pattern: address.to_owned(), n_samples: None };
        let error =
            Mixture::open(&[dataset], &settings(), &Weighting::Uniform, &layout(), |_| {}).expect_err("no store");
        assert!(matches!(error, DataError::Store { .. }) && error.to_string().lines().count() == 2, "{error}");
    }
}
