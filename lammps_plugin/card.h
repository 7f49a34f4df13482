// SPDX-License-Identifier: GPL-2.0-or-later
//
// The JSON card of a model file, as far as the log needs it.
#ifndef PANNA_PLUS_CARD_H
#define PANNA_PLUS_CARD_H

#include <string>
#include <utility>
#include <vector>

namespace panna_plus_lammps {

/// One leaf of a JSON document: its keys (or positions) from the root, and its text.
struct CardEntry {
  std::vector<std::string> keys;
  std::string value;
};

/// All leaves in the order of the file; strings come without quotes. Reading stops at the first character
/// that is not JSON: the engine has checked the card already, and the log can do without the rest.
std::vector<CardEntry> card_entries(const std::string &json);

/// The mean absolute errors of the card, one line per split:
/// "validation: energy 2.1 meV/atom, forces 58 meV/angstrom".
std::vector<std::string> error_lines(const std::vector<CardEntry> &card);

/// Of models with long-range terms, angstrom, as the card has them; 0 for others.
double long_range_cutoff(const std::vector<CardEntry> &card);
double dispersion_damping(const std::vector<CardEntry> &card);

/// Smallest and largest value of the training data.
struct Range {
  double low = 0.0, high = 0.0;
};

/// Of the total charge or of unpaired electrons: `key` is charge or spin.
Range trained_range(const std::vector<CardEntry> &card, const std::string &key);

/// What the card asks users to cite.
std::vector<std::string> citations(const std::vector<CardEntry> &card);

}    // namespace panna_plus_lammps

#endif
