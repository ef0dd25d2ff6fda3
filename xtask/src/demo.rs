//! The main job end to end: trained weights, ONNX, engines, a clip, predictions, and a picture of them beside the truth.

mod array;
mod clip;
mod picture;
mod predictions;
mod sample;
mod scores;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use self::{predictions::Predictions, sample::Sample, scores::Scores};
use crate::{
    build_engines,
    console::{failure, print},
    process,
    program::Programs,
    setup,
    steps::Steps,
    workspace::Workspace,
};

/// The weights that ship, and beside them the clip.
const WEIGHTS: &str = "weights/egom2p-tiny";
const SAMPLE: &str = "weights/egom2p-tiny/sample/clip.npz";

/// Run the main job end to end on a clip whose truth is known and draw the result.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Other weights than those that ship [default: weights/egom2p-tiny, or random ones where it holds none]
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
    /// Where engines, predictions and the picture go [default: cache/demo]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Does everything and says how long each step took, and how good the predictions are.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let shipped = workspace.root().join(WEIGHTS);
    let are_random = arguments.weights.is_none() && !shipped.join("config.json").is_file();
    if let Some(weights) = arguments.weights.as_ref().filter(|weights| !weights.join("config.json").is_file()) {
        return Err(failure(
            format_args!("{} holds no weights", weights.display()),
            "name a weights folder with --weights; \"egom2p weights reproducible\" makes one with random values",
        ));
    }
    let folder = arguments.out.clone().unwrap_or_else(|| workspace.cache().join("demo"));
    fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made\ncheck its permissions", folder.display()))?;
    let [bundle, video, predicted, picture] =
        ["bundle", "sample.mkv", "predictions", "demo.png"].map(|name| folder.join(name));
    let random = folder.join("egom2p-tiny");
    let weights = if are_random { random } else { arguments.weights.clone().unwrap_or(shipped) };

    let mut steps = Steps::default();
    steps.run("setup", || setup::plain(workspace))?;
    let programs = steps.run("build the programs", || Programs::build(workspace))?;
    steps.run("write the sample clip", || write_sample(workspace, &programs, &video))?;
    if are_random {
        steps.run("make random weights", || {
            let mut command = programs.egom2p();
            command.args(["weights", "reproducible", "--preset", "egom2p-tiny", "--out"]).arg(&weights);
            process::run(&mut command)
        })?;
    }
    steps.run("export and build engines", || {
        build_engines::chain(&programs, &build_engines::Arguments::plain(&weights, &bundle))
    })?;
    steps.run("predict", || {
        let mut command = programs.egom2p();
        command
            .arg("run")
            .arg(&bundle)
            .arg("--input")
            .arg(&video)
            .args(["--to", "depth,camera,gaze", "--out"])
            .arg(&predicted);
        process::run(&mut command)
    })?;
    let scores = steps.run("compare and draw", || {
        let sample = Sample::read(&workspace.root().join(SAMPLE))?;
        let predictions = Predictions::read(&predicted)?;
        let scores = Scores::of(&predictions, &sample)?;
        let name = weights.file_name().unwrap_or_default().to_string_lossy();
        let name = if are_random { format!("{name} with random weights") } else { name.into_owned() };
        picture::draw(&name, &sample, &predictions, &scores, &picture)?;
        Ok(scores)
    })?;
    steps.finish()?;
    print_scores(&scores);
    if are_random {
        print("the weights are random: the predictions show that everything runs, not what a model knows");
    }
    print(format_args!("predictions: {}\npicture:     {}", predicted.display(), picture.display()));
    Ok(())
}

/// Writes the sample clip as a video without loss, which `.mkv` holds: two seconds of a person in a room.
pub(crate) fn write_sample(workspace: &Workspace, programs: &Programs, path: &Path) -> Result<()> {
    clip::write(&Sample::read(&workspace.root().join(SAMPLE))?, programs.video(), path)
}

fn print_scores(scores: &Scores) {
    print(format_args!("\n{:<28} {:>9} {:>9}", "errors on this one clip", "predicted", "naive"));
    for (name, score, naive) in [
        ("camera: ATE in metres", scores.camera, "the camera stays where it is"),
        ("depth: AbsRel", scores.depth, "the mean depth of the training clips"),
        ("gaze: MSE", scores.gaze, "the mean gaze of the training clips"),
    ] {
        print(format_args!("{name:<28} {:>9.4} {:>9.4}  {naive}", score.model, score.naive));
    }
    print("");
}
