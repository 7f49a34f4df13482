// The descriptor of a family on a device, apart from any potential: what operators for training call.
#pragma once

#include <cstddef>
#include <cstdint>

namespace panna_plus {

/// Directed pairs sorted by centre, all of it memory of the device. Pairs beyond the cutoff are legal.
struct DevicePairs {
  std::int64_t n_centers = 0, n_pairs = 0;
  const double *displacements = nullptr;    // (n_pairs, 3), x_j - x_i, angstrom
  const std::int64_t *row_start = nullptr;  // (n_centers + 1)
  // (n_pairs) species of the neighbours, in one of two widths
  const std::int32_t *species = nullptr;
  const std::int64_t *long_species = nullptr;
};

/// What a call needs besides its arguments; nothing is allocated and nothing waits.
struct DeviceCall {
  void *memory;               // see DeviceDescriptor::memory, aligned to 256 bytes
  unsigned long long *error;  // on the device, written by the call; see DeviceDescriptor::explain
  void *stream;               // cudaStream_t
};

/// Immutable: calls on several streams may overlap, each with memory of its own. Arrays that are void hold "numbers",
/// float or double: the precision that the descriptor was made with.
class DeviceDescriptor {
 public:
  virtual ~DeviceDescriptor() = default;

  virtual int n_features() const = 0;
  /// Bytes of device memory that a call needs.
  virtual std::size_t memory(std::int64_t n_centers, std::int64_t n_pairs) const = 0;

  /// features (n_centers, n_features) = G.
  virtual void forward(const DevicePairs &pairs, const DeviceCall &call, void *features) const = 0;
  /// gradients (n_pairs, 3) = sum over the features of a centre of g (n_centers, n_features) times dG/dr.
  virtual void backward(const DevicePairs &pairs, const DeviceCall &call, const void *g, void *gradients) const = 0;
  /// features (n_centers, n_features) = sum over the pairs of a centre of dG/dr times v (n_pairs, 3).
  virtual void tangent(const DevicePairs &pairs, const DeviceCall &call, const void *v, void *features) const = 0;

  /// A Failure that says what the error word of a call means, unless all of its bits are set. What a call with an
  /// error computed means nothing.
  virtual void explain(unsigned long long error) const = 0;
};

}  // namespace panna_plus
