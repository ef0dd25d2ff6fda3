//! Dimensions that follow from others, such as `((frames+3)/4)`.

/// Parentheses inside each other at the most: names come from files.
const MAX_DEPTH: usize = 16;

/// The value of an expression of whole numbers, names, `+`, `-`, `*`, `/` and parentheses. `None` for anything else, for
/// a name that `length` does not know, a division with a remainder, and a value below 0 or past the range.
pub(crate) fn evaluate(text: &str, length: &dyn Fn(&str) -> Option<usize>) -> Option<usize> {
    let mut reader = Reader { rest: text, length, depth: 0 };
    let value = reader.sum()?;
    reader.rest.is_empty().then(|| usize::try_from(value).ok())?
}

struct Reader<'a> {
    rest: &'a str,
    length: &'a dyn Fn(&str) -> Option<usize>,
    depth: usize,
}

impl Reader<'_> {
    fn sum(&mut self) -> Option<i64> {
        let mut value = self.product()?;
        while let Some(sign) = self.take(&['+', '-']) {
            let next = self.product()?;
            value = if sign == '+' { value.checked_add(next)? } else { value.checked_sub(next)? };
        }
        Some(value)
    }

    fn product(&mut self) -> Option<i64> {
        let mut value = self.atom()?;
        while let Some(sign) = self.take(&['*', '/']) {
            let next = self.atom()?;
            value = match sign {
                '*' => value.checked_mul(next)?,
                _ if value.checked_rem(next)? == 0 => value / next,
                _ => return None,
            };
        }
        Some(value)
    }

    fn atom(&mut self) -> Option<i64> {
        if self.take(&['(']).is_some() {
            self.depth += 1;
            let value = if self.depth <= MAX_DEPTH { self.sum()? } else { return None };
            self.depth -= 1;
            return self.take(&[')']).map(|_| value);
        }
        let end = self.rest.find(['+', '-', '*', '/', '(', ')']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            return word.parse().ok();
        }
        i64::try_from((self.length)(word)?).ok()
    }

    fn take(&mut self, signs: &[char]) -> Option<char> {
        let sign = self.rest.chars().next().filter(|sign| signs.contains(sign))?;
        self.rest = &self.rest[sign.len_utf8()..];
        Some(sign)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, evaluate};

    fn value(text: &str) -> Option<usize> {
        evaluate(text, &|name| match name {
            "frames" => Some(17),
            "t" => Some(5),
            "batch" => Some(2),
            _ => None,
        })
    }

    #[test]
    fn follows_the_normal_form_of_graphs() {
        assert_eq!(value("((frames+3)/4)"), Some(5));
        assert_eq!(value("(4*t-3)"), Some(17));
        assert_eq!(value("3*batch*t"), Some(30));
        assert_eq!(value("batch"), Some(2));
    }

    #[test]
    fn what_has_no_value_has_none() {
        for text in
            ["", "height", "(frames/4)", "(t-6)", "(t", "t)", "t+", "2t", "t//1", "(t/0)", "9223372036854775807*t"]
        {
            assert_eq!(value(text), None, "{text}");
        }
        assert_eq!(value(&format!("{}t{}", "(".repeat(MAX_DEPTH + 1), ")".repeat(MAX_DEPTH + 1))), None);
    }
}
