//! From decoded pictures to the frames that were asked for.

use crate::{
    arguments::{Crop, FrameSize},
    lanczos::Lanczos,
    source::Picture,
};

/// Crops, scales and reorders the pictures of one size.
pub(crate) struct View {
    source: (usize, usize),
    left: usize,
    top: usize,
    cropped: (usize, usize),
    target: FrameSize,
    lanczos: Option<Lanczos>,
}

impl View {
    /// The view of pictures of `(width, height)` pixels.
    pub(crate) fn new(source: (usize, usize), crop: Crop, size: Option<FrameSize>) -> Self {
        let cropped = match crop {
            Crop::None => source,
            Crop::Center => {
                largest_part(source, size.map_or((1, 1), |size| (size.width as usize, size.height as usize)))
            }
        };
        let target = size.unwrap_or(FrameSize { width: cropped.0 as u32, height: cropped.1 as u32 });
        let wanted = (target.width as usize, target.height as usize);
        Self {
            source,
            left: (source.0 - cropped.0) / 2,
            top: (source.1 - cropped.1) / 2,
            cropped,
            target,
            lanczos: (cropped != wanted).then(|| Lanczos::new(cropped, wanted)),
        }
    }

    /// Size of the pictures that this view was made for.
    pub(crate) fn source(&self) -> (usize, usize) {
        self.source
    }

    /// Size of the frames that this view gives.
    pub(crate) fn target(&self) -> FrameSize {
        self.target
    }

    /// The frame as RGB bytes `[height, width, 3]`.
    pub(crate) fn apply(&self, picture: &Picture) -> Vec<u8> {
        let rows = picture.bgr.chunks_exact(picture.width * 3).skip(self.top).take(self.cropped.1);
        let mut rgb = Vec::with_capacity(self.cropped.0 * self.cropped.1 * 3);
        for row in rows {
            let pixels = row[self.left * 3..(self.left + self.cropped.0) * 3].chunks_exact(3);
            rgb.extend(pixels.flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]));
        }
        match &self.lanczos {
            Some(lanczos) => lanczos.scale(&rgb),
            None => rgb,
        }
    }
}

/// Size of the largest part of a picture that has the shape of the target.
fn largest_part((width, height): (usize, usize), (target_width, target_height): (usize, usize)) -> (usize, usize) {
    if width * target_height > height * target_width {
        ((height * target_width / target_height).max(1), height)
    } else {
        (width, (width * target_height / target_width).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::{View, largest_part};
    use crate::{
        arguments::{Crop, FrameSize},
        source::Picture,
    };

    /// A picture whose blue is the column, green the row and red 9.
    fn picture(width: usize, height: usize) -> Picture {
        let bgr = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 9])).collect();
        Picture { width, height, bgr }
    }

    #[test]
    fn a_picture_of_the_right_size_is_only_reordered() {
        let view = View::new((4, 4), Crop::Center, Some(FrameSize { width: 4, height: 4 }));
        let rgb = view.apply(&picture(4, 4));
        assert_eq!(rgb[..6], [9, 0, 0, 9, 0, 1]);
        assert_eq!(rgb.len(), 4 * 4 * 3);
    }

    #[test]
    fn the_centre_square_of_an_odd_size() {
        let view = View::new((7, 3), Crop::Center, None);
        assert_eq!(view.target(), FrameSize { width: 3, height: 3 });
        let rgb = view.apply(&picture(7, 3));
        assert_eq!(rgb[..3], [9, 0, 2]);
        assert_eq!(rgb[rgb.len() - 3..], [9, 2, 4]);
    }

    #[test]
    fn parts_have_the_shape_of_the_target() {
        assert_eq!(largest_part((896, 504), (256, 256)), (504, 504));
        assert_eq!(largest_part((504, 896), (1, 1)), (504, 504));
        assert_eq!(largest_part((640, 480), (320, 160)), (640, 320));
        assert_eq!(largest_part((1, 8192), (8192, 1)), (1, 1));
    }
}
