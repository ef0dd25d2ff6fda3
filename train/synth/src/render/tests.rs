use crate::clip::Take;
use crate::lamp::Lamp;
use crate::render::{Painter, render};
use crate::settings::{Settings, Split};
use crate::shade::Shades;
use crate::timeline::{secs, tick_of_frame};
use crate::vector::Vector;

fn take(index: usize) -> Take {
    let mut settings = Settings::for_model(&egom2p_model::Preset::Tiny.config(), 3, 100);
    // Not a multiple of the tiles.
    (settings.height, settings.width) = (77, 101);
    Take::new(&settings, 2, Split::Training, index).expect("a dataset")
}

#[test]
fn depth_is_that_of_every_body() {
    for index in 0..6 {
        let take = take(index);
        let tick = tick_of_frame(2 * index);
        let (scene, pose) = (take.scene.at(secs(tick)), take.poses[tick]);
        let picture = render(&scene, &Shades::new(&take.scene), &take.camera, &pose, 1);
        for (at, depth) in picture.depth.iter().enumerate() {
            let ray = take.camera.ray((at % 101) as f64 + 0.5, (at / 101) as f64 + 0.5);
            let hit = scene.hit(pose.position, pose.world_direction(ray));
            assert_eq!(depth.to_bits(), (hit.distance as f32).to_bits(), "pixel {at} of clip {index}");
        }
    }
}

#[test]
fn shade_is_that_of_every_body() {
    let (mut n_lit, mut n_shaded) = (0, 0);
    for index in 0..6 {
        let take = take(index);
        let scene = take.scene.at(1.0);
        let shades = Shades::new(&take.scene);
        let seen: Vec<usize> = (0..scene.solids.len()).collect();
        let painter = Painter { scene: &scene, shades: &shades, camera: &take.camera, pose: &take.poses[120] };
        for at in (0..77_usize * 101).step_by(7) {
            let (hit, direction) = painter.cast((at % 101) as f64, (at / 101) as f64, &seen);
            // A little in front of the surface, which is lit where its own body does not hide the lamp.
            let point = painter.pose.position + direction * (hit.distance * 0.999);
            let Lamp::Room(lamp) = scene.lamp else { panic!("a lamp in the room") };
            let to_lamp: Vector = lamp - point;
            let hides = |solid: &crate::solid::Solid| {
                !solid.surface.glows && solid.distance(point, to_lamp).is_some_and(|distance| distance < 1.0)
            };
            let expected = scene.solids.iter().any(hides);
            assert_eq!(shades.is_shaded(&scene, lamp, point), expected, "pixel {at} of clip {index}");
            n_shaded += usize::from(expected);
            n_lit += usize::from(!expected);
        }
    }
    assert!(n_lit > 1000 && n_shaded > 300, "{n_lit} lit, {n_shaded} shaded");
}
