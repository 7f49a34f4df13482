// One piece of device memory for the slots of a set of pairs, cut into the arrays of a SlotView.
#pragma once

#include <cstddef>

#include "cuda/views.h"

namespace panna_plus::cuda {

/// Cuts consecutive arrays from memory; without memory it only counts. Every array starts at a multiple of 256 bytes.
class Cutter {
 public:
  explicit Cutter(void *memory) : memory_(static_cast<unsigned char *>(memory)) {}

  template <class V>
  V *take(std::size_t n) {
    unsigned char *const here = memory_ ? memory_ + bytes_ : nullptr;
    bytes_ += (n * sizeof(V) + 255) / 256 * 256;
    return reinterpret_cast<V *>(here);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  unsigned char *memory_;
  std::size_t bytes_ = 0;
};

/// Slots of n_entries pairs of n_centers centres in memory that `cutter` has.
template <class T>
SlotView<T> cut_slots(Cutter &cutter, const std::int64_t *start, std::int64_t n_centers, std::int64_t n_entries,
                      int n_species) {
  const std::size_t n = static_cast<std::size_t>(n_entries);
  SlotView<T> slots{};
  slots.n_centers = n_centers;
  slots.n_species = n_species;
  slots.start = start;
  slots.bins = cutter.take<int>(static_cast<std::size_t>(n_centers) * static_cast<std::size_t>(2 * n_species + 1));
  slots.direction = cutter.take<Four<T>>(n);
  slots.radial_cut = cutter.take<Two<T>>(n);
  slots.angular_cut = cutter.take<Two<T>>(n);
  slots.entry = cutter.take<int>(n);
  return slots;
}

}  // namespace panna_plus::cuda
