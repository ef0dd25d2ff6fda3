//! A picture that is drawn on.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::Path,
};

use crate::{PlotError, font};

/// Red, green, blue.
pub type Colour = [u8; 3];

/// RGB bytes `[height, width, 3]` with drawing operations, lengths in pixels; whatever lies outside is cut off.
#[derive(Clone, Debug)]
pub struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    /// A canvas of one colour.
    pub fn new(width: usize, height: usize, colour: Colour) -> Self {
        Self { width, height, rgb: colour.repeat(width * height) }
    }

    /// A rectangle, filled.
    pub fn fill(&mut self, (left, top): (f32, f32), (width, height): (f32, f32), colour: Colour) {
        let right = (left + width).round().clamp(0.0, self.width as f32) as usize;
        let bottom = (top + height).round().clamp(0.0, self.height as f32) as usize;
        for y in top.round().max(0.0) as usize..bottom {
            for x in left.round().max(0.0) as usize..right {
                self.set(x, y, colour);
            }
        }
    }

    /// RGB bytes `[height, width, 3]`, scaled bilinearly into a square of `side` pixels; nothing where the bytes are too
    /// few for the size.
    pub fn square(&mut self, (left, top): (usize, usize), side: usize, rgb: &[u8], (width, height): (usize, usize)) {
        if width == 0 || height == 0 || rgb.len() / 3 / width < height {
            return;
        }
        for y in 0..side {
            for x in 0..side {
                let sample = |channel: usize| {
                    let value = |column: usize, row: usize| f32::from(rgb[(row * width + column) * 3 + channel]);
                    let (x0, x1, x_share) = neighbours(x, side, width);
                    let (y0, y1, y_share) = neighbours(y, side, height);
                    let upper = value(x0, y0) * (1.0 - x_share) + value(x1, y0) * x_share;
                    let lower = value(x0, y1) * (1.0 - x_share) + value(x1, y1) * x_share;
                    (upper * (1.0 - y_share) + lower * y_share).round() as u8
                };
                self.set(left + x, top + y, [sample(0), sample(1), sample(2)]);
            }
        }
    }

    /// A line with smooth edges.
    pub fn line(&mut self, from: (f32, f32), to: (f32, f32), thickness: f32, colour: Colour) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length_squared = (dx * dx + dy * dy).max(1e-6);
        self.shade(from, to, thickness / 2.0 + 1.0, colour, |x, y| {
            let share = (((x - from.0) * dx + (y - from.1) * dy) / length_squared).clamp(0.0, 1.0);
            thickness / 2.0 - (x - from.0 - share * dx).hypot(y - from.1 - share * dy)
        });
    }

    /// A disc with a smooth edge.
    pub fn disc(&mut self, center: (f32, f32), radius: f32, colour: Colour) {
        self.line(center, center, 2.0 * radius, colour);
    }

    /// A ring with smooth edges.
    pub fn ring(&mut self, center: (f32, f32), radius: f32, thickness: f32, colour: Colour) {
        self.shade(center, center, radius + thickness, colour, |x, y| {
            thickness / 2.0 - ((x - center.0).hypot(y - center.1) - radius).abs()
        });
    }

    /// Text with its upper left corner at a place; `scale` pixels per dot of the font. Returns where it ends.
    pub fn text(&mut self, (left, top): (usize, usize), scale: usize, colour: Colour, text: &str) -> usize {
        let mut x = left;
        for letter in text.chars() {
            for (row, dots) in font::glyph(letter).iter().enumerate() {
                for column in (0..font::WIDTH).filter(|column| dots >> (font::WIDTH - 1 - column) & 1 == 1) {
                    let place = ((x + column * scale) as f32, (top + row * scale) as f32);
                    self.fill(place, (scale as f32, scale as f32), colour);
                }
            }
            x += (font::WIDTH + 1) * scale;
        }
        x
    }

    /// Writes the canvas as PNG, beside its place first.
    pub fn write_png(&self, path: &Path) -> Result<(), PlotError> {
        let partial = path.with_extension("partial");
        let written = self.encode(&partial).and_then(|()| fs::rename(&partial, path));
        written.map_err(|source| {
            // The first error is the one to tell.
            let _ = fs::remove_file(&partial);
            PlotError { path: path.to_owned(), source }
        })
    }

    fn encode(&self, path: &Path) -> io::Result<()> {
        let file = BufWriter::new(File::create(path)?);
        let mut encoder = png::Encoder::new(file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgb)?;
        Ok(writer.finish()?)
    }

    /// Blends a colour over the pixels around two points, by how deep inside a shape they are (in pixels).
    fn shade(
        &mut self,
        one: (f32, f32),
        other: (f32, f32),
        margin: f32,
        colour: Colour,
        depth: impl Fn(f32, f32) -> f32,
    ) {
        let range = |one: f32, other: f32, limit: usize| {
            let first = (one.min(other) - margin).floor().clamp(0.0, limit as f32) as usize;
            let last = (one.max(other) + margin).ceil().clamp(0.0, limit as f32) as usize;
            first..last
        };
        for y in range(one.1, other.1, self.height) {
            for x in range(one.0, other.0, self.width) {
                let share = (depth(x as f32 + 0.5, y as f32 + 0.5) + 0.5).clamp(0.0, 1.0);
                let place = (y * self.width + x) * 3;
                for (below, above) in self.rgb[place..place + 3].iter_mut().zip(colour) {
                    *below = (f32::from(*below) * (1.0 - share) + f32::from(above) * share).round() as u8;
                }
            }
        }
    }

    /// How many pixels have a colour.
    #[cfg(test)]
    pub(crate) fn count(&self, colour: Colour) -> usize {
        self.rgb.as_chunks::<3>().0.iter().filter(|pixel| **pixel == colour).count()
    }

    fn set(&mut self, x: usize, y: usize, colour: Colour) {
        if x < self.width && y < self.height {
            let place = (y * self.width + x) * 3;
            self.rgb[place..place + 3].copy_from_slice(&colour);
        }
    }
}

/// The two source pixels around a target pixel, and the share of the second.
fn neighbours(index: usize, n_out: usize, n_in: usize) -> (usize, usize, f32) {
    let place = ((index as f32 + 0.5) * n_in as f32 / n_out as f32 - 0.5).clamp(0.0, (n_in - 1) as f32);
    let first = place.floor() as usize;
    (first, (first + 1).min(n_in - 1), place.fract())
}

#[cfg(test)]
mod tests {
    use super::Canvas;

    #[test]
    fn what_lies_outside_is_cut_off() {
        let mut canvas = Canvas::new(8, 8, [0; 3]);
        canvas.fill((-5.0, -5.0), (100.0, 7.0), [9; 3]);
        canvas.disc((-3.0, 50.0), 4.0, [200; 3]);
        canvas.text((6, 6), 3, [255; 3], "Mg");
        assert_eq!(canvas.rgb[..3], [9, 9, 9]);
        assert_eq!(canvas.rgb[2 * 8 * 3..2 * 8 * 3 + 3], [0, 0, 0]);
    }

    #[test]
    fn a_square_of_its_own_size_is_copied() {
        let pixels: Vec<u8> = (0..4 * 4 * 3).collect();
        let mut canvas = Canvas::new(4, 4, [0; 3]);
        canvas.square((0, 0), 4, &pixels, (4, 4));
        assert_eq!(canvas.rgb, pixels);
    }
}
