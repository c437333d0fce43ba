; Softmax of (0, -1) with exponentials 256 and 128: T = 384,
;   (512*256 + 384) / 768 = 171 -> 43,   (512*128 + 384) / 768 = 85 -> -43.
; input 0 = 0 -1
; output 0 = 43 -43
.hardware tiny8
.tensor "x" shape=1x1x2 bits=8 scale=1 zero=0
.tensor "y" shape=1x1x2 bits=8 scale=0.00390625 zero=-128
.input tensor=0 dram=0x0
.output tensor=1 dram=0x40
.constants base=0x80
exp:
  .i32 256 128
  .zeros 1016
.code load
  load.table slot=0 src=exp bytes=1024 @class=params
  load.geom page=0 rows=1 elems=2 bits=8 spad_stride=0 dram_stride=0
  load page=0 dst=0 src=0x0 count=1 signal=vpu @class=inputs
  halt
.code vpu
  vpu.in page=0 h=0 w=0 row_stride=1 block_stride=1 plane_stride=0
  vpu.out page=0 row_stride=1 block_stride=1 plane_stride=0
  vpu.softmax page=0 a=0 dst=4 th=1 tw=1 channels=2 slot=0 wait=load signal=store
  halt
.code store
  store.geom page=0 rows=1 bytes=2 spad_stride=0 dram_stride=0
  store page=0 src=4 dst=0x40 count=1 wait=vpu @class=outputs
  halt
