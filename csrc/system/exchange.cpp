#include "system/exchange.h"

#include <algorithm>
#include <string>

#include "system/failure.h"

namespace panna_plus {

OwnersExchange::OwnersExchange(std::int64_t n_atoms, const std::int32_t *owners) : n_atoms_(n_atoms), owners_(owners) {
  for (std::int64_t row = 0; row < n_atoms; ++row) {
    const std::int32_t owner = owners[row];
    require(owner >= 0 && owner < n_atoms && owners[owner] == owner,
            "row " + std::to_string(row) + " is said to be an image of row " + std::to_string(owner) +
                ", which is no atom: owners must name rows that are images of themselves");
  }
}

void OwnersExchange::to_images(double *values, int width) const {
  for (std::int64_t row = 0; row < n_atoms_; ++row) {
    if (owners_[row] != row) std::copy_n(values + std::int64_t(owners_[row]) * width, width, values + row * width);
  }
}

}  // namespace panna_plus
