//! Bank ports of one kind that one engine holds (T9). Its instructions share them, so each port counts its holders.

/// Ports by bank.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    holders: [u32; 64],
    held: u64,
}

impl Default for Ports {
    fn default() -> Self {
        Ports { holders: [0; 64], held: 0 }
    }
}

impl Ports {
    /// Banks whose port is held, bit `b` for bank `b`.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// An instruction takes the ports of `banks`.
    pub(super) fn take(&mut self, banks: u64) {
        for bank in bits(banks) {
            self.holders[bank] += 1;
        }
        self.held |= banks;
    }

    /// An instruction that took the ports of `banks` frees them.
    pub(super) fn free(&mut self, banks: u64) {
        for bank in bits(banks) {
            self.holders[bank] -= 1;
            if self.holders[bank] == 0 {
                self.held &= !(1 << bank);
            }
        }
    }
}

/// Positions of the set bits.
fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (bit < 64).then_some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_when_its_last_holder_is_gone() {
        let mut ports = Ports::default();
        ports.take(0b0110);
        ports.take(1 << 63 | 0b0100);
        ports.free(0b0110);
        assert_eq!(ports.held(), 1 << 63 | 0b0100);
        ports.free(1 << 63 | 0b0100);
        assert_eq!(ports.held(), 0);
    }
}
