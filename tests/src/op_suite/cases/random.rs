use egom2p_graph::{AttentionMask, Padding};

use super::super::{Case, Generator, Tolerance};
use super::attention::{Filling, Sizes, attend};
use super::convolution::{conv, video};

/// A case whose operation, sizes and values follow from `seed`.
pub fn random(seed: u64) -> Case {
    let mut generator = Generator::new(seed);
    let mut size = |from: usize, to: usize| from + generator.index(to - from + 1);
    let name = format!("random/{seed}");
    match size(0, 6) {
        0 => {
            let sizes = Sizes {
                batch: size(1, 3),
                queries: size(0, 9),
                keys: size(0, 9),
                heads: size(1, 4),
                d: size(1, 6),
                e: size(1, 6),
            };
            let kind = [AttentionMask::None, AttentionMask::Keys, AttentionMask::Pairs][size(0, 2)];
            Case::new(&name, Tolerance::SUM, |g, feed| attend(g, feed, sizes, Some((kind, Filling::Coins))))
        }
        1 => {
            let kernel = [2 * size(0, 1) + 1, 2 * size(0, 1) + 1, 2 * size(0, 1) + 1];
            let (stride, padding) = (size(1, 2), Padding { before: size(0, 1), after: size(0, 1) });
            let sizes = [size(1, 2), size(1, 4), size(1, 4), size(3, 7), size(3, 7)];
            let out = size(1, 5);
            Case::new(&name, Tolerance::SUM, |g, feed| conv(g, video(g, feed, sizes), out, kernel, stride, padding))
        }
        2 => {
            let (batch, tokens, from, to, bias) = (size(0, 3), size(0, 7), size(1, 40), size(1, 40), size(0, 1) == 1);
            Case::new(&name, Tolerance::SUM, |g, feed| {
                let x = feed.floats(g, "x", [("batch", batch).into(), ("tokens", tokens).into(), from.into()]);
                x.linear("fc", to, bias)
            })
        }
        3 => {
            let (batch, tokens, features, bias) = (size(0, 3), size(0, 7), size(4, 40), size(0, 1) == 1);
            Case::new(&name, Tolerance::SUM, |g, feed| {
                let x = feed.floats(g, "x", [("batch", batch).into(), ("tokens", tokens).into(), features.into()]);
                x.layer_norm("norm", 1e-6, bias)
            })
        }
        4 => {
            let patch = [1, 2, 4][size(0, 2)];
            let sizes = [size(1, 2), size(1, 3), size(0, 2) * patch + 1, size(1, 3) * patch, size(1, 3) * patch];
            Case::new(&name, Tolerance::SUM, |g, feed| video(g, feed, sizes).haar_patch(patch))
        }
        5 => {
            let patch = [1, 2, 4][size(0, 2)];
            let sizes = [size(1, 2), size(1, 3) * patch * patch * patch, size(1, 3), size(1, 3), size(1, 3)];
            Case::new(&name, Tolerance::SUM, |g, feed| video(g, feed, sizes).haar_unpatch(patch))
        }
        _ => {
            // Any of the axes may be one of the two that broadcast.
            let sizes = [size(1, 4), size(1, 4), size(1, 4)];
            let ones: Vec<bool> = (0..6).map(|_| size(0, 2) == 0).collect();
            Case::new(&name, Tolerance::ROUNDED, |g, feed| {
                let axis = |axis: usize, tensor: usize| if ones[3 * tensor + axis] { 1 } else { sizes[axis] };
                let axes = |tensor: usize| [0, 1, 2].map(|place| axis(place, tensor).into());
                let (a, b) = (feed.floats(g, "a", axes(0)), feed.floats(g, "b", axes(1)));
                a * b - a
            })
        }
    }
}
