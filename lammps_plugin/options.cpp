// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.h"

#include <algorithm>
#include <stdexcept>

namespace panna_plus_lammps {
namespace {

/// One keyword: its values, and what each of them (by its position) sets.
struct Keyword {
  std::string name;
  std::vector<std::string> values;
  void (*set)(Options &options, std::size_t choice);
};

const std::vector<Keyword> &keywords()
{
  static const std::vector<Keyword> table = {
      {"precision", {"mixed", "double"},
       [](Options &options, std::size_t choice) {
         options.precision = choice == 0 ? PANNA_PLUS_MIXED : PANNA_PLUS_DOUBLE;
       }},
      {"guard", {"on", "off"}, [](Options &options, std::size_t choice) { options.guard = choice == 0; }},
      {"backend", {"auto", "native", "torch"},
       [](Options &options, std::size_t choice) {
         // The only code of a file that is ever executed is that of a user who asked for it by name.
         options.backend = choice == 2 ? Backend::torch : Backend::native;
       }},
  };
  return table;
}

std::string joined(const std::vector<std::string> &words, const char *between, const char *last)
{
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    text += (i == 0 ? "" : i + 1 == words.size() ? last : between) + words[i];
  return text;
}

/// precision mixed|double, guard on|off, ...
std::string valid_options()
{
  std::vector<std::string> texts;
  for (const Keyword &keyword : keywords()) texts.push_back(keyword.name + " " + joined(keyword.values, "|", "|"));
  return "the options are: " + joined(texts, ", ", ", ");
}

const Keyword &keyword_named(const std::string &name)
{
  for (const Keyword &keyword : keywords())
    if (keyword.name == name) return keyword;
  throw std::invalid_argument("pair_style panna_plus: unknown option '" + name + "'; " + valid_options());
}

/// Position of `value` among the values of a keyword.
std::size_t choice(const Keyword &keyword, const std::string &value)
{
  const auto found = std::find(keyword.values.begin(), keyword.values.end(), value);
  if (found == keyword.values.end())
    throw std::invalid_argument("pair_style panna_plus: option " + keyword.name + " is " +
                                joined(keyword.values, ", ", " or ") + ", found '" + value + "'");
  return static_cast<std::size_t>(found - keyword.values.begin());
}

}    // namespace

Options parse_options(const std::vector<std::string> &words)
{
  Options options;
  for (std::size_t at = 0; at < words.size(); at += 2) {
    const Keyword &keyword = keyword_named(words[at]);
    if (at + 1 == words.size())
      throw std::invalid_argument("pair_style panna_plus: option " + keyword.name + " needs a value; " +
                                  valid_options());
    keyword.set(options, choice(keyword, words[at + 1]));
  }
  return options;
}

}    // namespace panna_plus_lammps
