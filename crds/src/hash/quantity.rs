//! Amounts of resources (`500m`, `1.5Gi`, `1e3`), written as Kubernetes writes them again after reading.
//!
//! The rules are those of `resource.Quantity` in k8s.io/apimachinery v0.34.5, its whims included: what looks canonical
//! at first sight stays as it was written, even `+5` and `1.500`, and a suffix that does not exist is not written.

/// An amount below a billionth is rounded up to one.
const SMALLEST_EXPONENT: i64 = -9;
/// Amounts with a binary suffix end here.
const LARGEST_BINARY: u128 = i64::MAX as u128;
/// So many digits are looked at to tell whether an amount is canonical as it was written.
const SHORT_DECIMAL: usize = 18;
const SHORT_BINARY: i64 = 15;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    DecimalSi,
    DecimalExponent,
    BinarySi,
}

/// `text` in the form in which Kubernetes writes it; `None` where it is no quantity.
pub(super) fn canonical(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let written = Written::parse(text)?;
    let (format, exponent) = suffix(written.suffix)?;
    if written.is_kept(format, exponent) {
        return Some(text.to_owned());
    }
    let amount = written.amount(format, exponent)?;
    Some(amount.write(format))
}

/// A quantity in its parts.
struct Written<'t> {
    negative: bool,
    /// Digits before the point, without zeros in front; `0` where that leaves none.
    whole: &'t str,
    /// Digits behind the point.
    fraction: &'t str,
    suffix: &'t str,
    /// Whether there was any digit.
    has_digits: bool,
}

