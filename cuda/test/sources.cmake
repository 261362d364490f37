# Tests of the CUDA backend, for a GPU and for its emulation, relative to cuda/.
set(COMPACT_CUDA_TEST_SOURCES
  test/large.cc
  test/main.cc
  test/test_attention.cc
  test/test_backend.cc
  test/test_elementwise.cc
  test/test_kernel_choice.cc
  test/test_large.cc
  test/test_large_products.cc
  test/test_large_rows.cc
  test/test_losses.cc
  test/test_optimizers.cc
  test/test_products.cc
  test/test_rows.cc
)
# What each of the two has beside them.
set(COMPACT_EMULATION_TEST_SOURCES
  test/test_blas_lt.cc
  test/test_faults.cc
  test/test_grids.cc
  test/test_panels.cc
  test/test_runs.cc
  test/thread_orders_emulated.cc
)
set(COMPACT_GPU_TEST_SOURCES
  test/thread_orders_gpu.cc
)
