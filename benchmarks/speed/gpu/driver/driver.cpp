// Molecular dynamics of diamond silicon on the C interface of the engine: what a step costs and where, whether energy
// is conserved, and, with --check, whether a device agrees with the CPU. Prints one JSON object on one line.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iomanip>
#include <sstream>

#include "dynamics.h"
#include "options.h"
#include "parallel.h"

using namespace driver;

namespace {

/// Members of a JSON object.
class Report {
 public:
  void text(const std::string &name, const std::string &value) { add(name) << '"' << value << '"'; }
  void number(const std::string &name, double value) {
    // What is not finite is no JSON.
    if (std::isfinite(value)) add(name) << std::setprecision(17) << value;
    else add(name) << "null";
  }
  std::string json() const { return "{" + stream_.str() + "}"; }

 private:
  std::ostream &add(const std::string &name) {
    stream_ << (stream_.str().empty() ? "" : ", ") << '"' << name << "\": ";
    return stream_;
  }
  std::ostringstream stream_;
};

/// Total energies per atom, one for every step.
class EnergyTrack {
 public:
  void add(const Dynamics &dynamics) {
    values_.push_back((dynamics.potential_energy() + dynamics.kinetic_energy()) / double(dynamics.crystal().n_atoms()));
  }
  /// Slope of a straight line through them, eV per atom and step, and how far they are from it.
  void describe(double timestep, Report &report) const {
    const double n = double(values_.size()), middle = 0.5 * (n - 1.0);
    double mean = 0.0, slope = 0.0, squares = 0.0, rest = 0.0;
    for (const double value : values_) mean += value / n;
    for (std::size_t k = 0; k < values_.size(); ++k) {
      slope += (double(k) - middle) * (values_[k] - mean);
      squares += (double(k) - middle) * (double(k) - middle);
    }
    slope = squares > 0.0 ? slope / squares : 0.0;
    for (std::size_t k = 0; k < values_.size(); ++k) {
      const double off = values_[k] - mean - slope * (double(k) - middle);
      rest += off * off / n;
    }
    report.number("energy_drift_meV_per_atom_and_ps", 1e3 * slope / timestep);
    report.number("energy_noise_meV_per_atom", 1e3 * std::sqrt(rest));
  }

 private:
  std::vector<double> values_;
};

double rms(const std::vector<double> &values) {
  double sum = 0.0;
  for (const double value : values) sum += value * value;
  return values.empty() ? 0.0 : std::sqrt(sum / double(values.size()));
}

double largest(const std::vector<double> &values) {
  double found = 0.0;
  for (const double value : values) found = std::max(found, std::fabs(value));
  return found;
}

double largest_difference(const std::vector<double> &a, const std::vector<double> &b) {
  double found = 0.0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double difference = std::fabs(a[k] - b[k]);
    found = std::max(found, std::isnan(difference) ? HUGE_VAL : difference);
  }
  return found;
}

/// Virials of single pairs cancel in a crystal near equilibrium: against the sum of their magnitudes, estimated.
double virial_difference(const Evaluation &found, const Evaluation &expected) {
  const double magnitude = rms(expected.forces) * double(expected.forces.size()) * 0.5 * lattice_constant;
  double difference = 0.0;
  for (int k = 0; k < 6; ++k) difference = std::max(difference, std::fabs(found.virial[k] - expected.virial[k]));
  return difference / magnitude;
}

void describe_steps(const Dynamics &dynamics, double seconds, int steps, Report &report) {
  const Clocks &clocks = dynamics.clocks();
  const double n = double(dynamics.crystal().n_atoms()), unit = 1e6 / (n * steps);
  report.number("step_us", unit * seconds);
  report.number("list_us", unit * clocks.list);
  report.number("evaluate_new_us", unit * clocks.evaluate_new);
  report.number("evaluate_us", unit * clocks.evaluate_kept);
  report.number("gather_us", unit * clocks.gather);
  report.number("integrate_us", unit * clocks.integrate);
  // Of one evaluation or one list, not of the average step.
  report.number("one_kept_evaluation_us", clocks.n_kept > 0 ? 1e6 * clocks.evaluate_kept / clocks.n_kept / n : NAN);
  report.number("one_new_evaluation_us", clocks.n_lists > 0 ? 1e6 * clocks.evaluate_new / clocks.n_lists / n : NAN);
  report.number("one_list_us", clocks.n_lists > 0 ? 1e6 * clocks.list / clocks.n_lists / n : NAN);
  report.number("rebuilds", clocks.n_lists);
}

