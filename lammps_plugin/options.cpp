// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.h"

#include <algorithm>
#include <stdexcept>

namespace panna_plus_lammps {
namespace {

/// One keyword: its values, and what each of them (by its position, or as it is written) sets. A value may end in N,
/// which stands for a number.
struct Keyword {
  std::string name;
  std::vector<std::string> values;
  void (*set)(Options &options, std::size_t choice, const std::string &word);
};

const std::vector<Keyword> &keywords()
{
  static const std::vector<Keyword> table = {
      {"precision", {"mixed", "double"},
       [](Options &options, std::size_t choice, const std::string &) {
         options.precision = choice == 0 ? PANNA_PLUS_MIXED : PANNA_PLUS_DOUBLE;
       }},
      {"guard", {"on", "off"},
       [](Options &options, std::size_t choice, const std::string &) { options.guard = choice == 0; }},
      {"backend", {"auto", "native", "torch"},
       [](Options &options, std::size_t choice, const std::string &) {
         // The only code of a file that is ever executed is that of a user who asked for it by name.
         options.backend = choice == 2 ? Backend::torch : Backend::native;
       }},
      {"device", {"auto", "cpu", "cuda", "cuda:N"},
       [](Options &options, std::size_t, const std::string &word) { options.device = word; }},
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

/// Whether a word of the script is what a keyword has as `value`.
bool is_one(const std::string &word, const std::string &value)
{
  if (value.back() != 'N') return word == value;
  const std::size_t n = value.size() - 1;
  return word.size() > n && word.size() <= n + 4 && word.compare(0, n, value, 0, n) == 0 &&
      word.find_first_not_of("0123456789", n) == std::string::npos;
}

/// Position of `value` among the values of a keyword.
std::size_t choice(const Keyword &keyword, const std::string &value)
{
  const auto found = std::find_if(keyword.values.begin(), keyword.values.end(),
                                  [&](const std::string &known) { return is_one(value, known); });
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
    keyword.set(options, choice(keyword, words[at + 1]), words[at + 1]);
  }
  if (options.backend == Backend::torch && options.asks_for_cuda())
    throw std::invalid_argument("pair_style panna_plus: backend torch computes on the CPU, found device " +
                                options.device + ": leave out one of them");
  return options;
}

}    // namespace panna_plus_lammps
