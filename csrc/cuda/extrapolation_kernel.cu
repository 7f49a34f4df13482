// Extrapolation: a quadratic form of the standardized features of every centre, a block per group of centres.
#include "cuda/group_layers.h"

namespace panna_plus::cuda {
namespace {

/// y (components, row_length) = components times x.
template <class T>
__device__ __forceinline__ void project(const LayerView<T> &components, const T *x, T *y) {
  for_each_tile(components.n_out, [&](int o, int m) {
    const T *none = nullptr;
    const Sums<T> sums =
        multiplied(components.forward + o, components.forward_stride, none, x + m, components.n_in);
    PANNA_UNROLL
    for (int k = 0; k < tile; ++k) {
      if (o + k >= components.n_out) break;
      PANNA_UNROLL
      for (int c = 0; c < tile; ++c) y[(o + k) * row_length + m + c] = sums.value[k][c];
    }
  });
}

/// The form at centre m of the group.
template <class T>
__device__ __forceinline__ T form_of(const FormView<T> &form, const LayerView<T> &components, const T *x, const T *y,
                                     int m) {
  T total(0), beside(0);
  for (int f = 0; f < components.n_in; ++f) beside += x[f * row_length + m] * x[f * row_length + m];
  for (int k = 0; k < components.n_out; ++k) {
    const T square = y[k * row_length + m] * y[k * row_length + m];
    total += form.weights[k] * square;
    beside -= square;
  }
  // Rounding may leave less than nothing.
  return total + form.weight_beside * (beside > T(0) ? beside : T(0));
}

template <class T>
__global__ void __launch_bounds__(group_threads)
    extrapolation_kernel(NetworkInput<T> input, NetworkMemory<T> memory, std::size_t numbers, const FormView<T> *forms,
                         double *values) {
  const GroupMemory<T> arrays = memory_of_block(memory, numbers);
  for (std::int64_t g = blockIdx.x; g < input.groups.n_groups; g += gridDim.x) {
    const Group group = group_at(input.groups, g);
    const LayerView<T> &components = input.layers[group.element];
    load_features(input, input.networks[group.element], group, arrays.x);
    __syncthreads();
    project(components, arrays.x, arrays.y);
    __syncthreads();
    const int m = int(threadIdx.x);
    if (m < group.n) {
      values[group.first + m] = sqrt(double(form_of(forms[group.element], components, arrays.x, arrays.y, m)));
    }
    __syncthreads();
  }
}

}  // namespace

template <class T>
void measure_extrapolation(const NetworkInput<T> &input, const FormView<T> *forms, const NetworkMemory<T> &memory,
                           std::size_t shared_limit, double *values, cudaStream_t stream) {
  launch_groups(extrapolation_kernel<T>, input, memory, shared_limit, stream, forms, values);
}

#define PANNA_INSTANTIATE(T)                                                                              \
  template void measure_extrapolation(const NetworkInput<T> &, const FormView<T> *, const NetworkMemory<T> &, \
                                      std::size_t, double *, cudaStream_t);

PANNA_INSTANTIATE(float)
PANNA_INSTANTIATE(double)

}  // namespace panna_plus::cuda
