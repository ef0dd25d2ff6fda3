//! What does not fit is refused in two lines, and nothing native sees it.

use std::{fs, path::PathBuf};

use egom2p_calibration::Precision;
use egom2p_engine_core::{
    DType, DimRange, Dims, EngineError, EngineRecord, Profile, RunSession, Session, SessionOptions, Tensor, TensorSpec,
};
use egom2p_engines::{BUNDLE_MANIFEST_FILE, BackendOptions, BuildOptions, Bundle, BundleError, ProfileOverrides};
use egom2p_model::Stage;

use crate::workshop::{Built, Recipe, Workshop, options_for, refusal};

/// Takes what an engine takes, as its record says, and gives zeros.
struct Zeros(EngineRecord);

impl RunSession for Zeros {
    fn input_specs(&self) -> &[TensorSpec] {
        &self.0.inputs
    }

    fn output_specs(&self) -> &[TensorSpec] {
        &self.0.outputs
    }

    fn profiles(&self) -> &[Profile] {
        &self.0.profiles
    }

    fn run_impl(&mut self, _: &[&Tensor], dims: &Dims) -> Result<Vec<Tensor>, EngineError> {
        let zeros = |spec: &TensorSpec| Tensor::zeros(spec.dtype, dims.shape(spec).expect("dimensions of the input"));
        self.0.outputs.iter().map(zeros).collect()
    }
}

/// A bundle with two heads.
fn heads(workshop: &Workshop) -> PathBuf {
    let export = workshop.export("export", &Recipe::of(&[Stage::HeadGaze, Stage::HeadRgb], Precision::Fp32));
    workshop.build(&export, "bundle", &options_for(&["8.6"]));
    workshop.path("bundle")
}

#[test]
fn engines_whose_bytes_are_others_are_refused() {
    let Some(workshop) = Workshop::open() else { return };
    let folder = heads(&workshop);
    let open = || Bundle::open(&folder, BackendOptions::default());
    let [gaze, rgb] = ["head_gaze", "head_rgb"].map(|stage| Built::of(&workshop.bundle("bundle"), stage, "default"));
    let [of_gaze, of_rgb] = [&gaze, &rgb].map(|built| fs::read(&built.engine).expect("an engine"));
    let name = gaze.entry.engine[0].as_str();

    for (what, bytes) in [("cut in half", &of_gaze[..of_gaze.len() / 2]), ("another stage's", &of_rgb), ("empty", &[])]
    {
        fs::write(&gaze.engine, bytes).expect("a file");
        let [line, mend] = refusal(open());
        let expected = format!("{name} has {} bytes, expected {}", bytes.len(), of_gaze.len());
        assert!(line.ends_with(&expected), "{what}: {line}");
        assert!(mend.contains("egom2p build EXPORTED --out BUNDLE"), "{what}: {mend}");
    }

    let mut one_flipped = of_gaze.clone();
    one_flipped[of_gaze.len() / 2] ^= 1;
    let mut of_another_stage = of_rgb.clone();
    of_another_stage.resize(of_gaze.len(), 0);
    for (what, bytes) in [("one bit", one_flipped), ("another stage's, of the same size", of_another_stage)] {
        fs::write(&gaze.engine, bytes).expect("a file");
        let bundle = open().unwrap_or_else(|error| panic!("{what}: {error}"));
        let session = bundle.session("head_gaze", "default", &SessionOptions::default());
        assert!(matches!(session, Err(BundleError::Digest { .. })), "{what}");
        let [line, mend] = refusal(session);
        assert!(
            line.contains(name) && line.contains(&format!("expected digest {}", gaze.record.engine.blake3)),
            "{line}"
        );
        assert!(mend.contains("egom2p build --verify EXPORTED --out BUNDLE"), "{mend}");
        assert!(matches!(bundle.verify_all(), Err(BundleError::Digest { .. })), "{what}");
    }
    fs::write(&gaze.engine, &of_gaze).expect("a file");

    let path = EngineRecord::path(&gaze.engine);
    let other = gaze.record.library.replace(|digit: char| digit.is_ascii_digit(), "0");
    let record = fs::read_to_string(&path).expect("a record").replace(&gaze.record.library, &other);
    fs::write(&path, record).expect("a file");
    let session = open().expect("sizes are as before").session("head_gaze", "default", &SessionOptions::default());
    assert!(refusal(session)[0].contains(".engine.json has changed"));
}

