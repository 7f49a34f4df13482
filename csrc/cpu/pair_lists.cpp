#include "cpu/pair_lists.h"

#include <limits>
#include <string>

#include "system/failure.h"

namespace panna_plus {
namespace {

using std::to_string;

void check_row(const PairLists &pairs, std::int64_t center) {
  const std::int64_t begin = pairs.row_start[center], end = pairs.row_start[center + 1];
  if (begin < 0 || end < begin || end > pairs.n_pairs) {
    throw Failure("row_start[" + to_string(center) + "] and the next entry: expected ascending values from 0 to " +
                  to_string(pairs.n_pairs) + " (the number of pairs), found " + to_string(begin) + " and " +
                  to_string(end) + ": sort the pairs by their center and count them");
  }
  if (end - begin > std::numeric_limits<std::int32_t>::max() / 2) {
    throw Failure("center " + to_string(center) + " has " + to_string(end - begin) + " pairs: expected a local list");
  }
}

/// The loop that is fast; the one that says which pair follows where it found something.
template <class Species>
bool has_foreign_species(const Species *species, std::int64_t begin, std::int64_t end, int n_elements) {
  bool found = false;
  for (std::int64_t k = begin; k < end; ++k) found |= species[k] < 0 || species[k] >= n_elements;
  return found;
}

void check_species(const PairLists &pairs, std::int64_t begin, std::int64_t end, int n_elements) {
  if (!(pairs.long_species ? has_foreign_species(pairs.long_species, begin, end, n_elements)
                           : has_foreign_species(pairs.species, begin, end, n_elements))) {
    return;
  }
  for (std::int64_t k = begin; k < end; ++k) {
    const std::int64_t species = pairs.species_of(k);
    if (species >= 0 && species < n_elements) continue;
    throw Failure("neighbor_species[" + to_string(k) + "]: expected 0 to " + to_string(n_elements - 1) + ", found " +
                  to_string(species) + ": check the element mapping");
  }
}

}  // namespace

void check_pairs(const PairLists &pairs, CenterRange range, int n_elements) {
  require(range.first >= 0 && range.first <= range.last && range.last <= pairs.n_centers,
          "centers " + to_string(range.first) + " to " + to_string(range.last) + ": expected a range within 0 to " +
              to_string(pairs.n_centers));
  if (pairs.row_start[0] != 0 || pairs.row_start[pairs.n_centers] != pairs.n_pairs) {
    throw Failure("row_start: expected to begin with 0 and to end with " + to_string(pairs.n_pairs) +
                  " (the number of pairs), found " + to_string(pairs.row_start[0]) + " and " +
                  to_string(pairs.row_start[pairs.n_centers]));
  }
  for (std::int64_t center = range.first; center < range.last; ++center) check_row(pairs, center);
  check_species(pairs, pairs.row_start[range.first], pairs.row_start[range.last], n_elements);
}

void check_displacements(const PairLists &pairs, std::int64_t center) {
  for (std::int64_t k = pairs.row_start[center]; k < pairs.row_start[center + 1]; ++k) {
    const double *r = pairs.displacements + 3 * k, squared = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
    if (squared >= 1e-16 && squared <= 1e300) continue;
    const std::string found = squared < 1e-16 ? "two atoms at the same place" : "a length that is not finite";
    throw Failure("pair " + to_string(k) + " (of center " + to_string(center) +
                  "): expected a displacement of finite length above 1e-8 angstrom, found " + found +
                  ": check the positions");
  }
}

}  // namespace panna_plus
