// Compiled once per instruction set, see sources.txt: -DPANNA_ISA names it.
#include "cpu/so3krates_kernels.h"

#include "cpu/so3krates_attend_back.h"
#include "cpu/so3krates_transform.h"

namespace panna_plus::PANNA_ISA {
namespace {

template <class T>
std::size_t attention_scratch(const So3kratesLayerView<T> &layer) {
  constexpr std::size_t W = Pack<T>::width;
  const ShapeView<T> &shape = *layer.shape;
  const std::size_t chunks = layer.features.chunks.n > layer.vectors.chunks.n ? layer.features.chunks.n
                                                                              : layer.vectors.chunks.n;
  const std::size_t width = layer.features.chunks.width() > layer.vectors.chunks.width()
                                ? layer.features.chunks.width()
                                : layer.vectors.chunks.width();
  const std::size_t n_sums = 2 * tile_pairs * (chunks + W) + W;
  const std::size_t of_pair = 8 * shape.components + 6 * shape.narrow + 2 * n_hermite + W + 8 + width;
  return tile_pairs * of_pair + n_sums * (W + 2) + 32 * 16;
}

template <class T>
std::size_t block_scratch(const So3kratesLayerView<T> &layer, const HeadView<T> &head) {
  const ShapeView<T> &shape = *layer.shape;
  const std::size_t of_row = 9 * shape.features + 4 * shape.components + 2 * layer.exchange.forward.padded +
                             head.inner.forward.padded + layer.features.chunks.width() + layer.vectors.chunks.width();
  return block_rows * of_row + 16 * 16;
}

template <class T>
std::size_t scratch_size(const So3kratesLayerView<T> &layer, const HeadView<T> &head) {
  const std::size_t tile = attention_scratch(layer), block = block_scratch(layer, head);
  return tile > block ? tile : block;
}

template <class T>
constexpr So3kratesKernels<T> kernels() {
  return {Pack<T>::width, scratch_size<T>, project<T>,       project_back<T>, attend<T>,
          attend_back<T>, transform<T>,    transform_back<T>, read_out<T>};
}

}  // namespace

extern const So3kratesKernels<float> single_so3krates;
extern const So3kratesKernels<double> double_so3krates;
const So3kratesKernels<float> single_so3krates = kernels<float>();
const So3kratesKernels<double> double_so3krates = kernels<double>();

}  // namespace panna_plus::PANNA_ISA
