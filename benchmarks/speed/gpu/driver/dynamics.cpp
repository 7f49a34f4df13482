#include "dynamics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "parallel.h"

namespace driver {
namespace {

/// What `work(first, end)` returns for the range of each thread; 0 for threads that have none.
template <class Work>
std::vector<double> parts_of(std::int64_t n, int n_threads, const Work &work) {
  std::vector<double> parts(std::size_t(std::max(n_threads, 1)), 0.0);
  in_parts(n, least_atoms, n_threads, [&](int part, std::int64_t first, std::int64_t end) {
    parts[std::size_t(part)] = work(std::size_t(first), std::size_t(end));
  });
  return parts;
}

double sum_of(const std::vector<double> &parts) { return std::accumulate(parts.begin(), parts.end(), 0.0); }

/// Adds the time since it was made to a clock when it ends.
class Timer {
 public:
  explicit Timer(double &clock) : clock_(clock), start_(seconds_now()) {}
  ~Timer() { clock_ += seconds_now() - start_; }
  Timer(const Timer &) = delete;
  Timer &operator=(const Timer &) = delete;

 private:
  double &clock_, start_;
};

}  // namespace

Dynamics::Dynamics(Crystal crystal, const Model &model, Settings settings)
    : crystal_(std::move(crystal)), model_(model), settings_(settings) {
  centers_.resize(std::size_t(crystal_.n_atoms()));
  std::iota(centers_.begin(), centers_.end(), 0);
  find_forces();
  kinetic_ = kick(0.0);
}

void Dynamics::step() {
  double furthest = 0.0;
  {
    const Timer timer(clocks_.integrate);
    kick(0.5 * settings_.timestep);
    furthest = drift(settings_.timestep);
  }
  needs_list_ = 4.0 * furthest > settings_.skin * settings_.skin;
  find_forces();
  const Timer timer(clocks_.integrate);
  kinetic_ = kick(0.5 * settings_.timestep);
}

void Dynamics::find_forces() {
  const bool is_new = needs_list_;
  if (is_new) {
    const Timer timer(clocks_.list);
    make_list();
  }
  const double start = seconds_now();
  if (!is_new) move_images();
  const double in_model = evaluate(model_, settings_.n_threads, latest_);
  potential_ = latest_.energy + add_springs();
  (is_new ? clocks_.evaluate_new : clocks_.evaluate_kept) += in_model;
  ++(is_new ? clocks_.n_lists : clocks_.n_kept);
  clocks_.gather += seconds_now() - start - in_model;
}

/// Atoms go back into the box, with their sites.
void Dynamics::make_list() {
  for (std::size_t k = 0; k < crystal_.positions.size(); ++k) {
    const double length = crystal_.box[k % 3];
    const double shift = -length * std::floor(crystal_.positions[k] / length);
    crystal_.positions[k] += shift;
    crystal_.sites[k] += shift;
  }
  rows_ = crystal_.positions;
  listed_ = crystal_.positions;
  list_.build(rows_, crystal_.box, model_.about.cutoff + settings_.skin, settings_.n_threads);
  species_.assign(rows_.size() / 3, 0);
  ++generation_;
  needs_list_ = false;
}

void Dynamics::move_images() {
  const std::size_t n = crystal_.positions.size();
  in_parts(crystal_.n_atoms(), least_atoms, settings_.n_threads, [&](int, std::int64_t first, std::int64_t end) {
    std::copy(crystal_.positions.begin() + 3 * first, crystal_.positions.begin() + 3 * end, rows_.begin() + 3 * first);
  });
  const std::vector<Image> &images = list_.images();
  in_parts(std::int64_t(images.size()), least_atoms, settings_.n_threads,
           [&](int, std::int64_t first, std::int64_t end) {
             for (std::size_t k = std::size_t(first); k < std::size_t(end); ++k) {
               const double *owner = crystal_.positions.data() + 3 * std::size_t(images[k].owner);
               for (std::size_t a = 0; a < 3; ++a) rows_[n + 3 * k + a] = owner[a] + images[k].shift[a];
             }
           });
}

double Dynamics::evaluate(const Model &model, int n_threads, Evaluation &found) {
  row_forces_.resize(rows_.size());
  in_parts(n_rows(), least_atoms, settings_.n_threads, [&](int, std::int64_t first, std::int64_t end) {
    std::fill(row_forces_.begin() + 3 * first, row_forces_.begin() + 3 * end, 0.0);
  });
  PannaPlusNeighborhood atoms{};
  atoms.n_atoms = n_rows();
  atoms.positions = rows_.data();
  atoms.species = species_.data();
  atoms.n_centers = crystal_.n_atoms();
  atoms.centers = centers_.data();
  atoms.n_neighbors = list_.n_neighbors().data();
  atoms.neighbors = list_.neighbors().data();
  atoms.neighbor_mask = -1;
  atoms.n_threads = n_threads;
  atoms.generation = generation_;
  PannaPlusResults results{};
  results.forces = row_forces_.data();
  const double start = seconds_now();
  model.compute(atoms, results);
  const double seconds = seconds_now() - start;
  found.energy = results.energy;
  std::copy(results.virial, results.virial + 6, found.virial);
  fold_images(found.forces);
  return seconds;
}

/// Forces of images, added to those of the atoms that they are images of.
void Dynamics::fold_images(std::vector<double> &forces) const {
  const std::size_t n = crystal_.positions.size();
  forces.resize(n);
  in_parts(crystal_.n_atoms(), least_atoms, settings_.n_threads, [&](int, std::int64_t first, std::int64_t end) {
    std::copy(row_forces_.begin() + 3 * first, row_forces_.begin() + 3 * end, forces.begin() + 3 * first);
  });
  const std::vector<Image> &images = list_.images();
  for (std::size_t k = 0; k < images.size(); ++k) {
    double *owner = forces.data() + 3 * std::size_t(images[k].owner);
    for (std::size_t a = 0; a < 3; ++a) owner[a] += row_forces_[n + 3 * k + a];
  }
}

/// Adds the forces of the springs to the latest ones; their energy.
double Dynamics::add_springs() {
  if (settings_.spring == 0.0) return 0.0;
  return sum_of(parts_of(crystal_.n_atoms(), settings_.n_threads, [&](std::size_t first, std::size_t end) {
    double squared = 0.0;
    for (std::size_t k = 3 * first; k < 3 * end; ++k) {
      const double stretch = crystal_.positions[k] - crystal_.sites[k];
      latest_.forces[k] -= settings_.spring * stretch;
      squared += stretch * stretch;
    }
    return 0.5 * settings_.spring * squared;
  }));
}

/// Lets forces act for a time; the kinetic energy behind it.
double Dynamics::kick(double time) {
  const double factor = time / silicon_mass * squared_speed_of_energy;
  const auto parts = parts_of(crystal_.n_atoms(), settings_.n_threads, [&](std::size_t first, std::size_t end) {
    double sum = 0.0;
    for (std::size_t k = 3 * first; k < 3 * end; ++k) {
      double &v = crystal_.velocities[k];
      v += factor * latest_.forces[k];
      sum += v * v;
    }
    return sum;
  });
  return 0.5 * silicon_mass / squared_speed_of_energy * sum_of(parts);
}

/// Moves atoms for a time; the largest squared distance from where they were when the list was made.
double Dynamics::drift(double time) {
  const auto parts = parts_of(crystal_.n_atoms(), settings_.n_threads, [&](std::size_t first, std::size_t end) {
    double largest = 0.0;
    for (std::size_t i = first; i < end; ++i) {
      double squared = 0.0;
      for (std::size_t k = 3 * i; k < 3 * i + 3; ++k) {
        crystal_.positions[k] += time * crystal_.velocities[k];
        const double moved = crystal_.positions[k] - listed_[k];
        squared += moved * moved;
      }
      largest = std::max(largest, squared);
    }
    return largest;
  });
  return *std::max_element(parts.begin(), parts.end());
}

}  // namespace driver
