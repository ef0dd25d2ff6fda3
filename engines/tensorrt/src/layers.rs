use egom2p_engine_core::{LayerRecord, LayerTensor};

/// What the message that lists the layers begins with.
pub(crate) const LAYERS_START: &str = "Layers:\n";
/// Most layers that are kept. The largest stage has some two thousand.
const MAX_LAYERS: usize = 1 << 16;
/// Most tensors that are kept of one layer, and most nodes.
const MAX_ITEMS: usize = 1 << 12;
/// What may follow the tensors of a layer.
const AFTER_TENSORS: &[&str] =
    &["], Constants: [", "], Outputs: [", "], ParameterType: ", "], TacticName: ", "], TacticValue: ", "], StreamId: "];

/// Reads the layers from the message with which a build lists them; none if it is not that message.
///
/// A line holds one layer as `Name: …, LayerType: …, Inputs: [ … ], Constants: [ … ], Outputs: [ … ], TacticName: …,
/// StreamId: …, Metadata: [ONNX Layer: …][ONNX Layer: …]`, and a tensor is `{ Name: …, Dimensions: [ … ], …, Datatype:
/// …, Format: … }`. The text follows no grammar, and its names come from the model and may hold any of these signs, so
/// fields are found by the words around them, and the list ends at the first line that is no layer.
pub(crate) fn read(message: &str) -> Option<Vec<LayerRecord>> {
    Some(message.strip_prefix(LAYERS_START)?.lines().map_while(layer).take(MAX_LAYERS).collect())
}

fn layer(line: &str) -> Option<LayerRecord> {
    let (name, rest) = line.strip_prefix("Name: ")?.split_once(", LayerType: ")?;
    let (kind, _) = rest.split_once(", ")?;
    let list = |start: &str| rest.split_once(start).map_or(Vec::new(), |(_, list)| tensors(until(list, AFTER_TENSORS)));
    Some(LayerRecord {
        name: name.to_owned(),
        kind: kind.to_owned(),
        inputs: list(", Inputs: ["),
        outputs: list(", Outputs: ["),
        tactic: rest.split_once(", TacticName: ").map_or("", |(_, tactic)| until(tactic, &[", "])).to_owned(),
        nodes: rest.rsplit_once(", Metadata: ").map_or(Vec::new(), |(_, metadata)| nodes(metadata)),
    })
}

fn tensors(list: &str) -> Vec<LayerTensor> {
    list.split("{ Name: ").skip(1).filter_map(tensor).take(MAX_ITEMS).collect()
}

fn tensor(text: &str) -> Option<LayerTensor> {
    let (name, rest) = text.split_once(", Dimensions: [")?;
    let (dims, rest) = rest.split_once(']')?;
    let shape = match dims.trim() {
        "" => Vec::new(),
        dims => dims.split(',').map(|dim| dim.trim().parse().ok()).collect::<Option<_>>()?,
    };
    let (_, dtype) = rest.split_once("Datatype: ")?;
    Some(LayerTensor { name: name.to_owned(), dtype: until(dtype, &[",", " ", "}"]).to_owned(), shape })
}

/// Names of the nodes in metadata such as `[ONNX Layer: a/MatMul][ONNX Layer: a/Conv]__gemm_from_conv1x1`: an entry ends at
/// its last bracket, and what follows is not the model's.
fn nodes(metadata: &str) -> Vec<String> {
    let entries = metadata.split("[ONNX Layer: ").skip(1).take(MAX_ITEMS);
    entries.map(|entry| entry.rsplit_once(']').map_or(entry, |(name, _)| name).to_owned()).collect()
}

/// The text before the first of the marks, or all of it.
fn until<'t>(text: &'t str, marks: &[&str]) -> &'t str {
    let end = marks.iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;

    /// Lines as TensorRT for RTX 1.7.1 writes them, shortened in the middle of their lists only.
    const MESSAGE: &str = "Layers:
