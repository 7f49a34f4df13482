// SPDX-License-Identifier: GPL-2.0-or-later
#include "card.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace panna_plus_lammps {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::vector<CardEntry> entries()
  {
    value();
    return std::move(entries_);
  }

 private:
  void skip_blanks()
  {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }

  bool take(char wanted)
  {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  /// Escapes other than those of one character are kept as they are written.
  std::string quoted()
  {
    std::string content;
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] != 'u') ++at_;
      content += text_[at_];
    }
    ++at_;
    return content;
  }

  void value()
  {
    if (take('{')) return members();
    if (take('[')) return items();
    if (take('"')) return add(quoted());
    const std::size_t start = at_;
    while (at_ < text_.size() && std::string_view(",]} \t\r\n").find(text_[at_]) == std::string_view::npos) ++at_;
    add(std::string(text_.substr(start, at_ - start)));
  }

  void members()
  {
    while (take('"')) {
      keys_.push_back(quoted());
      if (take(':')) value();
      keys_.pop_back();
      if (!take(',')) break;
    }
    take('}');
  }

  void items()
  {
    if (take(']')) return;
    for (int item = 0;; ++item) {
      keys_.push_back(std::to_string(item));
      value();
      keys_.pop_back();
      if (!take(',')) break;
    }
    take(']');
  }

  void add(const std::string &content) { entries_.push_back({keys_, content}); }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::string> keys_;
  std::vector<CardEntry> entries_;
};

/// The entry with these keys; empty if there is none.
std::string entry(const std::vector<CardEntry> &card, const std::vector<std::string> &wanted)
{
  for (const auto &[keys, value] : card)
    if (keys == wanted) return value;
  return {};
}

/// An entry of the energy terms beside the network.
std::string term(const std::vector<CardEntry> &card, const std::string &name)
{
  return entry(card, {"family_parameters", "terms", name});
}

/// " meV/angstrom", say: in the letters of a log file, empty if the card does not tell.
std::string unit_of_errors(const std::vector<CardEntry> &card, const std::string &quantity)
{
  std::string unit = entry(card, {"errors", "units", quantity});
  for (const char *angstrom : {"\xc3\x85", "\\u00c5"}) {
    const auto at = unit.find(angstrom);
    if (at != std::string::npos) unit.replace(at, std::strlen(angstrom), "angstrom");
  }
  return unit.empty() ? unit : " " + unit;
}

}    // namespace

std::vector<CardEntry> card_entries(const std::string &json)
{
  return Reader(json).entries();
}

std::vector<std::string> error_lines(const std::vector<CardEntry> &card)
{
  std::vector<std::string> lines;
  std::string split;
  for (const auto &[keys, value] : card) {
    if (keys.size() != 4 || keys[0] != "errors" || keys[3] != "mae") continue;
    char number[32];
    std::snprintf(number, sizeof number, "%.4g", std::atof(value.c_str()));
    if (lines.empty() || keys[1] != split)
      lines.push_back(keys[1] + ": ");
    else
      lines.back() += ", ";
    lines.back() += keys[2] + " " + number + unit_of_errors(card, keys[2]);
    split = keys[1];
  }
  return lines;
}

double long_range_cutoff(const std::vector<CardEntry> &card)
{
  const bool is_long_ranged = term(card, "electrostatics") == "true" || term(card, "dispersion") == "true";
  return is_long_ranged ? std::atof(term(card, "long_range_cutoff").c_str()) : 0.0;
}

double dispersion_damping(const std::vector<CardEntry> &card)
{
  return term(card, "dispersion") == "true" ? std::atof(term(card, "dispersion_damping").c_str()) : 0.0;
}

Range trained_range(const std::vector<CardEntry> &card, const std::string &key)
{
  const auto limit = [&](const char *place) { return std::atof(entry(card, {"state_ranges", key, place}).c_str()); };
  return {limit("0"), limit("1")};
}

std::vector<std::string> citations(const std::vector<CardEntry> &card)
{
  std::vector<std::string> found;
  for (const auto &[keys, value] : card)
    if (keys.size() == 2 && keys[0] == "citation") found.push_back(value);
  return found;
}

}    // namespace panna_plus_lammps
