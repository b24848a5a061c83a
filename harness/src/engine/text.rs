//! Formats values that arrive as text, as the dialect of the request requires.
//!
//! A server sends text, so the conversions here start from text; embedded SQLite has its own conversions.

use std::io::Write;

use super::{Request, Rows};
use crate::dialect::values::{Conversion, Form};

/// The letters of a request, and the form in which its values are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letters<'r> {
    letters: Option<&'r [u8]>,
    form: &'static Form,
}

impl<'r> Letters<'r> {
    /// The letters and the form for a request. Without letters, a text stays as it is.
    pub(super) fn of(request: &Request<'r>) -> Self {
        Letters { letters: request.letters, form: request.dialect.definition().form() }
    }

    /// Adds the value in `column`, counted from 0; `None` is NULL.
    pub(super) fn push(self, column: usize, value: Option<&[u8]>, rows: &mut Rows) {
        rows.push_with(|text| match (self.letters, value) {
            (_, None) => text.extend_from_slice(self.form.null),
            (None, Some(value)) => text.extend_from_slice(value),
            (Some(letters), Some(value)) => match self.form.conversion(letters, column) {
                Conversion::Integer => write!(text, "{}", integer(value)).expect(IN_MEMORY),
                Conversion::Real => write_real(real(value), text),
                Conversion::Text => {
                    let start = text.len();
                    text.extend_from_slice(value);
                    (self.form.finish)(text, start);
                }
            },
        });
    }

    /// Adds true or false: in the dialect's own words, if it has some, and otherwise like the text of the value.
    #[cfg(feature = "external")]
    pub(super) fn push_truth(self, column: usize, truth: bool, rows: &mut Rows) {
        match self.form.truth {
            Some(words) => rows.push(words[usize::from(truth)]),
            None => self.push(column, Some(if truth { b"true" } else { b"false" }), rows),
        }
    }
}

const IN_MEMORY: &str = "writing to memory does not fail";

/// Writes a real with three decimals, rounded like C's `printf`: an exact half goes to the even digit.
///
/// The original runner did the same with values from servers; only SQLite's values went through SQLite's own `printf`,
/// which rounds halves away from zero. The public corpus has such a value for MySQL: -12.0625 is `-12.062`.
fn write_real(real: f64, text: &mut Vec<u8>) {
    match real.is_infinite() {
        true => write!(text, "{}Inf", if real < 0.0 { "-" } else { "" }),
        false => write!(text, "{real:.3}"),
    }
    .expect(IN_MEMORY);
}

/// How servers write true and false.
fn boolean(value: &[u8]) -> Option<bool> {
    match value {
        b"t" | b"true" => Some(true),
        b"f" | b"false" => Some(false),
        _ => None,
    }
}

/// A value as a 32-bit integer, as in SQLite: fractions are truncated, and only the low 32 bits of a larger number are
/// kept.
fn integer(value: &[u8]) -> i32 {
    if let Some(boolean) = boolean(value) {
        return i32::from(boolean);
    }
    let Number { text, whole } = Number::at_start_of(value);
    let wide = match whole {
        // A number of more than 64 bits becomes the greatest number.
        Some(digits) => digits.parse::<i128>().map_or_else(|_| text.parse::<f64>().unwrap_or(0.0) as i64, clamp),
        None => real(value) as i64,
    };
    wide as i32
}

fn clamp(wide: i128) -> i64 {
    wide.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// A value as a real; 0 if it does not start with a number.
fn real(value: &[u8]) -> f64 {
    match boolean(value) {
        Some(boolean) => f64::from(u8::from(boolean)),
        None => match value {
            b"Infinity" | b"inf" => f64::INFINITY,
            b"-Infinity" | b"-inf" => f64::NEG_INFINITY,
            b"NaN" | b"nan" => f64::NAN,
            _ => Number::at_start_of(value).text.parse().unwrap_or(0.0),
        },
    }
}

/// A number in decimal digits.
struct Number<'v> {
    text: &'v str,
    /// The part before the decimal point, if there is no exponent.
    whole: Option<&'v str>,
}

