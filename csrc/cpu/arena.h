#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

namespace panna_plus {

/// Memory that is handed out piece by piece and taken back all at once. Pieces are aligned to 64 bytes
/// and stay where they are; blocks are kept for the next round.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena &) = delete;
  Arena &operator=(const Arena &) = delete;
  ~Arena() {
    for (const Block &block : blocks_) std::free(block.memory);
  }

  template <class T>
  T *take(std::size_t n) {
    const std::size_t bytes = (n * sizeof(T) + alignment - 1) / alignment * alignment;
    while (current_ < blocks_.size() && blocks_[current_].size - used_ < bytes) {
      ++current_;
      used_ = 0;
    }
    if (current_ == blocks_.size()) add_block(bytes);
    void *piece = static_cast<char *>(blocks_[current_].memory) + used_;
    used_ += bytes;
    return static_cast<T *>(piece);
  }

  void reset() {
    current_ = 0;
    used_ = 0;
  }

  std::size_t capacity() const {
    std::size_t bytes = 0;
    for (const Block &block : blocks_) bytes += block.size;
    return bytes;
  }

 private:
  static constexpr std::size_t alignment = 64, smallest_block = 1u << 18;

  struct Block {
    void *memory;
    std::size_t size;
  };

  void add_block(std::size_t bytes) {
    const std::size_t size = bytes > smallest_block ? bytes : smallest_block;
    blocks_.reserve(blocks_.size() + 1);
    void *memory = std::aligned_alloc(alignment, size);
    if (!memory) throw std::bad_alloc();
    blocks_.push_back({memory, size});
  }

  std::vector<Block> blocks_;
  std::size_t current_ = 0, used_ = 0;
};

}  // namespace panna_plus
