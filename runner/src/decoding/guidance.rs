use super::DecodingError;

/// Mixes two passes of guidance in place: `conditional = unconditional + (conditional - unconditional) * weight`.
///
/// Serves logits and, because the heads are linear without bias, hidden states before the head as well (specification
/// section 4.3); a weight of 1 leaves the conditional pass.
pub fn guide(conditional: &mut [f32], unconditional: &[f32], weight: f32) -> Result<(), DecodingError> {
    if conditional.len() != unconditional.len() {
        let (n_conditional, n_unconditional) = (conditional.len(), unconditional.len());
        return Err(DecodingError::GuidanceShape { n_conditional, n_unconditional });
    }
    for (value, &unconditional) in conditional.iter_mut().zip(unconditional) {
        *value = mix(*value, unconditional, weight);
    }
    Ok(())
}

pub(super) fn mix(conditional: f32, unconditional: f32, weight: f32) -> f32 {
    unconditional + (conditional - unconditional) * weight
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact values are meant")]
mod tests {
    use super::guide;

    #[test]
    fn extrapolates() {
        let mut values = [1.0, -2.0];
        guide(&mut values, &[0.5, 1.0], 2.0).expect("equal lengths");
        assert_eq!(values, [1.5, -5.0]);
        assert!(guide(&mut values, &[0.0], 2.0).is_err());
    }
}
