//! Weights files: layout, contents, size.

mod sample;

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
};

use egom2p_export::{ALIGNMENT_BYTES, ExternalLayout, Opset, Target, export_graph, list_onnx, write_weights};
use egom2p_graph::{Builder, DType, Dim, Graph, ParameterError, Parameters};

const STANDARD: Target = Target::Standard { opset: Opset::V20 };

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|chunk| f32::from_le_bytes(chunk.try_into().expect("four bytes"))).collect()
}

#[test]
fn tensors_lie_in_order_at_page_boundaries() {
    let graphs = sample::all();
    let layout = ExternalLayout::new("model.weights", &graphs[..3]).expect("small tensors");
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let path = folder.path().join("model.weights");
    let written = write_weights(&path, &layout, &graphs[..3], &sample::Rule).expect("written");
    let bytes = fs::read(&path).expect("just written");
    assert_eq!(bytes.len() as u64, layout.n_bytes());
    assert_eq!(written.file.bytes, layout.n_bytes());
    assert_eq!(written.file.blake3.as_bytes(), blake3::hash(&bytes).as_bytes());
    let mut end = 0;
    for (name, tensor) in layout.tensors() {
        assert!(tensor.offset_bytes >= end && tensor.offset_bytes.is_multiple_of(ALIGNMENT_BYTES));
        end = tensor.offset_bytes + tensor.n_bytes;
        let part = &bytes[tensor.offset_bytes as usize..end as usize];
        assert_eq!(floats(part), sample::Rule.parameter(name, &tensor.shape).expect("a rule"), "{name}");
        assert_eq!(written.tensors[name].as_bytes(), blake3::hash(part).as_bytes());
    }
    assert_eq!(end, layout.n_bytes());
}

#[test]
fn parts_and_constants_are_bytes_of_the_file() {
    let graph = sample::corners();
    let layout = ExternalLayout::new("model.weights", [&graph]).expect("small tensors");
    let listing = list_onnx(&export_graph(&graph, STANDARD, &layout).expect("sound")).expect("just written");
    // Two of four rows of six, from the second row on.
    let table = layout.tensor("table").expect("a parameter").offset_bytes;
    let part = format!("tensor table[6..18]: f32[3, 4] in model.weights at {}, 48 bytes\n", table + 24);
    assert!(listing.contains(&part), "{listing}");
    let (name, large) = layout.tensors().find(|(name, _)| name.starts_with("constant.")).expect("a large constant");
    let constant = format!("tensor {name}: f32[400] in model.weights at {}, 1600 bytes\n", large.offset_bytes);
    assert!(listing.contains(&constant), "{listing}");

    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let path = folder.path().join("model.weights");
    write_weights(&path, &layout, [&graph], &sample::Rule).expect("written");
    let bytes = fs::read(path).expect("just written");
    let values = floats(&bytes[large.offset_bytes as usize..][..1600]);
    assert_eq!(values, (0..400).map(|index| index as f32).collect::<Vec<_>>());
}

#[test]
fn one_parameter_has_one_shape() {
    let stage = |rows: usize| {
        let g = Builder::new("stage");
        let id = g.param("table", &[rows, 2]).id();
        g.finish([("table", id)]).expect("a sound stage")
    };
    let error = ExternalLayout::new("model.weights", &[stage(3), stage(4)]).expect_err("two shapes");
    assert_eq!(error.to_string().lines().next(), Some("shape mismatch for table: expected [3, 2], got [4, 2]"));
}

#[test]
fn a_missing_parameter_is_named() {
    struct Nothing;
    impl Parameters for Nothing {
        fn parameter(&self, name: &str, _: &[usize]) -> Result<Vec<f32>, ParameterError> {
            Err(ParameterError::Missing { name: name.to_owned() })
        }
    }
    struct Short;
    impl Parameters for Short {
        fn parameter(&self, _: &str, _: &[usize]) -> Result<Vec<f32>, ParameterError> {
            Ok(vec![0.0; 3])
        }
    }
    let graph = sample::corners();
    let layout = ExternalLayout::new("model.weights", [&graph]).expect("small tensors");
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let message = |parameters: &dyn Parameters| {
        let path = folder.path().join("model.weights");
        write_weights(&path, &layout, [&graph], parameters).expect_err("no such weights").to_string()
    };
    assert_eq!(message(&Nothing).lines().next(), Some("no parameter called table"));
    assert_eq!(message(&Short).lines().next(), Some("table of shape [4, 6] came with 3 values"));
}

/// More than 2 GiB in one file: nine tables of 256 MiB, of which a reader finds the last by its offset.
#[test]
fn slow_weights_of_more_than_two_gibibytes() {
    const ROWS: usize = 65_536;
    const COLUMNS: usize = 1024;
    struct Constant;
    impl Parameters for Constant {
        fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
            let value = name.bytes().last().map_or(0.0, f32::from);
            Ok(vec![value; shape.iter().product()])
        }
    }
    let graph: Graph = {
        let g = Builder::new("large");
        let ids = g.input("ids", DType::I64, [Dim::from("batch")]);
        let tables = (0..9).map(|index| g.param(&format!("table{index}"), &[ROWS, COLUMNS]).embedding(ids));
        let sum = tables.reduce(|a, b| a + b).expect("nine tables").id();
        g.finish([("sum", sum)]).expect("a sound stage")
    };
    let layout = ExternalLayout::new("large.weights", [&graph]).expect("sizes fit in 64 bits");
    assert!(layout.n_bytes() > 1 << 31);
    let model = export_graph(&graph, Target::OnnxRuntimeCpu, &layout).expect("a sound stage");
    assert!(model.len() < 1 << 16, "weights stand outside");
    let last = layout.tensor("table8").expect("a parameter").offset_bytes;
    assert!(last >= 1 << 31);
    assert!(list_onnx(&model).expect("just written").contains(&format!("at {last}, 268435456 bytes")));

    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let path = folder.path().join("large.weights");
    let written = write_weights(&path, &layout, [&graph], &Constant).expect("written");
    assert_eq!(written.file.bytes, layout.n_bytes());
    let mut file = fs::File::open(&path).expect("just written");
    let mut row = vec![0; 4 * COLUMNS];
    file.seek(SeekFrom::Start(last)).and_then(|_| file.read_exact(&mut row)).expect("inside the file");
    assert_eq!(floats(&row), vec![f32::from(b'8'); COLUMNS]);
}
