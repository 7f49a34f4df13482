#include "model_file/safetensors.h"

#include <algorithm>
#include <cstring>

#include "model_file/json.h"
#include "system/failure.h"

namespace panna_plus {
namespace {

constexpr double largest_count = 1e15;  // far above any file, far below overflow of 64 bits

struct Range {
  std::uint64_t begin, end;
  std::string name;
};

std::uint64_t little_endian_8(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t k = 8; k-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[k]);
  return value;
}

std::vector<std::int64_t> integers(const JsonValue *list, const std::string &problem) {
  require(list && list->is(JsonValue::Kind::array), problem);
  std::vector<std::int64_t> values;
  for (const JsonValue &item : list->items) {
    require(item.is_integer_between(0, largest_count), problem + ", found " + item.described());
    values.push_back(static_cast<std::int64_t>(item.number));
  }
  return values;
}

std::uint64_t byte_size(const ArrayView &array, const std::string &who) {
  double size = array.dtype == "F64" ? 8.0 : 4.0;
  for (const std::int64_t n : array.shape) {
    size *= static_cast<double>(n);
    require(size <= largest_count, who + ": the shape " + shape_text(array.shape) + " is too large");
  }
  return static_cast<std::uint64_t>(size);
}

/// Fills dtype and shape; returns the byte range inside the data.
Range read_entry(const JsonValue &entry, const std::string &name, const std::string &who, ArrayView &array) {
  const JsonValue *dtype = entry.find("dtype");
  require(dtype && (dtype->string == "F32" || dtype->string == "F64"),
          who + ": dtype must be F32 or F64, found " + (dtype ? dtype->described() : "none"));
  array.dtype = dtype->string;
  array.shape = integers(entry.find("shape"), who + ": shape must be a list of sizes");
  const std::vector<std::int64_t> offsets =
      integers(entry.find("data_offsets"), who + ": data_offsets must be two byte positions");
  require(offsets.size() == 2, who + ": data_offsets must be two byte positions");
  const Range range{static_cast<std::uint64_t>(offsets[0]), static_cast<std::uint64_t>(offsets[1]), name};
  const std::uint64_t expected = byte_size(array, who);
  require(range.begin <= range.end && range.end - range.begin == expected,
          who + ": shape " + shape_text(array.shape) + " of " + array.dtype + " needs " + std::to_string(expected) +
              " bytes, data_offsets give " + std::to_string(offsets[0]) + " to " + std::to_string(offsets[1]));
  return range;
}

void require_seamless(std::vector<Range> ranges, std::uint64_t size, const std::string &what) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range &a, const Range &b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
  std::uint64_t position = 0;
  for (const Range &range : ranges) {
    require(range.begin == position, what + ": the array '" + range.name + "' starts at byte " +
                                         std::to_string(range.begin) + " of the data, expected " +
                                         std::to_string(position) + " (overlap or hole)");
    position = range.end;
  }
  require(position == size,
          what + ": the arrays need " + std::to_string(position) + " bytes of data, found " + std::to_string(size));
}

}  // namespace

std::int64_t ArrayView::n_values() const { return static_cast<std::int64_t>(bytes.size() / (dtype == "F64" ? 8 : 4)); }

std::vector<double> ArrayView::values() const {
  std::vector<double> out(static_cast<std::size_t>(n_values()));
  if (dtype == "F64") {
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }
  for (std::size_t k = 0; k < out.size(); ++k) {
    float value;
    std::memcpy(&value, bytes.data() + 4 * k, 4);
    out[k] = value;
  }
  return out;
}

std::string shape_text(const std::vector<std::int64_t> &shape) {
  std::string text = "(";
  for (std::size_t k = 0; k < shape.size(); ++k) text += (k ? ", " : "") + std::to_string(shape[k]);
  return text + ")";
}

std::map<std::string, ArrayView> read_safetensors(std::string_view block, const std::string &what) {
  require(block.size() >= 8, what + ": expected at least 8 bytes, found " + std::to_string(block.size()));
  const std::uint64_t header_size = little_endian_8(block);
  require(header_size <= block.size() - 8, what + ": the header is said to have " + std::to_string(header_size) +
                                               " bytes, the block has " + std::to_string(block.size()));
  const JsonValue header = parse_json(block.substr(8, header_size), what + ", header");
  require(header.is(JsonValue::Kind::object), what + ": the header must be a JSON object, found " + header.described());
  const std::string_view data = block.substr(8 + header_size);

  std::map<std::string, ArrayView> arrays;
  std::vector<Range> ranges;
  for (const auto &[name, entry] : header.members) {
    if (name == "__metadata__") continue;
    const std::string who = what + ", array '" + name + "'";
    ArrayView array;
    const Range range = read_entry(entry, name, who, array);
    require(range.end <= data.size(), who + " ends at byte " + std::to_string(range.end) + " of the data, which has " +
                                          std::to_string(data.size()));
    array.bytes = data.substr(range.begin, range.end - range.begin);
    ranges.push_back(range);
    arrays.emplace(name, std::move(array));
  }
  require_seamless(std::move(ranges), data.size(), what);
  return arrays;
}

}  // namespace panna_plus
