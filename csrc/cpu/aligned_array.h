#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace panna_plus {

/// Plain numbers, aligned to 64 bytes, whose memory is kept for the next evaluation.
template <class T>
class AlignedArray {
 public:
  /// Room for n numbers; what it holds is unspecified.
  T *sized(std::size_t n) {
    if (n > capacity_) grow(n);
    return data_.get();
  }
  /// n zeros.
  T *zeroed(std::size_t n) {
    sized(n);
    for (std::size_t k = 0; k < n; ++k) data_.get()[k] = T(0);
    return data_.get();
  }
  T *data() const { return data_.get(); }
  std::size_t capacity() const { return capacity_; }

 private:
  struct Free {
    void operator()(T *memory) const { std::free(memory); }
  };

  void grow(std::size_t n) {
    constexpr std::size_t line = 64;
    const std::size_t room = n + n / 8, bytes = (room * sizeof(T) + line - 1) / line * line;
    capacity_ = 0;
    data_.reset(static_cast<T *>(std::aligned_alloc(line, bytes)));
    if (!data_) throw std::bad_alloc();
    capacity_ = room;
  }

  std::unique_ptr<T, Free> data_;
  std::size_t capacity_ = 0;
};

}  // namespace panna_plus
