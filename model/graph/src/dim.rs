use std::{collections::BTreeMap, fmt};

/// The sizes of named dimensions, by name.
pub type Bindings = BTreeMap<&'static str, usize>;

/// The size of one axis: a number, or an expression in named dimensions that is known when the graph runs.
///
/// Kept in a normal form, so that equal expressions compare equal: a coefficient times factors
/// `floor((mul * name + add) / div)`. This covers what strides, patches and merged axes need.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dim {
    coefficient: usize,
    factors: Vec<Factor>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Factor {
    name: &'static str,
    mul: i64,
    add: i64,
    div: i64,
}

/// A size that cannot be had.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DimError {
    /// A name without a size.
    #[error("dimension {name} has no size\nfeed an input that carries it")]
    Unbound {
        /// The name.
        name: &'static str,
    },
    /// A size below zero or too large to count.
    #[error("{dim} is not a size for {name} = {size}\nfeed a larger input")]
    Range {
        /// The expression.
        dim: String,
        /// The dimension at fault.
        name: &'static str,
        /// Its size.
        size: usize,
    },
    /// Two sizes for one name.
    #[error("dimension {name} is {first} and {second} in one run\nfeed inputs that agree")]
    Conflict {
        /// The name.
        name: &'static str,
        /// The size seen first.
        first: usize,
        /// The size that differs.
        second: usize,
    },
    /// A size that breaks a [`DimRule`].
    #[error("dimension {} is {size}, expected {rule}\nfeed an input of such a size", rule.name)]
    Rule {
        /// The rule.
        rule: DimRule,
        /// The size that breaks it.
        size: usize,
    },
}

/// What a named dimension must satisfy: `name = multiple * k + remainder` with `k >= 0`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DimRule {
    /// The dimension.
    pub name: &'static str,
    /// The step between legal sizes.
    pub multiple: usize,
    /// The smallest legal size.
    pub remainder: usize,
}

impl Dim {
    /// A size known now.
    pub fn fixed(size: usize) -> Self {
        Self { coefficient: size, factors: Vec::new() }
    }

    /// A size known when the graph runs.
    pub fn named(name: &'static str) -> Self {
        Self { coefficient: 1, factors: vec![Factor { name, mul: 1, add: 0, div: 1 }] }
    }

    /// The number, if it is one.
    pub fn as_fixed(&self) -> Option<usize> {
        if self.factors.is_empty() || self.coefficient == 0 { Some(self.coefficient) } else { None }
    }

    /// The name, if it is a bare one.
    pub fn as_named(&self) -> Option<&'static str> {
        match self.factors.as_slice() {
            [Factor { name, mul: 1, add: 0, div: 1 }] if self.coefficient == 1 => Some(name),
            _ => None,
        }
    }

    /// The product of several sizes.
    pub fn product<'a>(dims: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut coefficient = 1_usize;
        let mut factors = Vec::new();
        for dim in dims {
            coefficient = coefficient.saturating_mul(dim.coefficient);
            factors.extend(dim.factors.iter().cloned());
        }
        factors.sort();
        Self { coefficient, factors }
    }

    /// `self * factor`.
    #[must_use]
    pub fn times(&self, factor: usize) -> Self {
        Self { coefficient: self.coefficient.saturating_mul(factor), factors: self.factors.clone() }
    }

    /// `self + term`, or `None` where the normal form cannot hold it.
    pub fn plus(&self, term: i64) -> Option<Self> {
        if let Some(size) = self.as_fixed() {
            return i64::try_from(size).ok()?.checked_add(term)?.try_into().ok().map(Self::fixed);
        }
        let [factor] = self.factors.as_slice() else { return if term == 0 { Some(self.clone()) } else { None } };
        let coefficient = i64::try_from(self.coefficient).ok()?;
        let (mul, add) = match (coefficient, factor.div) {
            (1, div) => (factor.mul, factor.add.checked_add(term.checked_mul(div)?)?),
            (_, 1) => (factor.mul.checked_mul(coefficient)?, factor.add.checked_mul(coefficient)?.checked_add(term)?),
            _ => return None,
        };
        Some(Self::normal(Factor { mul, add, ..factor.clone() }))
    }

    /// `floor(self / divisor)`, or `None` where the normal form cannot hold it. `divisor` is at least 1.
    pub fn over(&self, divisor: usize) -> Option<Self> {
        if divisor == 0 {
            return None;
        }
        if self.coefficient.is_multiple_of(divisor) {
            return Some(Self { coefficient: self.coefficient / divisor, factors: self.factors.clone() });
        }
        let [factor] = self.factors.as_slice() else {
            return self.as_fixed().map(|size| Self::fixed(size / divisor));
        };
        let (coefficient, divisor) = (i64::try_from(self.coefficient).ok()?, i64::try_from(divisor).ok()?);
        let (mul, add, div) = match (coefficient, factor.div) {
            (1, div) => (factor.mul, factor.add, div.checked_mul(divisor)?),
            (_, 1) => (factor.mul.checked_mul(coefficient)?, factor.add.checked_mul(coefficient)?, divisor),
            _ => return None,
        };
        Some(Self::normal(Factor { name: factor.name, mul, add, div }))
    }

    /// The names it depends on, sorted, every name once.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.factors.iter().map(|factor| factor.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The terms of the normal form, for readers that compute sizes at run time:
    /// `coefficient * product of floor((mul * name + add) / div)`.
    pub fn terms(&self) -> (usize, impl Iterator<Item = (&'static str, i64, i64, i64)> + '_) {
        (self.coefficient, self.factors.iter().map(|f| (f.name, f.mul, f.add, f.div)))
    }

    /// The number, given the sizes of the names.
    pub fn evaluate(&self, bindings: &Bindings) -> Result<usize, DimError> {
        self.factors.iter().try_fold(self.coefficient, |product, factor| {
            let size = *bindings.get(factor.name).ok_or(DimError::Unbound { name: factor.name })?;
            let value = i64::try_from(size)
                .ok()
                .and_then(|size| factor.mul.checked_mul(size)?.checked_add(factor.add))
                .map(|value| value.div_euclid(factor.div));
            value.and_then(|value| usize::try_from(value).ok()?.checked_mul(product)).ok_or_else(|| DimError::Range {
                dim: self.to_string(),
                name: factor.name,
                size,
            })
        })
    }

    fn normal(mut factor: Factor) -> Self {
        let divisor = gcd(gcd(factor.mul, factor.add), factor.div);
        if divisor > 1 {
            (factor.mul, factor.add, factor.div) = (factor.mul / divisor, factor.add / divisor, factor.div / divisor);
        }
        let mut coefficient = 1;
        if factor.div == 1 {
            let common = gcd(factor.mul, factor.add);
            if common > 1 {
                coefficient = common as usize;
                (factor.mul, factor.add) = (factor.mul / common, factor.add / common);
            }
        }
        Self { coefficient, factors: vec![factor] }
    }
}

