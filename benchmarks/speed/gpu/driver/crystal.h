// Diamond silicon at a temperature: the atoms that move.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace driver {

// Units: angstrom, ps, eV, u, K.
constexpr double lattice_constant = 5.43;
constexpr double silicon_mass = 28.0855;
/// Second derivative of the energy with respect to the position of one atom, eV/angstrom^2: with displacements as this
/// spring allows them a model of silicon stays near the temperature that it starts with.
constexpr double stiffness_of_silicon = 12.8;
constexpr double boltzmann = 8.617333262e-5;
/// (angstrom / ps)^2 u in eV, inverted.
constexpr double squared_speed_of_energy = 9648.533212;

struct Crystal {
  std::array<double, 3> box;       // lengths of an orthorhombic, periodic cell
  std::vector<double> sites;       // (n, 3) of the lattice
  std::vector<double> positions;   // (n, 3)
  std::vector<double> velocities;  // (n, 3)

  std::int64_t n_atoms() const { return static_cast<std::int64_t>(sites.size() / 3); }
};

/// `cells` cubic unit cells of 8 atoms along each direction. Atoms are displaced as springs of `spring` eV/angstrom^2
/// at this temperature let them be, and have its velocities; the centre of mass is at rest.
Crystal silicon(const std::array<int, 3> &cells, double temperature, double spring, unsigned seed);

}  // namespace driver
