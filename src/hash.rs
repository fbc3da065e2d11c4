//! XXH64, as its specification gives it (xxHash, doc/xxhash_spec.md): the checksum of everything that is stored.
//!
//! One call over one slice. By hand, because in wasm the library reads through a function pointer: this is a third of its code.
//! Deliberately absent: a streaming form.

const PRIMES: [u64; 5] =
    [0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63, 0x27D4_EB2F_1656_67C5];

/// The XXH64 of the bytes with that seed.
pub fn xxh64(bytes: &[u8], seed: u64) -> u64 {
    let [prime_1, prime_2, _, prime_4, prime_5] = PRIMES;
    let (stripes, rest) = bytes.as_chunks::<32>();
    let mut hash = if stripes.is_empty() {
        seed.wrapping_add(prime_5)
    } else {
        // Four variables, not an array: a compiler that goes for size would keep that in memory.
        let (mut a, mut b) = (seed.wrapping_add(prime_1).wrapping_add(prime_2), seed.wrapping_add(prime_2));
        let (mut c, mut d) = (seed, seed.wrapping_sub(prime_1));
        for stripe in stripes {
            if let [first, second, third, fourth] = stripe.as_chunks::<8>().0 {
                a = round(a, u64::from_le_bytes(*first));
                b = round(b, u64::from_le_bytes(*second));
                c = round(c, u64::from_le_bytes(*third));
                d = round(d, u64::from_le_bytes(*fourth));
            }
        }
        let mixed = a.rotate_left(1).wrapping_add(b.rotate_left(7));
        let mixed = mixed.wrapping_add(c.rotate_left(12)).wrapping_add(d.rotate_left(18));
        [a, b, c, d].into_iter().fold(mixed, |hash, lane| mix(hash ^ round(0, lane), 0, prime_1, prime_4))
    };
    hash = hash.wrapping_add(bytes.len() as u64);
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        hash = mix(hash ^ round(0, u64::from_le_bytes(*word)), 27, prime_1, prime_4);
    }
    let (halves, rest) = rest.as_chunks::<4>();
    for half in halves {
        hash = mix(hash ^ u64::from(u32::from_le_bytes(*half)).wrapping_mul(prime_1), 23, prime_2, PRIMES[2]);
    }
    for byte in rest {
        hash = mix(hash ^ u64::from(*byte).wrapping_mul(prime_5), 11, prime_1, 0);
    }
    hash = (hash ^ hash >> 33).wrapping_mul(prime_2);
    hash = (hash ^ hash >> 29).wrapping_mul(PRIMES[2]);
    hash ^ hash >> 32
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

fn mix(hash: u64, by: u32, factor: u64, addend: u64) -> u64 {
    hash.rotate_left(by).wrapping_mul(factor).wrapping_add(addend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_library_s() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for length in (0..300).chain([4096, 65_537]) {
            let bytes: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
            for seed in [0, 1, u64::MAX, random.u64(..)] {
                assert_eq!(xxh64(&bytes, seed), xxhash_rust::xxh64::xxh64(&bytes, seed), "{length} bytes, seed {seed}");
            }
        }
    }
}
