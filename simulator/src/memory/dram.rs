//! DRAM: what the program brings along is shared and read-only, what runs write is paged in where it is touched.
//!
//! A program may claim gigabytes and use a few megabytes, and many machines run the same program at once; so neither its size nor
//! the constants cost memory per machine. Bytes that nothing wrote read as a conspicuous pattern.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use isa::Program;
use isa::inst::{Engine, encode};

use super::POISON;

/// Bytes that are allocated at once.
const PAGE_BYTES: usize = 1 << 16;

/// The constants and the code of a program as they lie in DRAM.
#[derive(Debug)]
pub(crate) struct Image {
    regions: Vec<(u64, Vec<u8>)>,
    dram_bytes: u64,
}

impl Image {
    /// The image of a checked program.
    pub(crate) fn new(program: &Program) -> Image {
        let mut regions = vec![(program.constants_base, program.constants.clone())];
        for engine in Engine::ALL {
            let section = program.section(engine);
            let words = section
                .words
                .iter()
                .map(|inst| encode(inst).expect("a checked word has an encoding"));
            regions.push((section.base, words.flat_map(u128::to_le_bytes).collect()));
        }
        Image { regions, dram_bytes: program.dram_bytes }
    }

    /// The image with bits flipped: byte and bit in it. A bit named twice is as it was.
    pub(crate) fn flipped(&self, bits: &[(u64, u32)]) -> Image {
        let mut regions = self.regions.clone();
        for &(byte, bit) in bits {
            let held = regions.iter_mut().find_map(|(base, region)| {
                region.get_mut(usize::try_from(byte.checked_sub(*base)?).ok()?)
            });
            if let Some(held) = held {
                *held ^= 1 << bit;
            }
        }
        Image { regions, dram_bytes: self.dram_bytes }
    }

    /// Whether any of the bytes belong to the image.
    pub(crate) fn meets(&self, bytes: &Range<u64>) -> bool {
        let meets = |(base, region): &(u64, Vec<u8>)| {
            bytes.start < base + region.len() as u64 && *base < bytes.end
        };
        self.regions.iter().any(meets)
    }

    /// `len` bytes from `at`, if one region holds them all.
    fn get(&self, at: u64, len: usize) -> Option<&[u8]> {
        self.regions.iter().find_map(|(base, region)| {
            let first = usize::try_from(at.checked_sub(*base)?).ok()?;
            region.get(first..first.checked_add(len)?)
        })
    }
}

/// The DRAM of one machine.
#[derive(Clone, Debug)]
pub(crate) struct Dram {
    image: Arc<Image>,
    pages: Vec<Option<Box<[u8]>>>,
}

impl Dram {
    pub(crate) fn new(image: Arc<Image>) -> Dram {
        let count = image.dram_bytes.div_ceil(PAGE_BYTES as u64);
        let count = usize::try_from(count).expect("a checked program uses at most 16 GiB");
        Dram { image, pages: vec![None; count] }
    }

    /// Forgets everything that was written.
    pub(crate) fn poison(&mut self) {
        self.pages.iter_mut().flatten().for_each(|page| page.fill(POISON));
    }

    /// `len` bytes from `at`, copied together only where they do not lie together.
    pub(crate) fn read(&self, at: u64, len: usize) -> Cow<'_, [u8]> {
        if let Some(bytes) = self.image.get(at, len) {
            return Cow::Borrowed(bytes);
        }
        let (page, offset) = place(at);
        let page = self.pages.get(page).and_then(Option::as_ref);
        if !self.image.meets(&(at..at + len as u64))
            && let Some(bytes) = page.and_then(|page| page.get(offset..offset + len))
        {
            return Cow::Borrowed(bytes);
        }
        let byte = |at| {
            let (page, offset) = place(at);
            let written = self.pages[page].as_ref().map_or(POISON, |page| page[offset]);
            self.image.get(at, 1).map_or(written, |bytes| bytes[0])
        };
        (at..at + len as u64).map(byte).collect()
    }

    /// Writes bytes that do not belong to the image.
    pub(crate) fn write(&mut self, mut at: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (page, offset) = place(at);
            let page = self.pages[page].get_or_insert_with(|| vec![POISON; PAGE_BYTES].into());
            let (now, later) = bytes.split_at(bytes.len().min(PAGE_BYTES - offset));
            page[offset..offset + now.len()].copy_from_slice(now);
            at += now.len() as u64;
            bytes = later;
        }
    }

    /// The first byte that two DRAMs of one program hold differently.
    pub(super) fn difference(&self, other: &Dram) -> Option<u64> {
        self.pages.iter().zip(&other.pages).enumerate().find_map(|(page, (a, b))| {
            let byte =
                |page: &Option<Box<[u8]>>, at: usize| page.as_ref().map_or(POISON, |p| p[at]);
            let at =
                if a == b { None } else { (0..PAGE_BYTES).find(|&i| byte(a, i) != byte(b, i)) };
            Some((page * PAGE_BYTES + at?) as u64)
        })
    }

    /// Every byte, for comparison in tests.
    #[cfg(test)]
    pub(crate) fn contents(&self) -> Vec<u8> {
        self.read(0, usize::try_from(self.image.dram_bytes).expect("test programs are small"))
            .into_owned()
    }
}

/// Page and offset of a byte.
fn place(at: u64) -> (usize, usize) {
    let at = usize::try_from(at).expect("a checked program uses at most 16 GiB");
    (at / PAGE_BYTES, at % PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200,000 bytes with two regions of an image: 1, 2, 3, 4 before the second page and 9, 9 behind its start.
    fn dram() -> Dram {
        let page = PAGE_BYTES as u64;
        let regions = vec![(page - 4, vec![1, 2, 3, 4]), (page + 2, vec![9, 9])];
        Dram::new(Arc::new(Image { regions, dram_bytes: 200_000 }))
    }

    #[test]
    fn reads_and_writes_cross_pages() {
        let mut dram = dram();
        let bytes: Vec<u8> = (0..150_000).map(|i| (i % 251) as u8).collect();
        let first = PAGE_BYTES as u64 + 10;
        dram.write(first, &bytes[..100_000]);
        assert_eq!(*dram.read(first, 100_000), bytes[..100_000]);
        assert_eq!(*dram.read(first + 99_999, 2), [bytes[99_999], POISON]);
        dram.poison();
        assert_eq!(*dram.read(first, 3), [POISON; 3]);
    }

    #[test]
    fn the_image_shows_through() {
        let mut dram = dram();
        let page = PAGE_BYTES as u64;
        dram.write(page - 5, &[7]);
        dram.write(page, &[5]);
        assert_eq!(*dram.read(page - 6, 11), [POISON, 7, 1, 2, 3, 4, 5, POISON, 9, 9, POISON]);
        assert_eq!(*dram.read(page - 3, 2), [2, 3]);
        dram.poison();
        assert_eq!(*dram.read(page - 5, 4), [POISON, 1, 2, 3]);
        assert_eq!(dram.pages.iter().flatten().count(), 2);
    }

    #[test]
    fn the_image_knows_its_bytes() {
        let image = dram().image;
        let page = PAGE_BYTES as u64;
        assert!(image.meets(&(page - 1..page)) && image.meets(&(0..page + 100)));
        assert!(!image.meets(&(page..page + 2)) && !image.meets(&(0..page - 4)));
    }
}