impl<'t> Written<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (digits, rest) = split_digits(unsigned);
        let whole = digits.trim_start_matches('0');
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(rest) => split_digits(rest),
            None => ("", rest),
        };
        let letters = rest.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
        let exponent = letters.strip_prefix(['-', '+']).unwrap_or(letters);
        exponent
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(Self {
                negative,
                whole: if whole.is_empty() { "0" } else { whole },
                fraction,
                suffix: rest,
                has_digits: !digits.is_empty() || !fraction.is_empty(),
            })
    }

    /// The power of ten of the last digit.
    fn last_digit(&self, exponent: i64) -> i64 {
        exponent - self.fraction.len() as i64
    }

    /// Whether it is small enough for Kubernetes to reckon with it in an `i64`.
    fn is_short(&self, format: Format, exponent: i64) -> bool {
        if format == Format::BinarySi {
            let digits = self.whole.len() as i64 + exponent * 3 / 10;
            return self.fraction.is_empty() && digits < SHORT_BINARY;
        }
        let digits = self.whole.len() + self.fraction.len();
        digits <= SHORT_DECIMAL && self.last_digit(exponent) >= SMALLEST_EXPONENT
    }

    /// Whether Kubernetes takes it for canonical as it was written.
    fn is_kept(&self, format: Format, exponent: i64) -> bool {
        if !self.is_short(format, exponent) {
            return false;
        }
        if format == Format::BinarySi {
            return self.whole.parse::<u64>().is_ok_and(|whole| whole % 8 != 0);
        }
        let digits = [self.whole, self.fraction].concat();
        self.last_digit(exponent) % 3 == 0 && !digits.ends_with("000") && !digits.starts_with('0')
    }

    fn amount(&self, format: Format, exponent: i64) -> Option<Amount> {
        if !self.has_digits && !self.is_short(format, exponent) {
            return None;
        }
        let digits = [self.whole, self.fraction].concat();
        let mut amount = Amount {
            negative: self.negative,
            digits: digits.bytes().map(|byte| byte - b'0').collect(),
            exponent: self.last_digit(if format == Format::BinarySi {
                0
            } else {
                exponent
            }),
        };
        amount.strip();
        if format == Format::BinarySi {
            for _ in 0..exponent / 10 {
                amount.multiply(1024);
            }
        }
        amount.round_up();
        if format == Format::BinarySi {
            amount.cap();
        }
        Some(amount)
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// What a suffix means: a power of ten, or of two for [`Format::BinarySi`].
fn suffix(suffix: &str) -> Option<(Format, i64)> {
    let si = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    if let Some(index) = si.iter().position(|known| *known == suffix) {
        return Some((Format::DecimalSi, (index as i64 - 3) * 3));
    }
    let binary = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if let Some(index) = binary.iter().position(|known| *known == suffix) {
        return Some((Format::BinarySi, index as i64 * 10));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?.parse::<i64>().ok()?;
    // Kubernetes cuts the number off likewise.
    Some((Format::DecimalExponent, i64::from(exponent as i32)))
}

/// A decimal number of any length: `digits` times ten to the power of `exponent`.
struct Amount {
    negative: bool,
    /// From the first one, which is not 0; none for zero.
    digits: Vec<u8>,
    exponent: i64,
}

impl Amount {
    /// Takes zeros off both ends.
    fn strip(&mut self) {
        let leading = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..leading);
        while self.digits.pop_if(|digit| *digit == 0).is_some() {
            self.exponent += 1;
        }
        if self.digits.is_empty() {
            self.exponent = 0;
        }
    }

    fn multiply(&mut self, factor: u32) {
        let mut carry = 0;
        for digit in self.digits.iter_mut().rev() {
            let product = u32::from(*digit) * factor + carry;
            *digit = (product % 10) as u8;
            carry = product / 10;
        }
        let mut front = Vec::new();
        while carry > 0 {
            front.insert(0, (carry % 10) as u8);
            carry /= 10;
        }
        self.digits.splice(0..0, front);
        self.strip();
    }

    /// Rounds away from zero, to a whole number of the smallest amounts.
    fn round_up(&mut self) {
        let below = SMALLEST_EXPONENT - self.exponent;
        if below <= 0 || self.digits.is_empty() {
            return;
        }
        let kept = self
            .digits
            .len()
            .saturating_sub(usize::try_from(below).unwrap_or(usize::MAX));
        // There is no zero at the end, so that something is lost.
        self.digits.truncate(kept);
        self.exponent = SMALLEST_EXPONENT;
        for digit in self.digits.iter_mut().rev() {
            if *digit < 9 {
                *digit += 1;
                return self.strip();
            }
            *digit = 0;
        }
        self.digits.insert(0, 1);
        self.strip();
    }

    fn cap(&mut self) {
        let whole = self.whole();
        if whole.is_none_or(|whole| {
            whole > LARGEST_BINARY || whole == LARGEST_BINARY && self.exponent < 0
        }) {
            self.digits = digits_of(LARGEST_BINARY);
            self.exponent = 0;
            self.strip();
        }
    }

    /// Without what is behind the point; `None` where that is too large.
    fn whole(&self) -> Option<u128> {
        let length = i64::try_from(self.digits.len()).ok()?;
        let kept = usize::try_from((length + self.exponent.min(0)).max(0)).ok()?;
        let digits = self.digits.iter().take(kept);
        let number = digits.copied().try_fold(0_u128, |number, digit| {
            number.checked_mul(10)?.checked_add(u128::from(digit))
        })?;
        let power = u32::try_from(self.exponent.max(0)).ok()?;
        number.checked_mul(10_u128.checked_pow(power)?)
    }

    fn write(&self, format: Format) -> String {
        if self.digits.is_empty() {
            return "0".to_owned();
        }
        let binary = (format == Format::BinarySi && self.exponent >= 0)
            .then(|| self.whole())
            .flatten();
        let (digits, suffix) = match binary {
            Some(whole) if whole >= 1024 => binary_parts(whole),
            _ => self.decimal_parts(format),
        };
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{digits}{suffix}")
    }

    /// The digits and the suffix, whose power of ten is one of a thousand.
    fn decimal_parts(&self, format: Format) -> (String, String) {
        let zeros = self.exponent.rem_euclid(3);
        let exponent = self.exponent - zeros;
        let mut digits: String = self
            .digits
            .iter()
            .map(|digit| char::from(b'0' + digit))
            .collect();
        digits.extend((0..zeros).map(|_| '0'));
        let suffix = match (format, exponent) {
            (_, 0) => String::new(),
            (Format::DecimalExponent, _) => format!("e{exponent}"),
            _ => si_suffix(exponent).to_owned(),
        };
        (digits, suffix)
    }
}

fn digits_of(number: u128) -> Vec<u8> {
    let text = number.to_string();
    text.bytes().map(|byte| byte - b'0').collect()
}

fn binary_parts(mut whole: u128) -> (String, String) {
    let mut suffixes = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter();
    let mut suffix = "";
    while whole >= 1024 && whole.is_multiple_of(1024) {
        whole /= 1024;
        suffix = suffixes.next().unwrap_or(&"");
    }
    (whole.to_string(), suffix.to_owned())
}

fn si_suffix(exponent: i64) -> &'static str {
    let suffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    let index = usize::try_from(exponent / 3 + 3).ok();
    index
        .and_then(|index| suffixes.get(index))
        .copied()
        .unwrap_or_default()
}
