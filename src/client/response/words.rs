//! Finds bytes in a text, eight at a time.

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGHEST: u64 = 0x80 * EACH;

/// How many bytes of a string's content come before its end, an escape, or a control character,
/// which must not be in it.
pub(in crate::client) fn plain_length(content: &[u8]) -> usize {
    let is_special = |byte| matches!(byte, b'"' | b'\\' | 0..0x20);
    length_before(content, is_special, |word| {
        less(word ^ (u64::from(b'"') * EACH), 1)
            | less(word ^ (u64::from(b'\\') * EACH), 1)
            | less(word, 0x20)
    })
}

/// How many bytes come before the first NUL.
pub(in crate::client) fn length_before_nul(bytes: &[u8]) -> usize {
    length_before(bytes, |byte| byte == 0, |word| less(word, 1))
}

/// How many bytes come before the first that is meant. `are_meant` sets the highest bit of each
/// byte of a word that is; above the first such byte others may have it too.
#[inline(always)]
fn length_before(
    bytes: &[u8],
    is_meant: impl Fn(u8) -> bool,
    are_meant: impl Fn(u64) -> u64,
) -> usize {
    let mut words = bytes.chunks_exact(size_of::<u64>());
    let mut length = 0;
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        let found = are_meant(word);
        if found != 0 {
            return length + found.trailing_zeros() as usize / 8;
        }
        length += size_of::<u64>();
    }
    let rest = words.remainder();
    length + rest.iter().position(|byte| is_meant(*byte)).unwrap_or(rest.len())
}

/// The highest bit of each byte that is less than this, which is at most 128.
#[inline(always)]
fn less(word: u64, than: u64) -> u64 {
    word.wrapping_sub(than * EACH) & !word & HIGHEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_bytes_is_found_wherever_it_stands() {
        let mut random = fastrand::Rng::with_seed(3);
        let alphabet = b"abc ~!\x7f\x80\xff#[]\x21\x20\x5b\x5d\"\\\x00\x01\x1f\n";
        for round in 0..100_000 {
            // Sometimes with few special bytes, sometimes with many.
            let most = if round % 2 == 0 { alphabet.len() } else { alphabet.len() - 6 };
            let bytes: Vec<u8> = (0..round % 41).map(|_| alphabet[random.usize(0..most)]).collect();
            let first =
                |is_meant: fn(&u8) -> bool| bytes.iter().position(is_meant).unwrap_or(bytes.len());
            let plain = first(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\');
            assert_eq!(plain_length(&bytes), plain, "{bytes:?}");
            assert_eq!(length_before_nul(&bytes), first(|byte| *byte == 0), "{bytes:?}");
        }
    }
}
