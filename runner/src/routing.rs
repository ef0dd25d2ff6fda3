//! Which engine of a stage serves a call: the one that leaves out the masks that say nothing.

use egom2p_engine_core::Tensor;
use egom2p_model::{Stage, Variant};

use crate::stages::StagesError;

/// An engine and the inputs that it takes.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Route<'a> {
    pub(crate) variant: Variant,
    pub(crate) inputs: Vec<(&'a str, &'a Tensor)>,
}

/// The engines that could serve a call by its contract inputs, the cheapest first.
pub(crate) fn routes<'a>(stage: Stage, inputs: &[(&'a str, &'a Tensor)]) -> Result<Vec<Route<'a>>, StagesError> {
    let without = |variant, dropped: &[&str]| Route {
        variant,
        inputs: inputs.iter().filter(|(name, _)| !dropped.contains(name)).copied().collect(),
    };
    let input = |name: &'static str| {
        let found = inputs.iter().find(|(other, _)| *other == name).map(|(_, tensor)| *tensor);
        found.ok_or(StagesError::Input { stage: stage.name(), input: name })
    };
    Ok(match stage {
        Stage::Encoder => {
            let mut routes = vec![without(Variant::Masked, &[])];
            if says_nothing(input("visible_mask")?) {
                routes.insert(0, without(Variant::Unmasked, &["visible_mask"]));
            }
            routes
        }
        Stage::Decoder => {
            let masks = ["visible_mask", "query_mask"];
            let mut routes = vec![without(Variant::Masked, &[])];
            let unmasked = says_nothing(input(masks[0])?) && says_nothing(input(masks[1])?);
            if unmasked && rows_are_constant(input("modality")?) {
                routes.insert(0, without(Variant::Unmasked, &masks));
                if input("context")?.shape().get(1) == Some(&0) {
                    routes.insert(0, without(Variant::Contextless, &["context", masks[0], masks[1]]));
                }
            }
            routes
        }
        Stage::VideoEncoder
        | Stage::VideoDecoder
        | Stage::CameraEncoder
        | Stage::CameraDecoder
        | Stage::GazeEncoder
        | Stage::GazeDecoder
        | Stage::HeadCamera
        | Stage::HeadDepth
        | Stage::HeadGaze
        | Stage::HeadRgb => vec![without(Variant::Default, &[])],
    })
}

/// Whether a mask permits everything.
fn says_nothing(mask: &Tensor) -> bool {
    mask.as_bool().is_some_and(|mask| mask.iter().all(|&permitted| permitted))
}

/// Whether every row `[rows, columns]` holds one value.
fn rows_are_constant(ids: &Tensor) -> bool {
    let [_, columns] = *ids.shape() else { return false };
    ids.as_i64().is_some_and(|ids| ids.chunks(columns.max(1)).all(|row| row.iter().all(|id| *id == row[0])))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Call {
        context: Tensor,
        visible: Tensor,
        query: Tensor,
        modality: Tensor,
    }

    impl Call {
        fn new(n_visible: usize, visible: &[bool], query: &[bool], modality: &[i64]) -> Self {
            Self {
                context: Tensor::f32([1, n_visible, 1], vec![0.0; n_visible]).expect("sizes agree"),
                visible: Tensor::bool([1, n_visible], visible.to_vec()).expect("sizes agree"),
                query: Tensor::bool([1, query.len()], query.to_vec()).expect("sizes agree"),
                modality: Tensor::i64([1, modality.len()], modality.to_vec()).expect("sizes agree"),
            }
        }

        fn variants(&self) -> Vec<Variant> {
            let inputs = [
                ("context", &self.context),
                ("visible_mask", &self.visible),
                ("query_mask", &self.query),
                ("modality", &self.modality),
                ("position", &self.modality),
            ];
            let routes = routes(Stage::Decoder, &inputs).expect("all inputs are there");
            routes.into_iter().map(|route| route.variant).collect()
        }
    }

    #[test]
    fn a_mask_that_says_something_is_never_ignored() {
        let masked = vec![Variant::Masked];
        assert_eq!(Call::new(2, &[true, false], &[true], &[0]).variants(), masked);
        assert_eq!(Call::new(2, &[true, true], &[true, false], &[0, 0]).variants(), masked);
        assert_eq!(Call::new(2, &[true, true], &[true, true], &[0, 1]).variants(), masked);
    }

    #[test]
    fn a_mask_that_says_nothing_is_never_paid_for() {
        let unmasked = Call::new(2, &[true, true], &[true, true], &[1, 1]).variants();
        assert_eq!(unmasked, [Variant::Unmasked, Variant::Masked]);
        let contextless = Call::new(0, &[], &[true], &[2]).variants();
        assert_eq!(contextless, [Variant::Contextless, Variant::Unmasked, Variant::Masked]);
    }

    #[test]
    fn a_missing_mask_is_an_error() {
        assert!(matches!(routes(Stage::Encoder, &[]), Err(StagesError::Input { input: "visible_mask", .. })));
    }
}
