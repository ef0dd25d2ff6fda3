//! The main job end to end: weights, ONNX, engines, a clip of its own, predictions and a picture of them.

mod array;
mod clip;
mod picture;
mod predictions;
mod scene;
mod shape;
mod vector;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use self::predictions::Predictions;
use crate::{build_engines, console::print, process, program::Programs, setup, steps::Steps, workspace::Workspace};

/// Side of the frames that the picture shows.
const SHOWN_SIDE: u32 = 256;

/// Run the main job end to end on a clip of its own and draw the result.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The model's size; its weights are random.
    #[arg(long, default_value = "egom2p-tiny")]
    preset: String,
    /// Where weights, engines and predictions go [default: cache/demo]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Does everything and says how long each step took.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let folder = arguments.out.clone().unwrap_or_else(|| workspace.cache().join("demo"));
    fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made\ncheck its permissions", folder.display()))?;
    let [weights, bundle, sample, predicted, picture] =
        ["weights", "bundle", "sample.mp4", "predictions", "demo.png"].map(|name| folder.join(name));

    let mut steps = Steps::default();
    steps.run("setup", || setup::plain(workspace))?;
    let programs = steps.run("build the programs", || Programs::build(workspace))?;
    steps.run("render the sample clip", || render_sample(&programs, &sample))?;
    steps.run("make random weights", || {
        let mut command = programs.egom2p();
        command.args(["weights", "reproducible", "--preset", &arguments.preset, "--out"]).arg(&weights);
        process::run(&mut command)
    })?;
    steps.run("export and build engines", || {
        build_engines::chain(&programs, &build_engines::Arguments::plain(&weights, &bundle))
    })?;
    steps.run("predict", || {
        let mut command = programs.egom2p();
        command
            .arg("run")
            .arg(&bundle)
            .arg("--input")
            .arg(&sample)
            .args(["--to", "depth,camera,gaze", "--out"])
            .arg(&predicted);
        process::run(&mut command)
    })?;
    steps.run("draw", || {
        let frames = clip::read(programs.video(), &sample, SHOWN_SIDE)?;
        picture::draw(&arguments.preset, &frames, &Predictions::read(&predicted)?, &picture)
    })?;
    steps.finish()?;
    print(format_args!("the weights are random: the predictions show that everything runs, not what the model knows"));
    print(format_args!("predictions: {}\npicture:     {}", predicted.display(), picture.display()));
    Ok(())
}

/// Renders the sample clip: two seconds of a person at a table.
pub(crate) fn render_sample(programs: &Programs, path: &Path) -> Result<()> {
    clip::render(programs.video(), path)
}
