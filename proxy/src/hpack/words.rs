//! Names and values, 16 bytes at a time: their hashes, and names in any case.

/// Digits of pi, as good as any others.
const SEED: u64 = 0x243f_6a88_85a3_08d3;
const FACTOR: u64 = 0x1319_8a2e_0370_7344;

/// Makes large letters small ones. What else it makes the same does no harm to a hash.
const SMALL: u128 = all(0x20);

/// The hash of a name, which is the same in whatever case it is.
#[inline]
pub(super) const fn hash_name(name: &[u8]) -> u64 {
    let mut hash = SEED ^ name.len() as u64;
    let mut rest = name;
    while rest.len() > 16
        && let Some((bytes, behind)) = rest.split_first_chunk()
    {
        hash = mix(whole(bytes) | SMALL, hash);
        rest = behind;
    }
    mix(last(name) | SMALL, hash)
}

/// The hash of a field whose name has the hash `name`.
#[inline]
pub(super) const fn hash_field(name: u64, value: &[u8]) -> u32 {
    let mut hash = name ^ value.len() as u64;
    let mut rest = value;
    while rest.len() > 16
        && let Some((bytes, behind)) = rest.split_first_chunk()
    {
        hash = mix(whole(bytes), hash);
        rest = behind;
    }
    (mix(last(value), hash) >> 32) as u32
}

/// Whether `name`, in any case, is `small`, which is in lower case.
#[inline]
pub(super) const fn same_name(small: &[u8], name: &[u8]) -> bool {
    if small.len() != name.len() {
        return false;
    }
    let (mut smalls, mut names) = (small, name);
    while smalls.len() > 16
        && let Some((one, behind)) = smalls.split_first_chunk()
        && let Some((other, others)) = names.split_first_chunk()
    {
        if !is_lower(whole(one), whole(other)) {
            return false;
        }
        (smalls, names) = (behind, others);
    }
    is_lower(last(small), last(name))
}

/// Whether `small` is `bytes` in lower case. Nearly always these are in lower case already.
#[inline]
const fn is_lower(small: u128, bytes: u128) -> bool {
    small == bytes || small == lower(bytes)
}

#[inline]
const fn whole(bytes: &[u8; 16]) -> u128 {
    u128::from_le_bytes(*bytes)
}

/// The last 16 bytes, or all when there are less. Among those of one length, other bytes give other numbers.
#[inline]
const fn last(bytes: &[u8]) -> u128 {
    if let Some(last) = bytes.last_chunk() {
        return whole(last);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        return first as u128 | (last as u128) << 64;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return first as u128 | (last as u128) << 64;
    }
    match bytes {
        [] => 0,
        [one] => *one as u128,
        [one, second, ..] => {
            let last = bytes[bytes.len() - 1];
            *one as u128 | (*second as u128) << 8 | (last as u128) << 64
        }
    }
}

/// With each byte that is a large letter of ASCII made a small one.
#[inline]
const fn lower(bytes: u128) -> u128 {
    // Of each byte the highest bit is whether it is at least `A`, and whether it is above `Z`. No sum reaches the next.
    let low = bytes & all(0x7f);
    let is_letter = (low + all(0x80 - b'A')) ^ (low + all(0x7f - b'Z'));
    bytes | (is_letter & !bytes & all(0x80)) >> 2
}

const fn all(byte: u8) -> u128 {
    u128::from_ne_bytes([byte; 16])
}

/// The two halves of a product of 128 bits, put together: each bit of both numbers changes about half of those.
#[inline]
const fn mix(bytes: u128, hash: u64) -> u64 {
    let (low, high) = (bytes as u64, (bytes >> 64) as u64);
    let product = (low ^ hash) as u128 * (high ^ FACTOR) as u128;
    product as u64 ^ (product >> 64) as u64
}
