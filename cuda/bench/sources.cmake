# The benchmark of kernels, for a GPU and for its emulation, relative to cuda/.
set(COMPACT_CUDA_BENCH_SOURCES
  bench/cases.cc
  bench/main.cc
  bench/timed_case.cc
)
# Compiled with the kernels: what the backend's table does not show.
set(COMPACT_CUDA_BENCH_DEVICE_SOURCES
  bench/device_parts.cu
)
