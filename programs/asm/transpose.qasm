; Two pixels of three channels become three pixels of two channels.
; input 0 = 1 2 3  4 5 6
; output 0 = 1 4  2 5  3 6
.hardware tiny8
.tensor "x" shape=1x2x3 bits=8 scale=1 zero=0
.tensor "y" shape=1x3x2 bits=8 scale=1 zero=0
.input tensor=0 dram=0x0
.output tensor=1 dram=0x40
.code load
  load.geom page=0 rows=2 elems=3 bits=8 spad_stride=0 dram_stride=0
  load page=0 dst=0 src=0x0 count=1 signal=vpu @class=inputs
  halt
.code vpu
  vpu.stride page=0 src0=1 src1=8 dst0=8 dst1=1     ; outer: channel, inner: pixel; 8 bytes a row
  vpu.move page=0 src=0 src_lane=0 dst=4 dst_lane=0 outer=3 inner=2 len=1 wait=load signal=store
  halt
.code store
  store.geom page=0 rows=3 bytes=2 spad_stride=0 dram_stride=0
  store page=0 src=4 dst=0x40 count=1 wait=vpu @class=outputs
  halt