impl<'v> Number<'v> {
    /// The longest number at the start of `value`, after blanks; empty if there is none.
    fn at_start_of(value: &'v [u8]) -> Self {
        let value = value.trim_ascii_start();
        let digits = |from: usize| {
            let rest = value.get(from..).unwrap_or_default();
            from + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        };
        let sign = usize::from(matches!(value.first(), Some(b'+' | b'-')));
        let whole = digits(sign);
        let end = if value.get(whole) == Some(&b'.') { digits(whole + 1) } else { whole };
        let exponent = matches!(value.get(end), Some(b'e' | b'E')).then(|| {
            let start = end + 1 + usize::from(matches!(value.get(end + 1), Some(b'+' | b'-')));
            (start, digits(start))
        });
        let (end, moved) = match exponent {
            Some((start, stop)) if stop > start => (stop, true),
            _ => (end, false),
        };
        let ascii = |end: usize| std::str::from_utf8(&value[..end]).unwrap_or_default();
        Number { text: ascii(end), whole: (!moved && whole > sign).then(|| ascii(whole)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    fn written(letter: u8, value: &[u8]) -> String {
        let request = Request { sql: b"", letters: Some(&[letter]), dialect: Dialect::Classic };
        let mut rows = Rows::default();
        Letters::of(&request).push(0, Some(value), &mut rows);
        String::from_utf8(rows.value(0).to_vec()).unwrap()
    }

    #[test]
    fn integers_are_truncated_to_32_bits() {
        for (value, text) in [
            ("7", "7"),
            ("-7.99", "-7"),
            ("2.5000", "2"),
            (" +3", "3"),
            ("1e3", "1000"),
            ("1.5e1x", "15"),
            (".9", "0"),
            ("-.9e1", "-9"),
            ("12e", "12"),
            ("t", "1"),
            ("f", "0"),
            ("true", "1"),
            ("", "0"),
            ("table", "0"),
            ("4294967297", "1"),
            ("4294967297.5", "1"),
            ("2147483648", "-2147483648"),
            ("99999999999999999999", "-1"),
            ("-99999999999999999999999999999999999999999999", "0"),
            ("Infinity", "-1"),
        ] {
            assert_eq!(written(b'I', value.as_bytes()), text, "{value}");
        }
    }

    #[test]
    fn reals_have_three_decimals() {
        for (value, text) in [
            ("1", "1.000"),
            ("-2.0005", "-2.001"),
            ("1e-4", "0.000"),
            ("-12.0625", "-12.062"),
            ("-12.0635", "-12.063"),
            ("0.1875", "0.188"),
            ("1.25e2 m", "125.000"),
            ("t", "1.000"),
            ("Infinity", "Inf"),
            ("-Infinity", "-Inf"),
            ("NaN", "NaN"),
            ("", "0.000"),
        ] {
            assert_eq!(written(b'R', value.as_bytes()), text, "{value}");
        }
    }

    #[test]
    fn text_is_printable_and_never_empty() {
        assert_eq!(written(b'T', b""), "(empty)");
        assert_eq!(written(b'T', "a\té".as_bytes()), "a@@@");
        assert_eq!(written(b'T', b"a\0b"), "a");
    }

    #[test]
    fn without_letters_the_engines_text_is_unchanged() {
        let request = Request { sql: b"", letters: Some(b"I"), dialect: Dialect::Slt };
        let mut rows = Rows::default();
        for value in [Some(&b"2.50"[..]), Some(b""), Some("é".as_bytes()), None] {
            Letters::of(&request).push(0, value, &mut rows);
        }
        Letters::of(&request).push(0, Some(b"a\0b"), &mut rows);
        assert_eq!(rows.text(), "2.50\n(empty)\né\nNULL\na\0b\n".as_bytes());
        rows.clear();
        Letters::of(&Request { letters: None, ..request }).push(0, Some(b""), &mut rows);
        assert_eq!(rows.text(), b"\n");
    }
}
