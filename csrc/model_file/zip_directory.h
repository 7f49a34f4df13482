// The central directory of a zip archive held in memory, and its uncompressed members.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace panna_plus {

struct ZipMember {
  std::string name;
  std::uint16_t method = 0;  // 0: stored
  std::uint16_t flags = 0;   // bit 0: encrypted
  std::uint32_t crc = 0;
  std::uint64_t compressed_size = 0, size = 0;
  std::uint64_t header_offset = 0;
};

class ZipDirectory {
 public:
  /// Reads the directory (zip64 included); `what` names the archive in errors. Duplicate member names
  /// and anything that points outside the archive are a Failure.
  ZipDirectory(std::string_view archive, std::string what);

  const std::vector<ZipMember> &members() const { return members_; }
  /// Bytes of a stored member. Sizes and CRC-32 come from the directory: local headers may hold zeros.
  std::string_view stored_bytes(const ZipMember &member) const;

 private:
  struct Extent {
    std::uint64_t offset, size, n_members;
  };
  Extent find_directory() const;
  Extent zip64_directory(std::size_t end_record) const;
  void read_members(Extent extent);
  ZipMember read_member(std::size_t &at, std::size_t end) const;
  void apply_zip64_sizes(ZipMember &member, std::string_view extra) const;
  [[noreturn]] void fail(const std::string &problem) const;

  std::string_view archive_;
  std::string what_;
  std::uint64_t directory_offset_ = 0;
  std::vector<ZipMember> members_;
};

}  // namespace panna_plus
