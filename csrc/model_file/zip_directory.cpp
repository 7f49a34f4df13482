#include "model_file/zip_directory.h"

#include <set>

#include "model_file/checksums.h"
#include "system/failure.h"

namespace panna_plus {
namespace {

// Sizes and signatures of the records of the format (APPNOTE 6.3, sections 4.3.7 to 4.3.16).
constexpr std::size_t end_size = 22, zip64_end_size = 56, zip64_locator_size = 20;
constexpr std::size_t entry_size = 46, local_size = 30;
constexpr std::uint64_t end_signature = 0x06054b50, zip64_end_signature = 0x06064b50,
                        zip64_locator_signature = 0x07064b50, entry_signature = 0x02014b50,
                        local_signature = 0x04034b50;
constexpr std::uint64_t in_zip64 = 0xffffffff;

std::uint64_t little_endian(std::string_view bytes, std::size_t at, std::size_t n) {
  std::uint64_t value = 0;
  for (std::size_t k = n; k-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + k]);
  return value;
}

}  // namespace

ZipDirectory::ZipDirectory(std::string_view archive, std::string what) : archive_(archive), what_(std::move(what)) {
  read_members(find_directory());
}

void ZipDirectory::fail(const std::string &problem) const {
  throw Failure(what_ + ": " + problem + "; the file is damaged or not a model file: copy or export it again");
}

ZipDirectory::Extent ZipDirectory::find_directory() const {
  if (archive_.size() < end_size) fail("expected a zip archive, found " + std::to_string(archive_.size()) + " bytes");
  const std::size_t last = archive_.size() - end_size;
  const std::size_t first = last > 0xffff ? last - 0xffff : 0;
  for (std::size_t at = last + 1; at-- > first;) {
    if (little_endian(archive_, at, 4) != end_signature) continue;
    if (at + end_size + little_endian(archive_, at + 20, 2) != archive_.size()) continue;
    const Extent extent{little_endian(archive_, at + 16, 4), little_endian(archive_, at + 12, 4),
                        little_endian(archive_, at + 10, 2)};
    const bool big = extent.offset == in_zip64 || extent.size == in_zip64 || extent.n_members == 0xffff;
    return big ? zip64_directory(at) : extent;
  }
  fail("expected a zip archive, found no end-of-directory record");
}

ZipDirectory::Extent ZipDirectory::zip64_directory(std::size_t end_record) const {
  if (end_record < zip64_locator_size ||
      little_endian(archive_, end_record - zip64_locator_size, 4) != zip64_locator_signature) {
    fail("the zip64 locator is missing");
  }
  const std::uint64_t at = little_endian(archive_, end_record - zip64_locator_size + 8, 8);
  if (at > archive_.size() || archive_.size() - at < zip64_end_size ||
      little_endian(archive_, at, 4) != zip64_end_signature) {
    fail("the zip64 end-of-directory record is not where its locator says");
  }
  return {little_endian(archive_, at + 48, 8), little_endian(archive_, at + 40, 8),
          little_endian(archive_, at + 32, 8)};
}

void ZipDirectory::read_members(Extent extent) {
  if (extent.offset > archive_.size() || extent.size > archive_.size() - extent.offset) {
    fail("the central directory lies outside the file");
  }
  if (extent.n_members > extent.size / entry_size) fail("the central directory is too short for its entries");
  directory_offset_ = extent.offset;
  std::size_t at = extent.offset;
  const std::size_t end = extent.offset + extent.size;
  std::set<std::string> names;
  for (std::uint64_t k = 0; k < extent.n_members; ++k) {
    members_.push_back(read_member(at, end));
    if (!names.insert(members_.back().name).second) {
      fail("the member '" + members_.back().name + "' appears twice");
    }
  }
}

ZipMember ZipDirectory::read_member(std::size_t &at, std::size_t end) const {
  if (end - at < entry_size || little_endian(archive_, at, 4) != entry_signature) {
    fail("a broken entry in the central directory at byte " + std::to_string(at));
  }
  const std::size_t name_size = little_endian(archive_, at + 28, 2);
  const std::size_t extra_size = little_endian(archive_, at + 30, 2);
  const std::size_t comment_size = little_endian(archive_, at + 32, 2);
  if (end - at - entry_size < name_size + extra_size + comment_size) {
    fail("an entry of the central directory runs past its end");
  }
  ZipMember member;
  member.flags = static_cast<std::uint16_t>(little_endian(archive_, at + 8, 2));
  member.method = static_cast<std::uint16_t>(little_endian(archive_, at + 10, 2));
  member.crc = static_cast<std::uint32_t>(little_endian(archive_, at + 16, 4));
  member.compressed_size = little_endian(archive_, at + 20, 4);
  member.size = little_endian(archive_, at + 24, 4);
  member.header_offset = little_endian(archive_, at + 42, 4);
  member.name = std::string(archive_.substr(at + entry_size, name_size));
  apply_zip64_sizes(member, archive_.substr(at + entry_size + name_size, extra_size));
  at += entry_size + name_size + extra_size + comment_size;
  return member;
}

void ZipDirectory::apply_zip64_sizes(ZipMember &member, std::string_view extra) const {
  std::uint64_t *const fields[] = {&member.size, &member.compressed_size, &member.header_offset};
  std::size_t at = 0;
  while (extra.size() - at >= 4) {
    const std::uint64_t tag = little_endian(extra, at, 2), size = little_endian(extra, at + 2, 2);
    at += 4;
    if (size > extra.size() - at) fail("a broken extra field of the member '" + member.name + "'");
    if (tag == 1) {
      std::size_t used = 0;
      for (std::uint64_t *field : fields) {
        if (*field != in_zip64) continue;
        if (size - used < 8) fail("a zip64 field of the member '" + member.name + "' is too short");
        *field = little_endian(extra, at + used, 8);
        used += 8;
      }
    }
    at += size;
  }
}

std::string_view ZipDirectory::stored_bytes(const ZipMember &member) const {
  const std::string name = "the member '" + member.name + "' ";
  if (member.method != 0 || member.flags & 1 || member.size != member.compressed_size) {
    fail(name + "must be stored uncompressed and unencrypted, found method " + std::to_string(member.method));
  }
  const std::uint64_t at = member.header_offset;
  if (at > directory_offset_ || directory_offset_ - at < local_size ||
      little_endian(archive_, at, 4) != local_signature) {
    fail(name + "has no local header at byte " + std::to_string(at));
  }
  const std::uint64_t skipped = local_size + little_endian(archive_, at + 26, 2) + little_endian(archive_, at + 28, 2);
  if (directory_offset_ - at < skipped || directory_offset_ - at - skipped < member.size) {
    fail(name + "runs past the end of the data");
  }
  const std::string_view bytes = archive_.substr(at + skipped, member.size);
  const std::uint32_t crc = crc32(reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size());
  if (crc != member.crc) fail(name + "has a wrong CRC-32");
  return bytes;
}

}  // namespace panna_plus
