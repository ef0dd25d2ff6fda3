use std::fs;
use std::path::Path;

use egom2p_model::weights::{
    TensorSpec, WeightsDtype, WeightsError, WeightsFile, WeightsStorage, WeightsWriter, WrittenWeights,
};
use safetensors::tensor::{Dtype, TensorView};

fn spec(name: &str, shape: &[usize]) -> TensorSpec {
    TensorSpec { name: name.into(), shape: shape.into() }
}

fn write(path: &Path) -> WrittenWeights {
    let specs = vec![spec("b.weight", &[2, 3]), spec("a.bias", &[2]), spec("c.empty", &[0, 4]), spec("d.scalar", &[])];
    let mut writer = WeightsWriter::create(path, specs).unwrap();
    while let Some(mut tensor) = writer.next_tensor().unwrap() {
        let start = tensor.name().len() as f32;
        for i in 0..tensor.n_values() {
            tensor.write(&[start + i as f32]).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn a_written_file_reads_back_and_is_a_safetensors_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let written = write(&path);
    let file = WeightsFile::open(&path).unwrap();
    assert_eq!(file.names(), ["a.bias", "b.weight", "c.empty", "d.scalar"]);
    assert_eq!(file.shape("b.weight").unwrap(), [2, 3]);
    assert_eq!(file.dtype("b.weight").unwrap(), WeightsDtype::F32);
    assert_eq!(file.read_f32("b.weight").unwrap(), [8.0, 9.0, 10.0, 11.0, 12.0, 13.0]);
    assert_eq!(file.read_f32("c.empty").unwrap(), [0.0; 0]);
    assert_eq!(file.read_f32("d.scalar").unwrap(), [8.0]);
    let mut middle = vec![0.0; 2];
    file.read_f32_into("b.weight", 3, &mut middle).unwrap();
    assert_eq!(middle, [11.0, 12.0]);
    assert_eq!(file.digest().unwrap(), written.digest);
    assert_eq!((file.file_bytes(), entries(folder.path())), (written.n_bytes, 1));

    let bytes = fs::read(&path).unwrap();
    let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(reference.tensor("a.bias").unwrap().data(), [6.0_f32.to_le_bytes(), 7.0_f32.to_le_bytes()].concat());
}

#[test]
fn the_same_tensors_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one.safetensors", "two.safetensors"].map(|name| folder.path().join(name));
    assert_eq!(write(&one).digest, write(&two).digest);
    assert_eq!(fs::read(one).unwrap(), fs::read(two).unwrap());
}

#[test]
fn an_abandoned_file_leaves_nothing_and_the_older_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let before = write(&path);
    let mut writer = WeightsWriter::create(&path, vec![spec("a", &[4])]).unwrap();
    writer.next_tensor().unwrap().unwrap().write(&[1.0, 2.0]).unwrap();
    let error = writer.finish().unwrap_err();
    assert!(matches!(error, WeightsError::Count { written: 2, expected: 4, .. }), "{error}");
    assert_eq!(entries(folder.path()), 1);
    assert_eq!(WeightsFile::open(&path).unwrap().digest().unwrap(), before.digest);
}

#[test]
fn a_tensor_takes_exactly_its_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut writer = WeightsWriter::create(&path, vec![spec("a", &[2]), spec("b", &[2])]).unwrap();
    let mut tensor = writer.next_tensor().unwrap().unwrap();
    assert!(matches!(tensor.write(&[0.0; 3]), Err(WeightsError::Count { written: 3, expected: 2, .. })));
    tensor.write(&[0.0]).unwrap();
    assert!(matches!(writer.next_tensor(), Err(WeightsError::Count { written: 1, expected: 2, .. })));
}

#[test]
fn impossible_files_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let create = |path: &Path, specs| WeightsWriter::create(path, specs).unwrap_err();
    assert!(matches!(create(&path, vec![spec("a", &[1]), spec("a", &[1])]), WeightsError::Duplicate { .. }));
    assert!(matches!(create(&path, vec![spec("a", &[usize::MAX, 2])]), WeightsError::TooLarge { .. }));
    assert!(matches!(create(folder.path(), vec![]), WeightsError::Write { .. }));
    assert!(matches!(create(&folder.path().join("none/model.safetensors"), vec![]), WeightsError::Write { .. }));
    assert_eq!(entries(folder.path()), 0);
}

