; A 2x3 by 3x2 product with bias, halved: four sums, two of them ties that round to even.
;   pixel (1, 2, 3):  1*1 + 3*2 + 10 = 17 -> 8.5 -> 8      -1 + 2 = 1 -> 0.5 -> 0
;   pixel (-1, 0, 5): -1 + 5*2 + 10 = 19 -> 9.5 -> 10       1 + 0 = 1 -> 0.5 -> 0
; input 0 = 1 2 3  -1 0 5
; output 0 = 8 0  10 0
.hardware tiny8
.tensor "x" shape=1x2x3 bits=8 scale=1 zero=0
.tensor "y" shape=1x2x2 bits=8 scale=1 zero=0
.input tensor=0 dram=0x0
.output tensor=1 dram=0x40
.constants base=0x80
weights:                       ; one row per output channel
  .bytes 1 0 2  -1 1 0
params:
  .param bias=10 multiplier=1 shift=1
  .param bias=0 multiplier=1 shift=1
.code load
  load.geom page=0 rows=2 elems=3 bits=8 spad_stride=0 dram_stride=0
  load page=0 dst=0 src=0x0 count=1 @class=inputs
  load page=0 dst=8 src=weights count=1 signal=mxu @class=weights
  load.params slot=0 src=params base=0 count=2 signal=vpu @class=params
  halt
.code mxu
  mxu.kernel page=0 kh=1 kw=1 sy=1 sx=1 dy=1 dx=1 cols=2 pad=0
  mxu.input page=0 h=1 w=2 row_stride=2 block_stride=2 plane_stride=0
  mxu.conv page=0 act=0 wgt=8 acc=0 bank=0 th=1 tw=2 iy0=0 ix0=0 blocks=1 wait=load signal=vpu
  halt
.code vpu
  vpu.out page=0 row_stride=2 block_stride=2 plane_stride=0
  vpu.quant page=0 zero0=0 lo0=-128 hi0=127 zero1=0 lo1=-128 hi1=127
  vpu.drain page=0 acc=0 bank=0 dst=16 lane=0 th=1 tw=2 cols=2 slot=0 base=0 b=0 wait=load,mxu signal=store
  halt
.code store
  store.geom page=0 rows=2 bytes=2 spad_stride=0 dram_stride=0
  store page=0 src=16 dst=0x40 count=1 wait=vpu @class=outputs
  halt
