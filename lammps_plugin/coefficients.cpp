// SPDX-License-Identifier: GPL-2.0-or-later
#include "coefficients.h"

#include "element_masses.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <stdexcept>

namespace panna_plus_lammps {
namespace {

bool is_element(const std::string &word)
{
  return word == "NULL" ||
      std::any_of(std::begin(element_masses), std::end(element_masses),
                  [&](const ElementMass &entry) { return word == entry.symbol; });
}

bool looks_like_a_file(const std::string &word)
{
  return word.find_first_of("./") != std::string::npos;
}

[[noreturn]] void refuse(const std::vector<std::string> &words, int n_types)
{
  const std::string n = std::to_string(n_types), form = " model.pt El1 ... El" + n + "'";
  throw std::invalid_argument(
      "pair_style panna_plus: found 'pair_coeff " + joined(words) +
      "', expected one or more model files and one element (or NULL) for each of the " + n +
      " atom types: 'pair_coeff * *" + form + ", or under pair_style hybrid 'pair_coeff * * panna_plus" + form +
      " (the one word 'labels' in place of the elements takes them from labelmap; of several files the mean is taken)");
}

}    // namespace

Coefficients parse_coefficients(const std::vector<std::string> &words, int n_types)
{
  constexpr std::size_t n_stars = 2;
  const bool all_types = words.size() > n_stars && words[0] == "*" && words[1] == "*";
  const bool by_label = !words.empty() && words.back() == "labels";
  const std::size_t n_last = by_label ? 1 : static_cast<std::size_t>(n_types);
  if (!all_types || words.size() < n_stars + 1 + n_last) refuse(words, n_types);
  const auto first = words.begin() + n_stars, end = words.end() - static_cast<std::ptrdiff_t>(n_last);
  Coefficients found{{first, end}, {end, by_label ? end : words.end()}};
  // One word too many or too few moves the border between files and elements.
  if (std::any_of(first + 1, end, is_element) ||
      std::any_of(found.elements.begin(), found.elements.end(), looks_like_a_file))
    refuse(words, n_types);
  return found;
}

std::string joined(const std::vector<std::string> &words, const std::string &between)
{
  std::string text;
  for (const std::string &word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

}    // namespace panna_plus_lammps
