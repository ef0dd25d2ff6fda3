//! ONNX files that are none, or that would harm a reader.

use crate::{bench::Bench, tensor_files::safetensors, transcript::Transcript};

/// A protobuf field that holds bytes.
fn field(number: u64, content: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// An ONNX model whose graph has a node with a graph with a node … a thousand times.
pub(crate) fn nested_too_deeply() -> Vec<u8> {
    let (graph, node, attribute, subgraph) = (7, 1, 5, 6);
    let inner = (0..1000).fold(Vec::new(), |inner, _| field(node, &field(attribute, &field(subgraph, &inner))));
    field(graph, &inner)
}

#[test]
fn onnx_files_that_harm_a_reader_are_refused() {
    let bench = Bench::new();
    let empty_nodes = field(1, &[]).repeat(5_000_000);
    for (name, bytes) in [
        ("deep.onnx", nested_too_deeply()),
        ("wide.onnx", field(7, &empty_nodes)),
        ("longer.onnx", [varint(7 << 3 | 2), varint(u64::MAX), b"x".to_vec()].concat()),
        ("noise.onnx", b"\xff".repeat(1000)),
        ("text.onnx", b"not a model\n".to_vec()),
        ("empty.onnx", Vec::new()),
    ] {
        bench.write(name, bytes);
    }
    let mut transcript = Transcript::new(&bench);
    for name in ["deep", "wide", "longer", "noise", "text", "empty", "missing"] {
        transcript.fails(&format!("inspect {name}.onnx"));
    }
    insta::assert_snapshot!(transcript.text());
}

#[test]
fn tensor_files_that_harm_a_reader_are_refused() {
    let bench = Bench::new();
    let whole = safetensors(&[("a", safetensors::Dtype::F32, &[2], vec![0; 8])]);
    let header = |json: &str| [(json.len() as u64).to_le_bytes().as_slice(), json.as_bytes()].concat();
    for (name, bytes) in [
        ("cut.safetensors", whole[..whole.len() - 1].to_vec()),
        ("longer.safetensors", [&*whole, b"x"].concat()),
        ("header.safetensors", u64::MAX.to_le_bytes().to_vec()),
        ("nested.safetensors", header(&"[".repeat(100_000))),
        (
            "shape.safetensors",
            header("{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,9],\"data_offsets\":[0,0]}}"),
        ),
        ("offsets.safetensors", header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}")),
        ("dtype.safetensors", header("{\"a\":{\"dtype\":\"PICKLE\",\"shape\":[1],\"data_offsets\":[0,4]}}")),
        ("empty.safetensors", Vec::new()),
        ("text.npy", b"not an array\n".to_vec()),
        ("text.npz", b"not an archive\n".to_vec()),
    ] {
        bench.write(name, bytes);
    }
    let mut transcript = Transcript::new(&bench);
    for name in ["cut", "longer", "header", "nested", "shape", "offsets", "dtype", "empty", "missing"] {
        transcript.fails(&format!("inspect {name}.safetensors"));
    }
    transcript.fails("inspect text.npy");
    transcript.fails("inspect text.npz");
    insta::assert_snapshot!(transcript.text());
}
