//! The functional machine: executes a program on values, one word after another.
//!
//! What follows from the program alone (that it is sound, which order the semaphores allow, what lies in DRAM) is found once
//! ([`Prepared`]) and shared; what changes from image to image is a [`Machine`], of which every thread has its own. Values never see a cycle:
//! how long a program takes is the business of the `timing` crate.
#![deny(clippy::float_arithmetic)]

mod error;
mod order;
mod race;
mod upset;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use error::{Location, SimError};
pub use order::Order;
pub use race::{Interleavings, Race};
pub use upset::{Cell, Upset};

use isa::access::{Pages, Stream, access};
use isa::inst::Engine;
use isa::layout;
use isa::program::{IoBinding, Program, TensorInfo, TileNote};

use crate::exec::region::Region;
use crate::exec::{Kernels, Scratch, Trap, execute_fast, execute_reference};
use crate::memory::{Guard, Image, Memory};

/// Most bytes of an input or output.
const MAX_TENSOR_BYTES: u64 = 1 << 30;

/// A program found sound, ready to run any number of times.
#[derive(Debug)]
pub struct Prepared<'p> {
    program: &'p Program,
    image: Arc<Image>,
}

impl<'p> Prepared<'p> {
    /// Checks the program and lays out its DRAM.
    ///
    /// # Errors
    /// When [`Program::check`] finds anything, a store would overwrite constants or code, or a tensor or noted tile is absurdly large.
    pub fn new(program: &'p Program) -> Result<Prepared<'p>, SimError> {
        let errors = program.check();
        if !errors.is_empty() {
            return Err(SimError::Program(errors));
        }
        let prepared = Prepared { program, image: Arc::new(Image::new(program)) };
        for binding in program.inputs.iter().chain(&program.outputs) {
            let tensor = &program.tensors[binding.tensor as usize];
            let (bytes, limit) = (layout::dram_bytes(tensor.shape, tensor.bits), MAX_TENSOR_BYTES);
            if bytes > limit {
                return Err(SimError::TensorTooLarge { name: tensor.name.clone(), bytes, limit });
            }
        }
        prepared.check_stores()?;
        prepared.check_tiles()?;
        Ok(prepared)
    }

    /// The program.
    pub fn program(&self) -> &'p Program {
        self.program
    }

