use crate::random::lattice;
use crate::vector::Vector;

/// How a surface looks, over its own two coordinates in metres.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Surface {
    pub(crate) pattern: Pattern,
    pub(crate) first: Vector,
    pub(crate) second: Vector,
    /// Metres that a repetition takes.
    pub(crate) size: f64,
    /// Tells two surfaces of one pattern apart.
    pub(crate) seed: u32,
    /// Whether it shines by itself: a window or a lamp, which no light darkens.
    pub(crate) glows: bool,
}

/// What the two colours of a surface are arranged to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pattern {
    /// Squares by turns.
    Checker,
    /// Bands along the first coordinate by turns.
    Stripes,
    /// Boards of the first colour, each a little different, with grain, and joints of the second.
    Planks,
    /// Square tiles of the first colour, each a little different, with joints of the second.
    Tiles,
    /// Smooth noise between both.
    Noise,
    /// Dots of the second colour.
    Dots,
    /// The first above, the second below: what is seen through a window, with a cross of frames.
    Window,
}

impl Surface {
    /// Its colour without light, red, green and blue from 0 to 1.
    pub(crate) fn colour(&self, u: f64, v: f64) -> Vector {
        let (s, t) = (u / self.size, v / self.size);
        let (column, row) = (floor(s), floor(t));
        let (across, along) = (s - column as f64, t - row as f64);
        match self.pattern {
            Pattern::Checker => {
                let base = if (column + row) & 1 == 0 { self.first } else { self.second };
                base * (0.94 + 0.12 * lattice(column, row, self.seed))
            }
            Pattern::Stripes => {
                if column & 1 == 0 {
                    self.first
                } else {
                    self.second
                }
            }
            Pattern::Planks => self.plank(across, t, column),
            Pattern::Tiles => {
                if across < 0.05 || along < 0.05 {
                    self.second
                } else {
                    let shade = 0.86 + 0.28 * lattice(column, row, self.seed);
                    self.first * (shade * (0.95 + 0.1 * noise(s * 3.0, t * 3.0, self.seed)))
                }
            }
            Pattern::Noise => {
                let share = 0.65 * noise(s, t, self.seed) + 0.35 * noise(2.7 * s, 2.7 * t, self.seed ^ 0x55);
                self.first.mixed(self.second, share)
            }
            Pattern::Dots => {
                let (x, y) = (across - 0.5, along - 0.5);
                if x * x + y * y < 0.075 { self.second } else { self.first }
            }
            Pattern::Window => self.view(s, t),
        }
    }

    /// A board has five times the length of its width; neighbours are shifted against each other.
    fn plank(&self, across: f64, along: f64, column: i64) -> Vector {
        let shifted = along / 5.0 + lattice(column, 0, self.seed);
        let board = floor(shifted);
        if across < 0.04 || shifted - (board as f64) < 0.008 {
            return self.second;
        }
        let shade = 0.8 + 0.35 * lattice(column, board, self.seed);
        let grain = noise(column as f64 * 7.0 + across * 5.0, along * 0.8, self.seed);
        self.first * (shade * (0.9 + 0.2 * grain))
    }

    /// `size` is the window's half width here, and the coordinates are counted from its middle.
    fn view(&self, s: f64, t: f64) -> Vector {
        if s.abs() > 0.9 || t.abs() > 0.9 || s.abs() < 0.05 || t.abs() < 0.05 {
            return Vector::new(0.92, 0.92, 0.9);
        }
        let skyline = -0.15 + 0.4 * (noise(s * 3.0, 0.0, self.seed) - 0.5);
        if t > skyline { self.first.mixed(Vector::new(1.0, 1.0, 1.0), 0.5 - 0.4 * t) } else { self.second }
    }
}

/// Smooth noise from 0 to 1, whose grains have size 1.
fn noise(s: f64, t: f64, seed: u32) -> f64 {
    let (i, j) = (floor(s), floor(t));
    let ease = |x: f64| x * x * (3.0 - 2.0 * x);
    let (a, b) = (ease(s - i as f64), ease(t - j as f64));
    let upper = lattice(i, j, seed) * (1.0 - a) + lattice(i + 1, j, seed) * a;
    let lower = lattice(i, j + 1, seed) * (1.0 - a) + lattice(i + 1, j + 1, seed) * a;
    upper * (1.0 - b) + lower * b
}

/// The next integer below; without SSE 4.1, `f64::floor` is a call.
fn floor(value: f64) -> i64 {
    let truncated = value as i64;
    truncated - i64::from(value < truncated as f64)
}
