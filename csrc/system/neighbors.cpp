#include "system/neighbors.h"

#include <cmath>
#include <string>

#include "system/failure.h"

namespace panna_plus {
namespace {

constexpr double smallest_squared_distance = 1e-16;  // (1e-8 angstrom)^2

[[noreturn]] void refuse_species(std::int64_t atom, std::int32_t species, int n_elements) {
  throw Failure("atom row " + std::to_string(atom) + " has species " + std::to_string(species) + ", expected 0 to " +
                std::to_string(n_elements - 1) + " or -1 (not counted): check the element mapping");
}

[[noreturn]] void refuse_pair(std::int64_t i, std::int64_t j, double squared_distance) {
  const std::string pair = "atom rows " + std::to_string(i) + " and " + std::to_string(j);
  if (squared_distance < smallest_squared_distance) {
    throw Failure(pair + " coincide (closer than 1e-8 angstrom): the energy is undefined, move one of them");
  }
  throw Failure(pair + " have no finite distance: check the positions (nan, inf or a simulation that exploded)");
}

}  // namespace

int center_species(const Neighborhood &atoms, std::int64_t center, int n_elements) {
  if (center < 0 || center >= atoms.n_atoms) {
    throw Failure("centre " + std::to_string(center) + " does not exist: there are " + std::to_string(atoms.n_atoms) +
                  " atom rows");
  }
  const std::int32_t species = atoms.species[center];
  if (species < -1 || species >= n_elements) refuse_species(center, species, n_elements);
  const double *x = atoms.positions + 3 * center;
  if (species >= 0 && !std::isfinite(x[0] + x[1] + x[2])) {
    throw Failure("atom row " + std::to_string(center) + " has a position that is not finite");
  }
  return species;
}

void gather_neighbors(const Neighborhood &atoms, std::int64_t center, const PairLimits &limits,
                      std::vector<NeighborRow> &rows, ClosestPair &closest) {
  rows.clear();
  const double *x_i = atoms.positions + 3 * center;
  const double *shortest = limits.shortest_distances + std::int64_t(atoms.species[center]) * limits.n_elements;
  const std::int32_t *list = atoms.neighbors[center];
  const double squared_cutoff = limits.cutoff * limits.cutoff;
  for (std::int32_t k = 0; k < atoms.n_neighbors[center]; ++k) {
    const std::int64_t j = list[k] & atoms.neighbor_mask;
    if (j < 0 || j >= atoms.n_atoms) {
      throw Failure("atom row " + std::to_string(center) + " lists neighbour " + std::to_string(j) + ": there are " +
                    std::to_string(atoms.n_atoms) + " atom rows");
    }
    const std::int32_t species = atoms.species[j];
    if (species == -1) continue;
    const double *x_j = atoms.positions + 3 * j;
    const double r[3] = {x_j[0] - x_i[0], x_j[1] - x_i[1], x_j[2] - x_i[2]};
    const double squared = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
    if (squared >= squared_cutoff && std::isfinite(squared)) continue;
    if (species < -1 || species >= limits.n_elements) refuse_species(j, species, limits.n_elements);
    if (!(squared >= smallest_squared_distance && std::isfinite(squared))) refuse_pair(center, j, squared);
    const double distance = std::sqrt(squared);
    closest.consider(distance, shortest[species], center, j);
    rows.push_back({j, species, {r[0], r[1], r[2]}, distance});
  }
}

}  // namespace panna_plus
