#include "cuda/pair_descriptor.h"

#include <string>

#include "cuda/descriptor.h"
#include "cuda/device.h"
#include "cuda/slot_memory.h"

namespace panna_plus {
namespace cuda {
namespace {

template <class T>
class PairDescriptor final : public DeviceDescriptor {
 public:
  /// `device` is current.
  PairDescriptor(const PannaParameters &parameters, int device) : device_(device), descriptor_(parameters, stream_) {}

  int n_features() const override { return descriptor_.view().n_features; }
  std::size_t memory(std::int64_t n_centers, std::int64_t n_pairs) const override;
  void forward(const DevicePairs &pairs, const DeviceCall &call, void *features) const override;
  void backward(const DevicePairs &pairs, const DeviceCall &call, const void *g, void *gradients) const override;
  void tangent(const DevicePairs &pairs, const DeviceCall &call, const void *v, void *features) const override;
  void explain(unsigned long long error) const override;

 private:
  struct Memory {
    SlotView<T> slots;
    T *slot_gradients;
    ErrorWord *row_error;
  };

  static cudaStream_t stream_of(const DeviceCall &call) { return static_cast<cudaStream_t>(call.stream); }
  Memory cut(Cutter &cutter, const DevicePairs &pairs) const;
  Memory sorted(const DevicePairs &pairs, const DeviceCall &call, T *gradients) const;

  int device_;
  Stream stream_;
  Descriptor<T> descriptor_;
};

template <class T>
typename PairDescriptor<T>::Memory PairDescriptor<T>::cut(Cutter &cutter, const DevicePairs &pairs) const {
  const SlotView<T> slots =
      cut_slots<T>(cutter, pairs.row_start, pairs.n_centers, pairs.n_pairs, descriptor_.view().n_species);
  T *const slot_gradients = cutter.take<T>(3 * static_cast<std::size_t>(pairs.n_pairs));
  return {slots, slot_gradients, cutter.take<ErrorWord>(1)};
}

template <class T>
std::size_t PairDescriptor<T>::memory(std::int64_t n_centers, std::int64_t n_pairs) const {
  Cutter cutter(nullptr);
  DevicePairs sizes;
  sizes.n_centers = n_centers;
  sizes.n_pairs = n_pairs;
  (void)cut(cutter, sizes);
  return cutter.bytes();
}

/// The pairs inside the cutoff in their slots; the gradients of all others become 0. The error word is set first.
template <class T>
typename PairDescriptor<T>::Memory PairDescriptor<T>::sorted(const DevicePairs &pairs, const DeviceCall &call,
                                                             T *gradients) const {
  Cutter cutter(call.memory);
  const Memory found = cut(cutter, pairs);
  require(pairs.n_centers > 0 || pairs.n_pairs == 0,
          "row_start: expected the pairs of every center, found " + std::to_string(pairs.n_pairs) +
              " pairs and no center");
  for (ErrorWord *error : {call.error, found.row_error}) fill_bytes(error, 0xff, 1, stream_of(call));
  check_rows(pairs.row_start, pairs.n_centers, pairs.n_pairs, found.row_error, stream_of(call));
  const PairSource source{pairs.displacements, pairs.species, pairs.long_species, found.row_error};
  sort_neighbors(source, descriptor_.limits(), found.slots, gradients, call.error, stream_of(call));
  return found;
}

template <class T>
void PairDescriptor<T>::forward(const DevicePairs &pairs, const DeviceCall &call, void *features) const {
  const CurrentDevice current(device_);
  descriptor_.describe(sorted(pairs, call, nullptr).slots, static_cast<T *>(features), stream_of(call));
}

template <class T>
void PairDescriptor<T>::backward(const DevicePairs &pairs, const DeviceCall &call, const void *g,
                                 void *gradients) const {
  const CurrentDevice current(device_);
  T *const out = static_cast<T *>(gradients);
  const Memory found = sorted(pairs, call, out);
  descriptor_.contract(found.slots, static_cast<const T *>(g), found.slot_gradients, out, nullptr, stream_of(call));
}

template <class T>
void PairDescriptor<T>::tangent(const DevicePairs &pairs, const DeviceCall &call, const void *v, void *features) const {
  const CurrentDevice current(device_);
  descriptor_.tangent(sorted(pairs, call, nullptr).slots, static_cast<const T *>(v), static_cast<T *>(features),
                      stream_of(call));
}

template <class T>
void PairDescriptor<T>::explain(unsigned long long error) const {
  if (~error == 0) return;
  const std::string center = "center " + std::to_string(error >> 8);
  require((error & 0xff) != too_many_neighbors, center + crowded);
  require((error & 0xff) != bad_list, "row_start, at " + center +
                                          ": expected values that ascend from 0 to the number of pairs, found others: "
                                          "sort the pairs by their center and count them");
  throw Failure(center +
                ": expected displacements of finite length above 1e-8 angstrom, and neighbors of species 0 to " +
                std::to_string(descriptor_.view().n_species - 1) +
                ", found another one: check the positions and the element mapping");
}

}  // namespace
}  // namespace cuda

std::unique_ptr<DeviceDescriptor> build_panna_device_descriptor(const PannaParameters &parameters, Precision precision,
                                                                int device) {
  cuda::require_device(device);
  const cuda::CurrentDevice current(device);
  if (precision == Precision::mixed) return std::make_unique<cuda::PairDescriptor<float>>(parameters, device);
  return std::make_unique<cuda::PairDescriptor<double>>(parameters, device);
}

}  // namespace panna_plus
