//! Random numbers that are the same on every machine.

/// A small generator of random numbers (SplitMix64). Fit for simulations, not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, but not including, 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with the chance `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        p > 0.0 && self.unit() < p
    }

    /// An exponential waiting time of mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(-self.unit()).ln_1p()
    }

    /// A standard normal number (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        (2.0 * self.exponential()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// How many of `n` events of chance `p` happen, drawn by the gaps between them.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if p <= 0.0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        let (mut place, mut hits) = (0.0, 0);
        loop {
            place += (self.exponential() / -(-p).ln_1p()).floor() + 1.0;
            if place > n as f64 {
                return hits;
            }
            hits += 1;
        }
    }

    /// How many events of a Poisson process of mean `mean` happen.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        let (mut time, mut hits) = (self.exponential(), 0);
        while time < mean {
            time += self.exponential();
            hits += 1;
        }
        hits
    }
}
