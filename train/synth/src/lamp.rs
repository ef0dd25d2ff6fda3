use crate::vector::Vector;

/// Where the light of a scene comes from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Lamp {
    /// A lamp in the room, here: bodies stand in its light, and there is light from everywhere besides.
    Room(Vector),
    /// A lamp on the head, where the camera is, so that no shadow is seen.
    Head,
}
