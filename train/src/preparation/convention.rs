use super::PreparationError;
use egom2p_motion::{GazeGeometry, MotionError, Pose};
use serde::{Deserialize, Serialize};

/// How far the products of rows of a rotation may be from those of the identity.
const CONVENTION_TOLERANCE: f64 = 1e-9;
/// The same of recorded poses: wide enough for any float type and for trackers that drift, and no place-holder passes it.
const POSE_TOLERANCE: f64 = 1e-2;

/// How a dataset keeps what the motion tokenizers learn from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetConvention {
    /// The name, as in paths of shards.
    pub name: String,
    /// Its camera trajectories; `null` where it has none.
    #[serde(deserialize_with = "Option::deserialize")]
    pub camera: Option<CameraConvention>,
    /// Its gaze; `null` where it has none.
    #[serde(deserialize_with = "Option::deserialize")]
    pub gaze: Option<GazeGeometry>,
}

/// How a dataset keeps camera trajectories.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraConvention {
    /// What turns OpenCV's camera axes (x right, y down, z forward) into the dataset's, row-major: stored poses are
    /// multiplied with it from the right.
    pub camera_from_opencv: [[f64; 3]; 3],
    /// Whether clips that follow each other are parts of one trajectory, so that windows may begin in one and end in the
    /// next.
    pub clips_are_consecutive: bool,
}

impl CameraConvention {
    /// Poses in OpenCV's camera axes.
    pub const fn opencv(clips_are_consecutive: bool) -> Self {
        Self { camera_from_opencv: Pose::IDENTITY.rotation, clips_are_consecutive }
    }

    /// World-from-camera matrices `[frames, 4, 4]` of the dataset as poses in OpenCV's axes. Fails where one is no pose.
    pub(super) fn poses(&self, matrices: &[[f64; 16]]) -> Result<Vec<Pose>, MotionError> {
        let turn = Pose { rotation: self.camera_from_opencv, translation: [0.0; 3] };
        let poses = Pose::from_matrices(matrices.as_flattened())?;
        if let Some(frame) = poses.iter().position(|pose| !is_rotation(&pose.rotation, POSE_TOLERANCE)) {
            return Err(MotionError::Degenerate { frame });
        }
        Ok(poses.iter().map(|world_from_camera| world_from_camera.compose(&turn)).collect())
    }
}

impl DatasetConvention {
    /// The eight datasets of the paper.
    pub fn published() -> Vec<Self> {
        let turned = |camera_from_opencv| CameraConvention { camera_from_opencv, clips_are_consecutive: false };
        let holoassist = turned([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]);
        let egoexo = [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
        let egoexo = CameraConvention { camera_from_opencv: egoexo, clips_are_consecutive: true };
        let egogen = turned([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]);
        let (separate, consecutive) = (CameraConvention::opencv(false), CameraConvention::opencv(true));
        let dataset = |name: &str, camera: &CameraConvention, gaze| Self {
            name: name.to_owned(),
            camera: Some(camera.clone()),
            gaze,
        };
        vec![
            dataset("holoassist", &holoassist, Some(GazeGeometry::HOLO_ASSIST)),
            dataset("egogen", &egogen, None),
            dataset("egoexo", &egoexo, Some(GazeGeometry::ARIA)),
            dataset("h2o", &separate, None),
            dataset("taco", &separate, None),
            dataset("arctic", &consecutive, None),
            dataset("hot3d_quest", &consecutive, None),
            dataset("hot3d_aria", &consecutive, Some(GazeGeometry::ARIA)),
        ]
    }

    /// Fails unless the camera's axes are a rotation and the gaze's resolutions are positive.
    pub fn validate(&self) -> Result<(), PreparationError> {
        let setting = |field: &str, value: String, expected: &'static str| {
            Err(PreparationError::Setting { field: format!("dataset {}: {field}", self.name), value, expected })
        };
        if let Some(CameraConvention { camera_from_opencv, .. }) = &self.camera
            && !is_rotation(camera_from_opencv, CONVENTION_TOLERANCE)
        {
            let value = format!("{camera_from_opencv:?}");
            return setting("camera.camera_from_opencv", value, "a rotation matrix, row-major");
        }
        if let Some(gaze) = &self.gaze
            && gaze.normalise(&[]).is_err()
        {
            return setting("gaze", format!("{gaze:?}"), "positive widths and heights");
        }
        Ok(())
    }
}

fn is_rotation(m: &[[f64; 3]; 3], tolerance: f64) -> bool {
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let [a, b, c] = *m;
    let cross = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    // The third row of a rotation is the cross product of the others; a mirror image has its opposite.
    let products = [(dot(a, a), 1.0), (dot(b, b), 1.0), (dot(c, c), 1.0), (dot(a, b), 0.0), (dot(cross, c), 1.0)];
    products.iter().all(|(actual, expected)| (actual - expected).abs() <= tolerance)
}

#[cfg(test)]
mod tests {
    use super::{CameraConvention, DatasetConvention, GazeGeometry};

    #[test]
    fn the_published_conventions_are_sound() {
        let datasets = DatasetConvention::published();
        assert_eq!(datasets.len(), 8);
        for dataset in &datasets {
            dataset.validate().unwrap_or_else(|error| panic!("{error}"));
        }
        let text = serde_json::to_string(&datasets).expect("numbers and names");
        assert_eq!(serde_json::from_str::<Vec<DatasetConvention>>(&text).expect("the same"), datasets);
    }

    #[test]
    fn what_is_no_rotation_is_refused() {
        let with = |camera_from_opencv| DatasetConvention {
            name: "mine".to_owned(),
            camera: Some(CameraConvention { camera_from_opencv, ..CameraConvention::opencv(false) }),
            gaze: None,
        };
        let mirrored = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]];
        let scaled = [[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.5]];
        let sheared = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.1, 0.0, 1.0]];
        for wrong in [mirrored, scaled, sheared, [[0.0; 3]; 3], [[f64::NAN; 3]; 3]] {
            let text = with(wrong).validate().expect_err("no rotation").to_string();
            assert!(text.starts_with("dataset mine: camera.camera_from_opencv is [["), "{text}");
            assert_eq!(text.lines().count(), 2);
        }
        let flat = GazeGeometry { crop: [0.0, 1.0], ..GazeGeometry::ARIA };
        let dataset = DatasetConvention { name: "mine".to_owned(), camera: None, gaze: Some(flat) };
        assert!(dataset.validate().is_err());
    }
}
