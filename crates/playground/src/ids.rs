//! Everything random in the playground: uids and name suffixes, from one seed, so that the same scenario gives the same bytes.

/// A source of identifiers.
#[derive(Debug)]
pub(crate) struct Ids {
    state: u64,
}

/// The letters generated names are made of: no vowels, so that no words appear.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

impl Ids {
    /// A source that gives the same identifiers for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed ^ 0x9e37_79b9_7f4a_7c15 }
    }

    /// SplitMix64: small, and good enough for names.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A version 4 UUID.
    pub(crate) fn uid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let high = (high & 0xffff_ffff_ffff_0fff) | 0x4000;
        let low = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & 0xffff_ffff_ffff)
    }

    /// `length` letters for a generated name.
    pub(crate) fn suffix(&mut self, length: usize) -> String {
        (0..length).map(|_| letter(self.next())).collect()
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// 64 hex digits, as container ids have.
    pub(crate) fn hex64(&mut self) -> String {
        (0..4).map(|_| format!("{:016x}", self.next())).collect()
    }
}

fn letter(random: u64) -> char {
    let at = usize::try_from(random % 27).unwrap_or(0);
    char::from(ALPHABET[at])
}

/// FNV-1a over bytes, 32 bits: stable across runs and machines.
pub(crate) fn fnv32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// A hash as names carry it: its decimal digits in the alphabet of generated names.
pub(crate) fn safe_hash(bytes: &[u8]) -> String {
    fnv32(bytes).to_string().bytes().map(|digit| letter(u64::from(digit))).collect()
}