void describe_system(const Options &options, const Model &model, const Dynamics &dynamics, Report &report) {
  const double n = double(dynamics.crystal().n_atoms());
  report.number("atoms", n);
  report.number("rows", double(dynamics.n_rows()));
  report.number("listed_pairs", double(dynamics.list().n_pairs()));
  report.text("device", model.about.device);
  report.text("kernels", model.about.kernels);
  report.text("precision", options.precision);
  report.number("threads", options.threads);
  report.number("steps", options.steps);
  report.number("temperature_K", 2.0 * dynamics.kinetic_energy() / (3.0 * n * boltzmann));
}

/// Compares with double precision on the CPU, and times one core in the precision asked for.
void check(const Options &options, const Model &model, Dynamics &dynamics, Report &report) {
  const Model exact(options.model, "double", "cpu", ""), peer(options.model, options.precision, "cpu", "");
  Evaluation found, expected, timed;
  dynamics.evaluate(model, options.threads, found);
  dynamics.evaluate(exact, options.threads, expected);
  double least = dynamics.evaluate(peer, 1, timed);
  const double start = seconds_now();
  for (int k = 0; k < 20 && seconds_now() - start < 1.0; ++k) {
    least = std::min(least, dynamics.evaluate(peer, 1, timed));
  }
  report.number("one_core_us", 1e6 * least / double(dynamics.crystal().n_atoms()));
  report.text("one_core_kernels", peer.about.kernels);
  report.number("force_difference", largest_difference(found.forces, expected.forces) / largest(expected.forces));
  report.number("energy_difference", std::fabs(found.energy - expected.energy) / std::fabs(expected.energy));
  report.number("virial_difference", virial_difference(found, expected));
}

void write_structure(const std::string &path, const Crystal &crystal, const Evaluation &found) {
  std::ofstream file(path);
  file << std::setprecision(17) << crystal.n_atoms() << "\nLattice=\"" << crystal.box[0] << " 0 0 0 " << crystal.box[1]
       << " 0 0 0 " << crystal.box[2] << "\" Properties=species:S:1:pos:R:3:forces:R:3 energy=" << found.energy
       << " pbc=\"T T T\"\n";
  for (std::size_t k = 0; k < crystal.positions.size(); k += 3) {
    file << "Si";
    for (std::size_t a = 0; a < 3; ++a) file << ' ' << crystal.positions[k + a];
    for (std::size_t a = 0; a < 3; ++a) file << ' ' << found.forces[k + a];
    file << '\n';
  }
  if (!file.flush()) throw std::runtime_error("cannot write '" + path + "'");
}

void run(const Options &options) {
  const Model model(options.model, options.precision, options.device, options.kernels);
  const double spring = options.spring > 0.0 ? options.spring : stiffness_of_silicon;
  Crystal crystal = silicon(options.cells, options.temperature, spring, 4928);
  Dynamics dynamics(std::move(crystal), model, {options.timestep, options.skin, options.spring, options.threads});
  for (int k = 0; k < options.warmup; ++k) dynamics.step();
  dynamics.restart_clocks();
  EnergyTrack track;
  const double start = seconds_now();
  for (int k = 0; k < options.steps; ++k) {
    dynamics.step();
    track.add(dynamics);
  }
  const double seconds = seconds_now() - start;
  Report report;
  describe_system(options, model, dynamics, report);
  describe_steps(dynamics, seconds, options.steps, report);
  track.describe(options.timestep, report);
  Evaluation last;
  dynamics.evaluate(model, options.threads, last);
  report.number("force_rms", rms(last.forces));
  if (options.check) check(options, model, dynamics, report);
  if (!options.write.empty()) write_structure(options.write, dynamics.crystal(), last);
  std::printf("%s\n", report.json().c_str());
  std::fflush(stdout);
}

}  // namespace

/// The program as a function, for processes that watch it from inside; its exit status.
extern "C" __attribute__((visibility("default"))) int panna_plus_drive(int n, const char *const *arguments) {
  try {
    run(parse_options(n, arguments));
    return 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "driver: %s\n", error.what());
    return 1;
  }
}

int main(int n, char **arguments) { return panna_plus_drive(n, arguments); }