impl DimRule {
    /// Fails unless `size` is legal.
    pub fn check(&self, size: usize) -> Result<(), DimError> {
        if size >= self.remainder && (size - self.remainder).is_multiple_of(self.multiple.max(1)) {
            Ok(())
        } else {
            Err(DimError::Rule { rule: self.clone(), size })
        }
    }
}

impl From<usize> for Dim {
    fn from(size: usize) -> Self {
        Self::fixed(size)
    }
}

impl From<&'static str> for Dim {
    fn from(name: &'static str) -> Self {
        Self::named(name)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(size) = self.as_fixed() {
            return write!(f, "{size}");
        }
        if self.coefficient != 1 {
            write!(f, "{}*", self.coefficient)?;
        }
        for (index, factor) in self.factors.iter().enumerate() {
            if index > 0 {
                f.write_str("*")?;
            }
            write!(f, "{factor}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scaled = if self.mul == 1 { self.name.to_owned() } else { format!("{}*{}", self.mul, self.name) };
        match (self.add, self.div) {
            (0, 1) => f.write_str(&scaled),
            (add, 1) => write!(f, "({scaled}{add:+})"),
            (0, div) => write!(f, "({scaled}/{div})"),
            (add, div) => write!(f, "(({scaled}{add:+})/{div})"),
        }
    }
}

impl fmt::Display for DimRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.multiple, self.remainder) {
            (0 | 1, remainder) => write!(f, "at least {remainder}"),
            (multiple, 0) => write!(f, "a multiple of {multiple}"),
            (multiple, remainder) => write!(f, "{multiple}k + {remainder}"),
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_and_patches_stay_in_normal_form() {
        let frames = Dim::named("frames");
        let t = frames.plus(3).and_then(|d| d.over(4)).expect("one name");
        assert_eq!(t.to_string(), "((frames+3)/4)");
        let height = Dim::named("height").over(4).and_then(|d| d.over(2)).expect("one name");
        assert_eq!(height, Dim::named("height").over(8).expect("one name"));
        assert_eq!(Dim::named("h").times(2).times(4).over(8), Some(Dim::named("h")));
        assert_eq!(Dim::named("t").times(4).plus(-3).expect("one name").to_string(), "(4*t-3)");
        let bindings = Bindings::from([("frames", 17), ("height", 64)]);
        assert_eq!(t.evaluate(&bindings), Ok(5));
        assert_eq!(height.evaluate(&bindings), Ok(8));
    }

    #[test]
    fn merged_axes_commute() {
        let (b, t) = (Dim::named("batch"), Dim::named("t"));
        assert_eq!(Dim::product([&b, &t]), Dim::product([&t, &b]));
        assert_eq!(Dim::product([&b, &Dim::fixed(3), &t]).to_string(), "3*batch*t");
    }

    #[test]
    fn sizes_that_do_not_exist_are_errors() {
        let dim = Dim::named("t").times(4).plus(-3).expect("one name");
        assert!(matches!(dim.evaluate(&Bindings::from([("t", 0)])), Err(DimError::Range { .. })));
        assert_eq!(dim.evaluate(&Bindings::new()), Err(DimError::Unbound { name: "t" }));
        let rule = DimRule { name: "frames", multiple: 4, remainder: 1 };
        assert_eq!(rule.check(17), Ok(()));
        let error = rule.check(16).expect_err("16 is not 4k + 1").to_string();
        assert_eq!(error, "dimension frames is 16, expected 4k + 1\nfeed an input of such a size");
    }
}