    /// The program with bits of its constants flipped where they lie in DRAM: byte and bit (0..8) in it. A bit named twice is as it
    /// was, and a byte that is no constant or code has nothing to flip. Nothing is checked again: a constant is data.
    #[must_use]
    pub fn with_flipped(&self, bits: &[(u64, u32)]) -> Prepared<'p> {
        Prepared { program: self.program, image: Arc::new(self.image.flipped(bits)) }
    }

    /// What the program brings along must be the same for every image.
    fn check_stores(&self) -> Result<(), SimError> {
        let mut pages = Pages::default();
        for (index, inst) in self.program.section(Engine::Store).words.iter().enumerate() {
            pages.apply(inst);
            let at = || Box::new(Location::new(self.program, Engine::Store, index));
            let accesses = access(inst, &pages, &self.program.hardware)
                .map_err(|error| SimError::Trap { at: at(), trap: Box::new(error.into()) })?;
            for access in accesses.iter().filter(|access| access.stream == Stream::StoreWrite) {
                for run in access.rows.intervals() {
                    let run = run.start.unsigned_abs()..run.end.unsigned_abs();
                    if self.image.meets(&run) {
                        return Err(SimError::ReadOnly {
                            at: at(),
                            first: run.start,
                            end: run.end,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// A tile that strides fold onto itself could claim any number of elements.
    fn check_tiles(&self) -> Result<(), SimError> {
        let limit = self.program.hardware.scratchpad_bytes();
        for engine in Engine::ALL {
            for (index, note) in self.program.section(engine).notes.iter().enumerate() {
                let Some(tile) = note.tile else { continue };
                let found = layout::value_count(tile.extent);
                if found > limit {
                    let at = Box::new(Location::new(self.program, engine, index));
                    return Err(SimError::Tile { at, tensor: tile.tensor, found, limit });
                }
            }
        }
        Ok(())
    }
}

/// Is shown every piece of a tensor when it is complete.
pub trait Observer {
    /// `values` are the elements of the box that `tile` describes, in `[h, w, c]` order.
    fn tile(&mut self, tile: &TileNote, values: Vec<i32>);
}

/// One machine with its memories: write the inputs, run, read the outputs.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    prepared: &'a Prepared<'a>,
    kernels: Kernels,
    memory: Memory,
    scratch: Scratch,
}

impl<'a> Machine<'a> {
    /// A machine in which nothing has been written but what the program brings along.
    pub fn new(prepared: &'a Prepared<'a>, kernels: Kernels) -> Machine<'a> {
        let mut memory = Memory::new(&prepared.program.hardware, Arc::clone(&prepared.image));
        if kernels == Kernels::Reference {
            memory.guard = Some(Guard::new(&prepared.program.hardware));
        }
        Machine { prepared, kernels, memory, scratch: Scratch::default() }
    }

    /// Returns to the state after [`Machine::new`], as every image begins. Without it the next run finds all memories as the last one
    /// left them.
    pub fn reset(&mut self) {
        self.memory.poison();
    }

    /// Writes network input `index`, `[h, w, c]` row-major.
    ///
    /// # Errors
    /// When there is no such input, or the values are too many, too few or too large for it.
    pub fn write_input(&mut self, index: usize, values: &[i32]) -> Result<(), SimError> {
        let program = self.prepared.program;
        let (binding, tensor) = binding(program, "input", &program.inputs, index)?;
        let bytes = layout::pack(values, tensor.shape, tensor.bits, program.hardware.array_rows)
            .map_err(|source| SimError::Layout { name: tensor.name.clone(), source })?;
        self.memory.dram.write(binding.dram, &bytes);
        Ok(())
    }

    /// Reads network output `index`, `[h, w, c]` row-major.
    ///
    /// # Errors
    /// When there is no such output.
    pub fn read_output(&self, index: usize) -> Result<Vec<i32>, SimError> {
        let program = self.prepared.program;
        let (binding, tensor) = binding(program, "output", &program.outputs, index)?;
        let len =
            usize::try_from(layout::dram_bytes(tensor.shape, tensor.bits)).expect("at most 2^30");
        let bytes = self.memory.dram.read(binding.dram, len);
        layout::unpack(&bytes, tensor.shape, tensor.bits, program.hardware.array_rows)
            .map_err(|source| SimError::Layout { name: tensor.name.clone(), source })
    }

    /// Executes the whole program. `order` must be one of the same program. An observer is shown each noted tile right after its
    /// word.
    ///
    /// # Errors
    /// [`SimError::Trap`]: a parameter entry makes no sense, or, in a reference run, a partial sum does not fit the accumulator.
    pub fn run(
        &mut self,
        order: &Order,
        observer: Option<&mut dyn Observer>,
    ) -> Result<(), SimError> {
        self.run_upset(order, &[], observer)
    }

    /// Like [`Machine::run`], while bits of the memories flip. `upsets` are in order of their steps.
    ///
    /// # Errors
    /// As [`Machine::run`].
    pub fn run_upset(
        &mut self,
        order: &Order,
        upsets: &[Upset],
        mut observer: Option<&mut dyn Observer>,
    ) -> Result<(), SimError> {
        let program = self.prepared.program;
        let mut pages = Pages::default();
        let mut upsets = upsets.iter().peekable();
        for (step, (engine, index)) in order.steps().enumerate() {
            while let Some(upset) = upsets.next_if(|upset| upset.step <= step) {
                upset.strike(&mut self.memory);
            }
            let section = program.section(engine);
            let Some(inst) = section.words.get(index) else { continue };
            pages.apply(inst);
            let executed = match self.kernels {
                Kernels::Fast => execute_fast(inst, &pages, &mut self.memory, &mut self.scratch),
                Kernels::Reference => execute_reference(inst, &pages, &mut self.memory),
            };
            executed.map_err(|trap: Trap| SimError::Trap {
                at: Box::new(Location::new(program, engine, index)),
                trap: Box::new(trap),
            })?;
            if let (Some(observer), Some(tile)) =
                (&mut observer, section.notes.get(index).and_then(|note| note.tile))
            {
                observer.tile(&tile, self.tile(&tile));
            }
        }
        Ok(())
    }

    /// The elements of a noted tile, `[h, w, c]`.
    fn tile(&self, note: &TileNote) -> Vec<i32> {
        let wide = self.prepared.program.tensors[note.tensor as usize].bits > 8;
        let (region, lanes) = (Region::noted(note, wide), self.memory.lanes());
        let [h, w, c] = note.extent;
        let mut values = Vec::with_capacity(h as usize * w as usize * c as usize);
        for y in 0..h {
            for x in 0..w {
                for channel in note.lane..note.lane + c {
                    let row = region.row(channel / lanes, y, x);
                    values.push(self.memory.peek(&region, row, channel % lanes));
                }
            }
        }
        values
    }
}

fn binding<'p>(
    program: &'p Program,
    kind: &'static str,
    bindings: &'p [IoBinding],
    index: usize,
) -> Result<(&'p IoBinding, &'p TensorInfo), SimError> {
    let binding =
        bindings.get(index).ok_or(SimError::NoBinding { kind, index, count: bindings.len() })?;
    Ok((binding, &program.tensors[binding.tensor as usize]))
}
