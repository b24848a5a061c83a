//! Numbers as DuckDB's casts read them.

/// An exact decimal number: `digits` times ten to the power of `-scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: i128,
    scale: i32,
}

impl Decimal {
    /// Reads a number. It may have blanks around it, a sign, `_` between digits, a fraction, an exponent, `0x` and `0b`.
    /// `None` if the text is not a number, or has too many digits.
    pub(super) fn parse(text: &str) -> Option<Decimal> {
        let text = text.trim_matches([' ', '\t', '\n', '\x0B', '\x0C', '\r']);
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let sign = if negative { -1 } else { 1 };
        let lower = text.to_ascii_lowercase();
        for (prefix, radix) in [("0x", 16), ("0b", 2)] {
            if let Some(digits) = lower.strip_prefix(prefix) {
                return Some(Decimal { digits: sign * i128::from_str_radix(&plain(digits)?, radix).ok()?, scale: 0 });
            }
        }
        let (mantissa, exponent) = match lower.split_once('e') {
            Some((mantissa, exponent)) => (mantissa.to_owned(), exponent.parse::<i32>().ok()?),
            None => (lower, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((&mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let part = |text: &str| if text.is_empty() { Some(String::new()) } else { plain(text) };
        let (whole, mut fraction) = (part(whole)?, part(fraction)?);
        // Zeros at the end count for nothing, and may be more than a number here can have.
        fraction.truncate(fraction.trim_end_matches('0').len());
        // Parsed with its sign, because the least number has no positive counterpart. The 0 in front is for `.000`, of which
        // no digit is left.
        let digits = format!("{}0{whole}{fraction}", if negative { "-" } else { "" }).parse::<i128>().ok()?;
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        Some(Decimal { digits, scale })
    }

    /// The number with `scale` digits after the decimal point, in units of the last digit. A half is rounded away from
    /// zero.
    pub(super) fn rounded(self, scale: i32) -> Option<i128> {
        let shift = scale.checked_sub(self.scale)?;
        if self.digits == 0 || shift == 0 {
            return Some(self.digits);
        }
        let power = 10_i128.checked_pow(shift.unsigned_abs());
        if shift > 0 {
            return self.digits.checked_mul(power?);
        }
        let Some(power) = power else { return Some(0) };
        let (quotient, rest) = (self.digits / power, self.digits % power);
        Some(if rest.unsigned_abs() >= power.unsigned_abs() - rest.unsigned_abs() {
            quotient + rest.signum()
        } else {
            quotient
        })
    }
}

/// Digits without the `_` between them.
fn plain(digits: &str) -> Option<String> {
    let plain = digits.replace('_', "");
    let is_good = !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__");
    (is_good && !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(plain)
}

/// Reads a floating-point number.
pub(super) fn float(text: &str) -> Option<f64> {
    let text = text.trim_matches([' ', '\t', '\n', '\x0B', '\x0C', '\r']);
    let plain = text.replace('_', "");
    // Rust reads `inf`, `infinity` and `nan` in any letter case, as DuckDB does.
    plain.parse().ok()
}

/// Whether a floating-point number is near enough to the actual one.
pub(super) fn is_near(actual: f64, expected: f64) -> bool {
    if actual.is_nan() || expected.is_nan() {
        return actual.is_nan() && expected.is_nan();
    }
    if actual.is_infinite() || expected.is_infinite() {
        return actual == expected;
    }
    (expected - actual).abs() <= 0.01 * actual.abs() + 1e-8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(text: &str, scale: i32) -> Option<i128> {
        Decimal::parse(text)?.rounded(scale)
    }

    #[test]
    fn whole_numbers_are_rounded_and_may_be_written_in_many_ways() {
        for text in ["42", " 42 ", "42.4", "41.5", "4.2e1", "0x2A", "4_2", "+42", "420e-1", "0b101010", "42."] {
            assert_eq!(rounded(text, 0), Some(42), "{text}");
        }
        for text in ["42.5", "41.4", "-42", "", "x", "4 2", "_42", "42_", "4__2", ".", "1e", "e1", "NULL", "0x"] {
            assert_ne!(rounded(text, 0), Some(42), "{text}");
        }
        assert_eq!(rounded("-1.5", 0), Some(-2));
        assert_eq!(rounded("1e-100", 0), Some(0));
        assert_eq!(rounded("1e100", 0), None);
        let greatest = "170141183460469231731687303715884105727";
        assert_eq!(rounded(greatest, 0), Some(i128::MAX));
        assert_eq!(rounded(" -170141183460469231731687303715884105728", 0), Some(i128::MIN));
    }

    #[test]
    fn decimals_have_the_scale_of_their_column() {
        assert_eq!(rounded("1.239", 2), Some(124));
        assert_eq!(rounded("1.24", 2), Some(124));
        assert_eq!(rounded("1.2", 2), Some(120));
        assert_eq!(rounded("-0.005", 2), Some(-1));
        for zero in [".000", "-.0", "+.0", "0.0", "0.", ".0e5", "-0"] {
            assert_eq!(rounded(zero, 3), Some(0), "{zero}");
        }
        assert_eq!((rounded(".5", 1), rounded("-.050", 2), rounded("5.", 1)), (Some(5), Some(-5), Some(50)));
        assert_eq!(rounded(&format!("1.5{}", "0".repeat(60)), 20), Some(150_000_000_000_000_000_000));
    }

    #[test]
    fn floating_point_numbers_are_near_within_a_hundredth() {
        let near = |a: &str, b: &str| is_near(float(a).unwrap(), float(b).unwrap());
        assert!(near("100.0", "100.9") && !near("100.0", "101.1"));
        assert!(near("nan", "NaN") && !near("nan", "1"));
        assert!(near("inf", "Infinity") && !near("inf", "-inf") && !near("inf", "1e300"));
        assert!(near("0", "1e-9") && !near("0", "1e-7"));
        assert_eq!(float("x"), None);
    }
}
