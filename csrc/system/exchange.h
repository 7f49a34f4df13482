// How what atoms became reaches the rows that are their images, in one process or in many.
#pragma once

#include <cstdint>

namespace panna_plus {

/// Every process calls the same functions in the same order, from one thread, with and without atoms of its own.
class Exchange {
 public:
  virtual ~Exchange() = default;

  /// False: the rows within reach of the centres have neighbour lists of their own, and to_images is not called.
  virtual bool has_images() const = 0;
  /// values (n_atoms, width): rows of images become those of their atoms.
  virtual void to_images(double *values, int width) const = 0;
  /// values (n): their sums over all processes.
  virtual void sum(double *values, int n) const = 0;
  /// (n_atoms) the row of the atom that each row is an image of, or is, where all of them are rows of this process;
  /// else null.
  virtual const std::int32_t *owners() const { return nullptr; }
};

/// All atoms in this process.
class OwnersExchange : public Exchange {
 public:
  /// owners (n_atoms): the row of the atom that each row is an image of, or is; kept as a view. A Failure if one of
  /// them is no row of an atom.
  OwnersExchange(std::int64_t n_atoms, const std::int32_t *owners);

  bool has_images() const override { return true; }
  void to_images(double *values, int width) const override;
  void sum(double *, int) const override {}
  const std::int32_t *owners() const override { return owners_; }

 private:
  std::int64_t n_atoms_;
  const std::int32_t *owners_;
};

}  // namespace panna_plus
