//! Register pages: the geometry that tile words of an engine find where register words left it.
//!
//! Code is straight-line, so what a page holds at each word is known without running anything: apply the words of an engine in
//! order.

use crate::inst::{Inst, Op};
use crate::instructions::{
    LoadGeom, MxuInput, MxuKernel, StoreGeom, VpuIn, VpuKernel, VpuOut, VpuQuant, VpuScale,
    VpuSide, VpuStride,
};

use super::AccessError;

/// A register group in the two pages of its engine.
type Group<T> = [Option<T>; 2];

/// Contents of all register pages of all engines; `Default` is the state at reset, nothing written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    load_geom: Group<LoadGeom>,
    mxu_kernel: Group<MxuKernel>,
    mxu_input: Group<MxuInput>,
    vpu_in: Group<VpuIn>,
    vpu_side: Group<VpuSide>,
    vpu_out: Group<VpuOut>,
    vpu_kernel: Group<VpuKernel>,
    vpu_quant: Group<VpuQuant>,
    vpu_scale: Group<VpuScale>,
    vpu_stride: Group<VpuStride>,
    store_geom: Group<StoreGeom>,
}

impl Pages {
    /// Takes note of a word; words that write no registers change nothing.
    pub fn apply(&mut self, inst: &Inst) {
        match inst.op {
            Op::LoadGeom(regs) => write(&mut self.load_geom, regs.page, regs),
            Op::MxuKernel(regs) => write(&mut self.mxu_kernel, regs.page, regs),
            Op::MxuInput(regs) => write(&mut self.mxu_input, regs.page, regs),
            Op::VpuIn(regs) => write(&mut self.vpu_in, regs.page, regs),
            Op::VpuSide(regs) => write(&mut self.vpu_side, regs.page, regs),
            Op::VpuOut(regs) => write(&mut self.vpu_out, regs.page, regs),
            Op::VpuKernel(regs) => write(&mut self.vpu_kernel, regs.page, regs),
            Op::VpuQuant(regs) => write(&mut self.vpu_quant, regs.page, regs),
            Op::VpuScale(regs) => write(&mut self.vpu_scale, regs.page, regs),
            Op::VpuStride(regs) => write(&mut self.vpu_stride, regs.page, regs),
            Op::StoreGeom(regs) => write(&mut self.store_geom, regs.page, regs),
            _ => {}
        }
    }
}

/// A page above 1 has no word (`access` refuses it), so nothing is lost by passing over it.
fn write<T>(group: &mut Group<T>, page: u32, regs: T) {
    if let Some(place) = group.get_mut(page as usize) {
        *place = Some(regs);
    }
}

/// One reader per register group.
macro_rules! readers {
    ($($name:ident: $group:ident),* $(,)?) => {
        impl Pages {
            $(
                #[doc = concat!("The registers of `", stringify!($group), "` in a page, or the error that nothing wrote them.")]
                pub fn $name(&self, page: u32) -> Result<&$group, AccessError> {
                    let regs = self.$name.get(page as usize).and_then(Option::as_ref);
                    regs.ok_or(AccessError::Unwritten { group: $group::DOC.mnemonic, page })
                }
            )*
        }
    };
}

readers! {
    load_geom: LoadGeom,
    mxu_kernel: MxuKernel,
    mxu_input: MxuInput,
    vpu_in: VpuIn,
    vpu_side: VpuSide,
    vpu_out: VpuOut,
    vpu_kernel: VpuKernel,
    vpu_quant: VpuQuant,
    vpu_scale: VpuScale,
    vpu_stride: VpuStride,
    store_geom: StoreGeom,
}
