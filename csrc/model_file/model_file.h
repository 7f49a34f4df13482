// The model file `model.pt`: card and arrays, checked; see docs/reference/model_file.md.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model_file/json.h"
#include "model_file/safetensors.h"

namespace panna_plus {

class ModelFile {
 public:
  /// Reads and checks a file: archive, checksums, card keys common to all families, and that card and
  /// weights list the same arrays. Never runs anything in it.
  static ModelFile read(const std::string &path);
  /// The same for bytes in memory; `path` is only a name for errors.
  static ModelFile from_bytes(std::string bytes, const std::string &path);

  const std::string &path() const { return path_; }
  const std::string &card_text() const { return card_text_; }
  const std::string &weights_sha256() const { return weights_sha256_; }
  const std::string &family() const { return family_; }
  const std::vector<std::string> &elements() const { return elements_; }
  double cutoff() const { return cutoff_; }
  int n_exchanges() const { return n_exchanges_; }

  /// A value of the card by its path, such as {"family_parameters", "lone_atom"}; a Failure if absent.
  const JsonValue &card(const std::vector<std::string> &keys) const;
  std::string card_string(const std::vector<std::string> &keys) const;

  bool has_array(const std::string &name) const { return arrays_.count(name) != 0; }
  /// Shape of an array; a Failure if absent.
  const std::vector<std::int64_t> &array_shape(const std::string &name) const;
  /// Values of an array whose shape must be `shape` (-1: any size); all must be finite.
  std::vector<double> array(const std::string &name, const std::vector<std::int64_t> &shape) const;

  /// "model file 'x.pt': <where>: expected <expected>, found <found>; <remedy>"
  [[noreturn]] void fail(const std::string &where, const std::string &expected, const std::string &found) const;

 private:
  void read_card();
  void check_arrays() const;
  std::string in_file() const { return "model file '" + path_ + "'"; }

  std::string path_;
  std::shared_ptr<const std::string> bytes_;  // the arrays point into it
  std::string card_text_;
  std::string weights_sha256_;
  JsonValue card_;
  std::map<std::string, ArrayView> arrays_;
  std::string family_;
  std::vector<std::string> elements_;
  double cutoff_ = 0.0;
  int n_exchanges_ = 0;
};

}  // namespace panna_plus
