// SPDX-License-Identifier: GPL-2.0-or-later
//
// The words of pair_coeff: model files, and the elements of the types.
#ifndef PANNA_PLUS_COEFFICIENTS_H
#define PANNA_PLUS_COEFFICIENTS_H

#include <string>
#include <vector>

namespace panna_plus_lammps {

/// What stands after `pair_coeff * *`.
struct Coefficients {
  std::vector<std::string> files;
  std::vector<std::string> elements;    // by atom type; none: the labels of the types
};

/// The last words are as many elements as there are atom types, or the one word `labels`; those before are files.
/// Throws std::invalid_argument with a sentence for the user.
Coefficients parse_coefficients(const std::vector<std::string> &words, int n_types);

/// Words with `between` between them.
std::string joined(const std::vector<std::string> &words, const std::string &between = " ");

}    // namespace panna_plus_lammps

#endif
