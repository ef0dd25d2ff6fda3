//! A picture of some clips, and how long they took.
//!
//! `cargo run --release -p egom2p-synth --example sheet -- PICTURE.png [SEED [dark]]`: for each clip of each dataset a row of four
//! frames, their depth videos beside them, and the gaze as a white cross.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::{env, error::Error, fs::File, io::BufWriter, time::Instant};

use egom2p_model::Preset;
use egom2p_synth::{Clip, DepthVideo, Rooms, Settings, Split};

const CLIPS_PER_DATASET: usize = 3;
const SHOWN: [usize; 4] = [0, 5, 10, 15];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let path = arguments.next().ok_or("name the picture to write")?;
    let seed = arguments.next().map_or(Ok(0), |seed| seed.parse())?;
    let rooms = if arguments.next().as_deref() == Some("dark") { Rooms::Dark } else { Rooms::Furnished };
    let settings = Settings { rooms, ..Settings::for_model(&Preset::Tiny.config(), seed, 100) };
    let (width, height) = (settings.width, settings.height);
    let (sheet_width, n_rows) = (2 * SHOWN.len() * width, settings.datasets.len() * CLIPS_PER_DATASET);
    let mut sheet = vec![0; sheet_width * n_rows * height * 3];
    let started = Instant::now();
    for row in 0..n_rows {
        let clip = Clip::new(&settings, row / CLIPS_PER_DATASET, Split::Training, row % CLIPS_PER_DATASET)?;
        let depth = DepthVideo::new(&clip);
        for (column, frame) in SHOWN.into_iter().enumerate() {
            let gaze = clip.gaze[(frame * 30 / 8).min(clip.gaze.len() - 1)];
            for y in 0..height {
                for x in 0..width {
                    let from = (frame * height + y) * width + x;
                    let colour = &clip.rgb[3 * from..3 * from + 3];
                    let (dx, dy) = ((x as f64 + 0.5 - gaze[0]).abs(), (y as f64 + 0.5 - gaze[1]).abs());
                    let is_cross = dx.min(dy) < 0.6 && dx.max(dy) < 5.0 && dx.max(dy) > 2.0;
                    let to = (row * height + y) * sheet_width + 2 * column * width + x;
                    sheet[3 * to..3 * to + 3].copy_from_slice(if is_cross { &[255; 3] } else { colour });
                    let beside = to + width;
                    sheet[3 * beside..3 * beside + 3].fill(depth.values[from]);
                }
            }
        }
    }
    let secs = started.elapsed().as_secs_f64();
    println!("{n_rows} clips in {secs:.2} s: {:.1} clips per second on one thread", n_rows as f64 / secs);
    let mut encoder =
        png::Encoder::new(BufWriter::new(File::create(&path)?), sheet_width as u32, (n_rows * height) as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&sheet)?;
    Ok(())
}