Name: __mye101_0_myl0_0, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], TacticName: , StreamId: 0, Metadata: 
Name: a/MatMul_myl0_1, LayerType: gemm, Inputs: [ { Name: hidden, Dimensions: [-1,192], Strides: [192,1], StrideOrder: [1,0], Datatype: Half, Format: (Linear) Row major linear format }], Constants: [ { Name: __mye293_dconst_myl0, Dimensions: [192,1000], Strides: [1,192], StrideOrder: [0,1], Datatype: Float, Format: (Transposed) Transposed format }], Outputs: [ { Name: logits, Dimensions: [-1,1000], Strides: [1000,1], StrideOrder: [1,0], Datatype: Float, Format: (Linear) Row major linear format }, { Name: mask, Dimensions: [], Strides: [], StrideOrder: [], Datatype: Bool, Format: (Linear) Row major linear format }], TacticName: __myelin_CASK_STUB, StreamId: 0, Metadata: [ONNX Layer: a/MatMul][ONNX Layer: a/Transpose#2]
Name: {ForeignNode[a...b]}, LayerType: Myelin, Inputs: [ { Name: x[0], Dimensions: [2,3], Datatype: Float, Format: Row major }], Outputs: [ { Name: y, Dimensions: [2], Datatype: Int64, Format: Row major }], TacticName: , StreamId: 0, Metadata: [ONNX Layer: blocks[0]/Add]\u{1f}[ONNX Layer: c/Conv]__gemm_from_conv1x1\u{1f}[ONNX Layer: odd]]\u{1e}

I/O Tensors:
 Name: hidden, IOMode: Input, DataType: Float, Dimensions: [-1,-1,192], Location: Device
";

    fn tensor(name: &str, dtype: &str, shape: &[i64]) -> LayerTensor {
        LayerTensor { name: name.to_owned(), dtype: dtype.to_owned(), shape: shape.to_vec() }
    }

    #[test]
    fn reads_names_kinds_tensors_tactics_and_nodes() {
        let layers = read(MESSAGE).unwrap();
        assert_eq!(layers.len(), 3);
        assert_eq!((&*layers[0].name, &*layers[0].kind), ("__mye101_0_myl0_0", "shape_call"));
        assert!(layers[0].inputs.is_empty() && layers[0].outputs.is_empty() && layers[0].nodes.is_empty());
        assert_eq!(
            layers[1],
            LayerRecord {
                name: "a/MatMul_myl0_1".to_owned(),
                kind: "gemm".to_owned(),
                inputs: vec![tensor("hidden", "Half", &[-1, 192])],
                outputs: vec![tensor("logits", "Float", &[-1, 1000]), tensor("mask", "Bool", &[])],
                tactic: "__myelin_CASK_STUB".to_owned(),
                nodes: vec!["a/MatMul".to_owned(), "a/Transpose#2".to_owned()],
            }
        );
        assert_eq!(layers[2].name, "{ForeignNode[a...b]}");
        assert_eq!(layers[2].inputs, [tensor("x[0]", "Float", &[2, 3])]);
        assert_eq!(layers[2].outputs, [tensor("y", "Int64", &[2])]);
        assert_eq!(layers[2].nodes, ["blocks[0]/Add", "c/Conv", "odd]"]);
    }

    #[test]
    fn another_message_holds_no_layers() {
        assert_eq!(read("Layer: a Host Persistent: 80 bytes"), None);
        assert_eq!(read("Layers:\nsomething else"), Some(Vec::new()));
    }

    #[test]
    fn damaged_text_is_left_out() {
        for end in 0..MESSAGE.len() {
            if MESSAGE.is_char_boundary(end) {
                let _ = read(&MESSAGE[..end]);
            }
        }
        let text =
            "Layers:\nName: a, LayerType: b, Inputs: [ { Name: c, Dimensions: [x], Datatype: Float }], Outputs: [";
        let layers = read(text).unwrap();
        assert_eq!((layers.len(), layers[0].inputs.len()), (1, 0), "an axis that is no number");
    }
}
