#include "model_file/model_file.h"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <set>

#include "model_file/checksums.h"
#include "model_file/zip_directory.h"
#include "system/failure.h"

namespace panna_plus {
namespace {

constexpr std::uint64_t largest_card = 16u << 20;
constexpr int newest_format = 1;

std::string read_bytes(const std::string &path) {
  std::FILE *file = std::fopen(path.c_str(), "rb");
  require(file != nullptr, "model file '" + path + "' cannot be opened: " + std::strerror(errno));
  std::string bytes;
  std::vector<char> block(1 << 20);
  std::size_t n = 0;
  while ((n = std::fread(block.data(), 1, block.size(), file)) > 0) bytes.append(block.data(), n);
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  require(!failed, "model file '" + path + "' cannot be read (is it a folder?)");
  return bytes;
}

/// The only member called <root>/<tail>, whatever the root directory is.
const ZipMember &find_member(const ZipDirectory &directory, const std::string &tail, const std::string &what) {
  const ZipMember *found = nullptr;
  for (const ZipMember &member : directory.members()) {
    const std::size_t slash = member.name.find('/');
    if (slash == std::string::npos || member.name.compare(slash + 1, std::string::npos, tail) != 0) continue;
    require(!found, what + " has two members named .../" + tail + "; export it again");
    found = &member;
  }
  require(found != nullptr, what + " has no member .../" + tail +
                                ": it is not a panna_plus model file (a TorchScript file of another program?)");
  return *found;
}

}  // namespace

ModelFile ModelFile::read(const std::string &path) { return from_bytes(read_bytes(path), path); }

ModelFile ModelFile::from_bytes(std::string bytes, const std::string &path) {
  ModelFile file;
  file.path_ = path;
  file.bytes_ = std::make_shared<const std::string>(std::move(bytes));
  const ZipDirectory directory(*file.bytes_, file.in_file());
  const ZipMember &card = find_member(directory, "extra/card.json", file.in_file());
  const ZipMember &weights = find_member(directory, "extra/weights.safetensors", file.in_file());
  if (card.size > largest_card) {
    file.fail("card.json", "at most 16 MiB", std::to_string(card.size) + " bytes");
  }
  file.card_text_ = std::string(directory.stored_bytes(card));
  file.card_ = parse_json(file.card_text_, file.in_file() + ", card.json");
  file.read_card();

  const std::string_view block = directory.stored_bytes(weights);
  file.weights_sha256_ = sha256(reinterpret_cast<const unsigned char *>(block.data()), block.size());
  const std::string stated = file.card_string({"weights_sha256"});
  if (stated != file.weights_sha256_) file.fail("SHA-256 of weights.safetensors", stated, file.weights_sha256_);
  file.arrays_ = read_safetensors(block, file.in_file() + ", weights.safetensors");
  file.check_arrays();
  return file;
}

void ModelFile::fail(const std::string &where, const std::string &expected, const std::string &found) const {
  throw Failure(in_file() + ": " + where + ": expected " + expected + ", found " + found +
                "; export or copy the model again");
}

void ModelFile::read_card() {
  using Kind = JsonValue::Kind;
  if (!card_.is(Kind::object)) fail("card.json", "an object", card_.described());
  const JsonValue &version = card({"format_version"});
  if (!version.is_integer_between(1, 1e6)) fail("card key 'format_version'", "a positive integer", version.described());
  require(version.number <= newest_format, in_file() + " has format version " + version.described() +
                                               ", this version of panna_plus reads 1 to " +
                                               std::to_string(newest_format) + ": upgrade panna_plus");
  family_ = card_string({"family"});
  const JsonValue &symbols = card({"elements"});
  if (!symbols.is(Kind::array) || symbols.items.empty())
    fail("card key 'elements'", "a list of symbols", symbols.described());
  std::set<std::string> seen;
  for (const JsonValue &symbol : symbols.items) {
    if (!symbol.is(Kind::string) || symbol.string.empty() || !seen.insert(symbol.string).second) {
      fail("card key 'elements'", "distinct chemical symbols", symbol.described());
    }
    elements_.push_back(symbol.string);
  }
  const JsonValue &cutoff = card({"cutoff"});
  if (!cutoff.is(Kind::number) || !(cutoff.number > 0.0))
    fail("card key 'cutoff'", "a positive number", cutoff.described());
  cutoff_ = cutoff.number;
  const JsonValue &exchanges = card({"n_exchanges"});
  if (!exchanges.is_integer_between(0, 1000)) fail("card key 'n_exchanges'", "a count", exchanges.described());
  n_exchanges_ = static_cast<int>(exchanges.number);
  const std::string length = card_string({"units", "length"}), energy = card_string({"units", "energy"});
  if (length != "angstrom" || energy != "eV") {
    fail("card key 'units'", "angstrom and eV", length + " and " + energy);
  }
}

const JsonValue &ModelFile::card(const std::vector<std::string> &keys) const {
  const JsonValue *value = &card_;
  std::string name;
  for (const std::string &key : keys) {
    name += (name.empty() ? "" : ".") + key;
    value = value->find(key);
    if (!value) fail("card key '" + name + "'", "a value", "nothing");
  }
  return *value;
}

std::string ModelFile::card_string(const std::vector<std::string> &keys) const {
  const JsonValue &value = card(keys);
  if (!value.is(JsonValue::Kind::string)) fail("card key '" + keys.back() + "'", "a string", value.described());
  return value.string;
}

void ModelFile::check_arrays() const {
  const JsonValue &table = card({"arrays"});
  if (!table.is(JsonValue::Kind::object)) fail("card key 'arrays'", "an object", table.described());
  for (const auto &[name, entry] : table.members) {
    const auto found = arrays_.find(name);
    if (found == arrays_.end()) fail("array '" + name + "' of the card", "in weights.safetensors", "nothing");
    const JsonValue *dtype = entry.find("dtype"), *shape = entry.find("shape");
    const ArrayView &array = found->second;
    bool same = dtype && dtype->string == array.dtype && shape && shape->items.size() == array.shape.size();
    for (std::size_t k = 0; same && k < array.shape.size(); ++k) {
      same = shape->items[k].is_integer_between(double(array.shape[k]), double(array.shape[k]));
    }
    if (!same) {
      fail("array '" + name + "'", "shape and dtype of the card", shape_text(array.shape) + " " + array.dtype);
    }
  }
  for (const auto &entry : arrays_) {
    if (!table.find(entry.first)) fail("array '" + entry.first + "'", "an entry in the card key 'arrays'", "none");
  }
}

const std::vector<std::int64_t> &ModelFile::array_shape(const std::string &name) const {
  const auto found = arrays_.find(name);
  if (found == arrays_.end()) fail("array '" + name + "'", "present", "nothing");
  return found->second.shape;
}

std::vector<double> ModelFile::array(const std::string &name, const std::vector<std::int64_t> &shape) const {
  const std::vector<std::int64_t> &actual = array_shape(name);
  bool fits = actual.size() == shape.size();
  for (std::size_t k = 0; fits && k < shape.size(); ++k) fits = shape[k] < 0 || shape[k] == actual[k];
  if (!fits) fail("array '" + name + "'", "shape " + shape_text(shape) + " (-1: any)", shape_text(actual));
  std::vector<double> values = arrays_.at(name).values();
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (!std::isfinite(values[k])) {
      fail("array '" + name + "', value " + std::to_string(k), "a finite number",
           std::isnan(values[k]) ? "nan" : "inf");
    }
  }
  return values;
}

}  // namespace panna_plus
