use crate::camera::Camera;
use crate::dark::darken;
use crate::error::{Result, SynthError};
use crate::furnish::furnish;
use crate::gaze::{look_around, measure};
use crate::head::head_motion;
use crate::pose::Pose;
use crate::random::Random;
use crate::render::render;
use crate::scene::Scene;
use crate::settings::{Rooms, Settings, Split};
use crate::shade::Shades;
use crate::timeline::{n_ticks, secs, tick_of_frame, tick_of_sample};

/// One clip with all modalities; which of them a dataset keeps is a matter of writing it.
///
/// Frame `k` is taken `k / 8` seconds after the clip's start, sample `k` after `k / 30`.
#[derive(Clone, PartialEq, Debug)]
pub struct Clip {
    /// The camera, the same in every clip of these sizes.
    pub camera: Camera,
    /// Colour video `[frames, height, width, 3]`, row-major.
    pub rgb: Vec<u8>,
    /// Depth `[frames, height, width]` in metres along the optical axis, exact at the middle of each pixel.
    pub depth: Vec<f32>,
    /// 4 x 4 camera-to-world matrices `[samples]`, row-major, metres. Camera axes are OpenCV's (x right, y down, z forward);
    /// the world is right-handed with z up.
    pub poses: Vec<[f64; 16]>,
    /// The same at the times of the frames `[frames]`.
    pub frame_poses: Vec<[f64; 16]>,
    /// Gaze `[samples]` in pixel coordinates (x right, y down, the first pixel's middle at 0.5), or NaN twice where the
    /// sample is invalid.
    pub gaze: Vec<[f64; 2]>,
}

/// What is cheap to know of a clip: its scene and motion, before any picture is rendered.
pub(crate) struct Take {
    pub(crate) camera: Camera,
    pub(crate) scene: Scene,
    /// At every step.
    pub(crate) poses: Vec<Pose>,
    /// Where the eyes look at every step.
    pub(crate) looks: Vec<crate::gaze::Look>,
    /// What remains of the clip's random numbers: for measuring gaze.
    random: Random,
}

impl Clip {
    /// Renders clip `index` of a split of the settings' dataset number `dataset`. Fails where there is no such dataset, and
    /// on settings that do not validate; an index beyond the settings' number of clips is fine.
    pub fn new(settings: &Settings, dataset: usize, split: Split, index: usize) -> Result<Self> {
        settings.validate()?;
        let mut take = Take::new(settings, dataset, split, index)?;
        let gaze_points = (0..settings.samples).map(|sample| take.looks[tick_of_sample(sample)].pixel);
        let gaze = measure(gaze_points, &take.camera, &settings.gaze, &mut take.random);
        let n_pixels = settings.frames * settings.height * settings.width;
        let mut clip = Self {
            camera: take.camera,
            rgb: Vec::with_capacity(3 * n_pixels),
            depth: Vec::with_capacity(n_pixels),
            poses: (0..settings.samples).map(|i| take.poses[tick_of_sample(i)].world_from_camera()).collect(),
            frame_poses: (0..settings.frames).map(|i| take.poses[tick_of_frame(i)].world_from_camera()).collect(),
            gaze,
        };
        let shades = Shades::new(&take.scene);
        for frame in 0..settings.frames {
            let tick = tick_of_frame(frame);
            let picture = render(&take.scene.at(secs(tick)), &shades, &take.camera, &take.poses[tick], settings.rays);
            clip.rgb.extend_from_slice(&picture.rgb);
            clip.depth.extend_from_slice(&picture.depth);
        }
        Ok(clip)
    }
}

impl Take {
    pub(crate) fn new(settings: &Settings, dataset: usize, split: Split, index: usize) -> Result<Self> {
        let count = settings.datasets.len();
        let missing = SynthError::Index { what: "dataset", index: dataset, count };
        let dataset = settings.datasets.get(dataset).ok_or(missing)?;
        let mut random = Random::new(&dataset.name, &[settings.seed, split as u64, index as u64]);
        // One branch each, so that a change to one part leaves the others as they were.
        let (mut rooms, mut heads, mut eyes) = (random.branch(), random.branch(), random.branch());
        let swings = rooms.chance(dataset.swings);
        let scene = match settings.rooms {
            Rooms::Furnished => furnish(&mut rooms, swings),
            Rooms::Dark => darken(&mut rooms, swings),
        };
        let camera = Camera::new(settings.width, settings.height);
        let poses = head_motion(&scene, n_ticks(settings.frames, settings.samples), dataset.walks, &mut heads);
        let looks = look_around(&scene, &camera, &poses, &mut eyes);
        Ok(Self { camera, scene, poses, looks, random })
    }
}