#[test]
fn without_a_driver_there_is_no_session() {
    let Some(workshop) = Workshop::open() else { return };
    if !workshop.backend().check().expect("it was opened").devices.is_empty() {
        eprintln!("skipped: this machine has a driver and a device");
        return;
    }
    heads(&workshop);
    let [line, mend] = refusal(workshop.bundle("bundle").session("head_gaze", "default", &SessionOptions::default()));
    assert_eq!(
        line,
        "the engine was built for compute capability 8.6, this machine has no NVIDIA driver and no device"
    );
    assert_eq!(mend, "install NVIDIA's driver, or build for the processor with --backend onnxruntime");
}

#[test]
fn an_engine_of_another_library_is_refused_with_the_command_that_builds_it() {
    let Some(workshop) = Workshop::open() else { return };
    let manifest = heads(&workshop).join(BUNDLE_MANIFEST_FILE);
    let found = workshop.backend().check().expect("it was opened").version;
    let text = fs::read_to_string(&manifest).expect("a manifest");
    let other = text.replace(&format!("\"tensorrt-rtx\": \"{found}\""), "\"tensorrt-rtx\": \"1.6.0.1\"");
    assert_ne!(other, text);
    fs::write(&manifest, other).expect("a file");
    let [line, mend] = refusal(workshop.bundle("bundle").session("head_gaze", "default", &SessionOptions::default()));
    assert_eq!(line, format!("stage head_gaze was built with tensorrt-rtx 1.6.0.1, this machine has {found}"));
    assert!(
        mend.contains("egom2p build EXPORTED --out BUNDLE --backend tensorrt-rtx --compute-capability 8.6"),
        "{mend}"
    );
}

#[test]
fn a_call_outside_of_every_profile_is_refused() {
    let Some(workshop) = Workshop::open() else { return };
    let profile = |batch: [usize; 3], queries: [usize; 3]| Profile {
        dims: [("batch", batch), ("queries", queries)]
            .map(|(dim, [min, opt, max])| (dim.to_owned(), DimRange { min, opt, max }))
            .into(),
    };
    let profiles = vec![profile([1, 1, 1], [1, 4, 8]), profile([2, 2, 4], [1, 2, 4])];
    let export = workshop.export("export", &Recipe::of(&[Stage::HeadGaze], Precision::Fp32));
    let overrides = ProfileOverrides { profiles: profiles.clone(), ..ProfileOverrides::default() };
    workshop.build(&export, "bundle", &BuildOptions { profiles: overrides, ..options_for(&["8.6"]) });
    let record = Built::of(&workshop.bundle("bundle"), "head_gaze", "default").record;
    assert_eq!(record.profiles, profiles);

    let width = record.inputs[0].shape[2].to_string().parse().expect("a fixed width");
    let mut session = Zeros(record);
    let mut call = |batch, queries| {
        let hidden = Tensor::zeros(DType::F32, [batch, queries, width]).expect("a small tensor");
        session.run(&[("hidden", &hidden)])
    };
    for (batch, queries) in [(1, 1), (1, 8), (2, 4), (4, 1)] {
        let outputs = call(batch, queries).unwrap_or_else(|error| panic!("{batch}, {queries}: {error}"));
        assert_eq!(outputs[0].1.shape()[..2], [batch, queries]);
    }
    for (batch, queries, expected) in [
        (1, 9, "dimension queries is 9: this engine was built for 1 to 8"),
        (1, 0, "dimension queries is 0: this engine was built for 1 to 8"),
        (4, 5, "dimension queries is 5: this engine was built for 1 to 4"),
        (5, 2, "dimension batch is 5: this engine was built for 2 to 4"),
    ] {
        let [line, mend] = refusal(call(batch, queries).map_err(Into::into));
        assert!(line.starts_with(expected), "{line}");
        assert!(mend.contains("egom2p build --profile FILE"), "{mend}");
    }
}