#[test]
fn other_float_types_are_widened_and_integers_refused() {
    let halves = [0.5_f32, -3.0].map(|value| half::f16::from_f32(value).to_le_bytes()).concat();
    let brains = [0.5_f32, -3.0].map(|value| half::bf16::from_f32(value).to_le_bytes()).concat();
    let doubles = [0.5_f64, -3.0].map(f64::to_le_bytes).concat();
    let integers = [1_i64, 2].map(i64::to_le_bytes).concat();
    let view = |dtype, bytes| TensorView::new(dtype, vec![2], bytes).unwrap();
    let tensors = [
        ("f16", view(Dtype::F16, &halves)),
        ("bf16", view(Dtype::BF16, &brains)),
        ("f64", view(Dtype::F64, &doubles)),
        ("i64", view(Dtype::I64, &integers)),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mixed.safetensors");
    fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    let file = WeightsFile::open(&path).unwrap();
    for name in ["f16", "bf16", "f64"] {
        assert_eq!(file.read_f32(name).unwrap(), [0.5, -3.0], "{name}");
    }
    let error = file.read_f32("i64").unwrap_err().to_string();
    assert!(error.starts_with("tensor i64 of ") && error.contains("holds I64, expected F32"), "{error}");
    let mut bytes = [0; 8];
    file.read_bytes_into("i64", 8, &mut bytes).unwrap();
    assert_eq!(i64::from_le_bytes(bytes), 2);
    assert!(matches!(file.read_bytes_into("i64", 9, &mut bytes), Err(WeightsError::OutOfRange { .. })));
    assert!(matches!(file.read_f32_into("f16", usize::MAX, &mut [0.0]), Err(WeightsError::OutOfRange { .. })));
    assert!(matches!(file.read_f32("none"), Err(WeightsError::Missing { .. })));
    assert_ne!(file.tensor_digest("f16").unwrap(), file.tensor_digest("bf16").unwrap());
}

#[test]
fn halves_take_half_the_bytes_and_are_read_as_what_was_rounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    // 1.3 and the largest value of fp16 lie between two bfloat16.
    let values = [1.3, -0.5, 65504.0];
    for (storage, dtype, expected) in [
        (WeightsStorage::Fp32, WeightsDtype::F32, values),
        (WeightsStorage::Bf16, WeightsDtype::BF16, [1.296_875, -0.5, 65536.0]),
        (WeightsStorage::Fp16, WeightsDtype::F16, [1.299_804_7, -0.5, 65504.0]),
    ] {
        let specs = vec![spec("b", &[3, 1]), spec("a", &[3])];
        let mut writer = WeightsWriter::create_stored(&path, specs, storage).unwrap();
        while let Some(mut tensor) = writer.next_tensor().unwrap() {
            tensor.write(&values[..1]).unwrap();
            tensor.write(&values[1..]).unwrap();
        }
        let written = writer.finish().unwrap();
        let file = WeightsFile::open(&path).unwrap();
        for name in ["a", "b"] {
            assert_eq!(file.dtype(name).unwrap(), dtype);
            assert_eq!(file.tensor_bytes(name).unwrap(), 3 * storage.value_bytes() as u64);
            assert_eq!(file.read_f32(name).unwrap(), expected, "{storage}");
        }
        assert_eq!((file.file_bytes(), file.digest().unwrap()), (written.n_bytes, written.digest));
    }
}

#[test]
fn every_bfloat16_is_widened_exactly() {
    let bits: Vec<u16> = (0..=u16::MAX).collect();
    let bytes: Vec<u8> = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::BF16, vec![bits.len()], &bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.safetensors");
    fs::write(&path, safetensors::serialize([("all", view)], None).unwrap()).unwrap();
    let values = WeightsFile::open(&path).unwrap().read_f32("all").unwrap();
    for (bits, value) in bits.into_iter().zip(values) {
        let expected = f32::from_bits(u32::from(bits) << 16);
        assert!(value.to_bits() == expected.to_bits() || value.is_nan() && expected.is_nan(), "{bits:#06x}: {value}");
    }
}

#[test]
fn values_that_halves_cannot_hold_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut writer = WeightsWriter::create_stored(&path, vec![spec("a", &[2])], WeightsStorage::Fp16).unwrap();
    let error = writer.next_tensor().unwrap().unwrap().write(&[1.0, 70000.0]).unwrap_err();
    assert_eq!(error.to_string(), "tensor a holds 70000, which is too large for fp16\nstore these weights as fp32");
    drop(writer);
    assert_eq!(entries(folder.path()), 0);
}

#[test]
fn damaged_files_are_refused_with_two_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write(&path);
    let whole = fs::read(&path).unwrap();
    let mut longer = whole.clone();
    longer.push(0);
    let mut huge = whole.clone();
    huge[..8].fill(0xFF);
    let nested = [&1_000_000_u64.to_le_bytes()[..], &vec![b'['; 1_000_000]].concat();
    for bytes in [vec![], whole[..7].into(), whole[..40].into(), whole[..whole.len() - 1].into(), longer, huge, nested]
    {
        fs::write(&path, &bytes).unwrap();
        let error = WeightsFile::open(&path).unwrap_err();
        assert!(matches!(error, WeightsError::Malformed { .. }), "{error}");
        assert_eq!(error.to_string().lines().count(), 2, "{error}");
    }
    assert!(matches!(WeightsFile::open(&folder.path().join("none")), Err(WeightsError::Read { .. })));
}

#[test]
fn files_with_flipped_bits_are_errors_or_results() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write(&path);
    let whole = fs::read(&path).unwrap();
    for position in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[position] ^= 1 << bit;
            fs::write(&path, bytes).unwrap();
            let Ok(file) = WeightsFile::open(&path) else { continue };
            for name in file.names() {
                let n_values = file.shape(name).unwrap().iter().product::<usize>();
                match file.read_f32(name) {
                    Ok(values) => assert_eq!(values.len(), n_values, "bit {bit} of byte {position}"),
                    Err(error) => assert!(matches!(error, WeightsError::Dtype { .. }), "{error}"),
                }
            }
        }
    }
}
