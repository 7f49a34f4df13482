#include "crystal.h"

#include <cmath>
#include <random>

namespace driver {
namespace {

constexpr double basis[8][3] = {{0, 0, 0},          {0, 0.5, 0.5},      {0.5, 0, 0.5},      {0.5, 0.5, 0},
                                {0.25, 0.25, 0.25}, {0.25, 0.75, 0.75}, {0.75, 0.25, 0.75}, {0.75, 0.75, 0.25}};

std::vector<double> diamond_sites(const std::array<int, 3> &cells) {
  std::vector<double> sites;
  for (int z = 0; z < cells[2]; ++z) {
    for (int y = 0; y < cells[1]; ++y) {
      for (int x = 0; x < cells[0]; ++x) {
        for (const double(&site)[3] : basis) {
          const double corner[3] = {double(x), double(y), double(z)};
          for (int a = 0; a < 3; ++a) sites.push_back(lattice_constant * (corner[a] + site[a]));
        }
      }
    }
  }
  return sites;
}

void stop_drift(std::vector<double> &velocities) {
  const double n = double(velocities.size() / 3);
  double sum[3] = {};
  for (std::size_t k = 0; k < velocities.size(); ++k) sum[k % 3] += velocities[k];
  for (std::size_t k = 0; k < velocities.size(); ++k) velocities[k] -= sum[k % 3] / n;
}

}  // namespace

Crystal silicon(const std::array<int, 3> &cells, double temperature, double spring, unsigned seed) {
  Crystal crystal;
  for (int a = 0; a < 3; ++a) crystal.box[std::size_t(a)] = lattice_constant * cells[std::size_t(a)];
  crystal.sites = diamond_sites(cells);
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  const double amplitude = std::sqrt(boltzmann * temperature / spring);
  const double speed = std::sqrt(boltzmann * temperature / silicon_mass * squared_speed_of_energy);
  crystal.positions = crystal.sites;
  crystal.velocities.resize(crystal.sites.size());
  for (double &x : crystal.positions) x += amplitude * normal(random);
  for (double &v : crystal.velocities) v = speed * normal(random);
  stop_drift(crystal.velocities);
  return crystal;
}

}  // namespace driver
