#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace panna_plus {

/// CRC-32 of zip files (reflected polynomial 0xedb88320).
std::uint32_t crc32(const unsigned char *data, std::size_t size);

/// SHA-256 (FIPS 180-4) as 64 lower-case hexadecimal digits.
std::string sha256(const unsigned char *data, std::size_t size);

}  // namespace panna_plus
