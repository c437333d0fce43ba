; Elementwise (3*x + 1*x) / 2 = 2x, saturated to 8 bits.
; input 0 = 1 -2  100 -100  7 0
; output 0 = 2 -4  127 -128  14 0
.hardware tiny8
.tensor "x" shape=1x3x2 bits=8 scale=1 zero=0
.tensor "y" shape=1x3x2 bits=8 scale=1 zero=0
.input tensor=0 dram=0x0
.output tensor=1 dram=0x40
.code load
  load.geom page=0 rows=3 elems=2 bits=8 spad_stride=0 dram_stride=0
  load page=0 dst=0 src=0x0 count=1 signal=vpu @class=inputs
  halt
.code vpu
  vpu.in page=0 h=1 w=3 row_stride=3 block_stride=3 plane_stride=0
  vpu.side page=0 row_stride=3 block_stride=3 plane_stride=0 x_stride=1
  vpu.out page=0 row_stride=3 block_stride=3 plane_stride=0
  vpu.quant page=0 zero0=0 lo0=-128 hi0=127 zero1=0 lo1=-128 hi1=127
  vpu.scale page=0 ma=3 mb=1 shift=1 za=0 zb=0
  vpu.add page=0 a=0 b=0 dst=8 th=1 tw=3 blocks=1 wait=load signal=store
  halt
.code store
  store.geom page=0 rows=3 bytes=2 spad_stride=0 dram_stride=0
  store page=0 src=8 dst=0x40 count=1 wait=vpu @class=outputs
  halt
