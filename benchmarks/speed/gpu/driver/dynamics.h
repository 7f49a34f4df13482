// Velocity Verlet on the host, forces from a model, with a clock for every part of a step.
#pragma once

#include <cstdint>
#include <vector>

#include "crystal.h"
#include "model.h"
#include "neighbor_list.h"

namespace driver {

struct Settings {
  double timestep = 1e-3;  // ps
  double skin = 1.0;       // angstrom
  double spring = 0.0;     // eV/angstrom^2; holds atoms at their sites where the model would not
  int n_threads = 1;
};

/// Seconds.
struct Clocks {
  double list = 0.0;          // images, cells, lists
  double evaluate_new = 0.0;  // evaluations with a list that the device does not have yet
  double evaluate_kept = 0.0;
  double gather = 0.0;     // positions of images, forces of images to their atoms, springs
  double integrate = 0.0;  // positions, velocities, kinetic energy, the largest displacement
  int n_lists = 0, n_kept = 0;
};

/// What a model says of the atoms; images are folded into what they are images of.
struct Evaluation {
  double energy = 0.0;          // eV
  double virial[6] = {};        // eV
  std::vector<double> forces;   // (n_atoms, 3), eV/angstrom
};

class Dynamics {
 public:
  Dynamics(Crystal crystal, const Model &model, Settings settings);

  void step();
  void restart_clocks() { clocks_ = Clocks{}; }
  /// The atoms where they are, by any model with at most the cutoff of the one that moves them; the seconds in it.
  double evaluate(const Model &model, int n_threads, Evaluation &found);

  const Clocks &clocks() const { return clocks_; }
  const Crystal &crystal() const { return crystal_; }
  const NeighborList &list() const { return list_; }
  std::int64_t n_rows() const { return std::int64_t(rows_.size() / 3); }
  /// Springs are part of it.
  double potential_energy() const { return potential_; }
  double kinetic_energy() const { return kinetic_; }

 private:
  void find_forces();
  void make_list();
  void move_images();
  void fold_images(std::vector<double> &forces) const;
  double add_springs();
  double kick(double time);
  double drift(double time);

  Crystal crystal_;
  const Model &model_;
  Settings settings_;
  NeighborList list_;
  std::vector<double> rows_;    // (n_rows, 3) atoms and images
  std::vector<double> listed_;  // (n_atoms, 3) positions when the list was made
  Evaluation latest_;           // springs are part of its forces
  std::vector<double> row_forces_;
  std::vector<std::int32_t> species_, centers_;
  std::int64_t generation_ = 0;
  bool needs_list_ = true;
  double potential_ = 0.0, kinetic_ = 0.0;
  Clocks clocks_;
};

}  // namespace driver
