// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.h"

#include <stdexcept>

namespace panna_plus_lammps {
namespace {

constexpr const char *valid_options = "precision mixed|double, guard on|off";

/// Position of `value` among the two values that an option has.
int choice(const std::string &option, const std::string &value, const char *first, const char *second)
{
  if (value == first) return 0;
  if (value == second) return 1;
  throw std::invalid_argument("pair_style panna_plus: option " + option + " is " + first + " or " + second +
                              ", found '" + value + "'");
}

}    // namespace

Options parse_options(const std::vector<std::string> &words)
{
  Options options;
  for (std::size_t at = 0; at < words.size(); at += 2) {
    const std::string &option = words[at];
    if (option != "precision" && option != "guard")
      throw std::invalid_argument("pair_style panna_plus: unknown option '" + option +
                                  "'; the options are: " + valid_options);
    if (at + 1 == words.size())
      throw std::invalid_argument("pair_style panna_plus: option " + option +
                                  " needs a value; the options are: " + valid_options);
    const std::string &value = words[at + 1];
    if (option == "precision")
      options.precision = choice(option, value, "mixed", "double") == 0 ? PANNA_PLUS_MIXED : PANNA_PLUS_DOUBLE;
    else
      options.guard = choice(option, value, "on", "off") == 0;
  }
  return options;
}

}    // namespace panna_plus_lammps
