// The C interface as a Python module: numpy arrays in and out, the interpreter lock released while it computes.
// Checks of types and units belong to panna_plus/native/engine.py; here is what could read out of bounds.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "c_api/panna_plus.h"

namespace py = pybind11;

namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

[[noreturn]] void raise(const char *name, const std::string &message) {
  const py::object text =
      py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(message.data(), py::ssize_t(message.size()), "replace"));
  PyErr_SetObject(py::module_::import("panna_plus.errors").attr(name).ptr(), text.ptr());
  throw py::error_already_set();
}

void expect(bool condition, const std::string &message) {
  if (!condition) throw py::value_error(message);
}

std::string shape_of(const py::array &array) { return py::str(array.attr("shape")).cast<std::string>(); }

void expect_shape(const py::array &array, const char *name, py::ssize_t rows, py::ssize_t columns) {
  const bool fits = array.shape(0) == rows && (columns == 1 ? array.ndim() == 1
                                                            : array.ndim() == 2 && array.shape(1) == columns);
  expect(fits, std::string(name) + " must have " + std::to_string(rows) + " rows of " + std::to_string(columns) +
                   ", found the shape " + shape_of(array));
}

/// Neighbor lists in the form of the C interface. The numpy arrays are kept and not copied; made once per listing.
class Lists {
 public:
  Lists(Array<std::int32_t> centers, const Array<std::int64_t> &starts, Array<std::int32_t> neighbors)
      : centers_(std::move(centers)), neighbors_(std::move(neighbors)) {
    expect(centers_.ndim() == 1 && starts.ndim() == 1 && neighbors_.ndim() == 1 && starts.shape(0) >= 1,
           "centers, starts and neighbors must be one-dimensional, and starts one longer than there are rows");
    const std::int64_t *first = starts.data();
    const py::ssize_t n_rows = starts.shape(0) - 1;
    bool ascends = first[0] == 0 && first[n_rows] == neighbors_.shape(0);
    counts_.reserve(std::size_t(n_rows));
    for (py::ssize_t row = 0; row < n_rows && ascends; ++row) {
      ascends = first[row] <= first[row + 1] && first[row + 1] <= neighbors_.shape(0);
      counts_.push_back(std::int32_t(first[row + 1] - first[row]));
      lists_.push_back(neighbors_.data() + first[row]);
    }
    expect(ascends, "starts must ascend from 0 to the number of neighbors, " + std::to_string(neighbors_.shape(0)));
    // No other lists of this process have the same number.
    static std::atomic<std::int64_t> n_made{0};
    generation_ = ++n_made;
  }

  py::ssize_t n_rows() const { return py::ssize_t(counts_.size()); }

  /// The engine itself refuses centers and neighbors that are no row.
  /// `are_species_kept`: they are those of every other call with these lists, so that a device may keep both.
  PannaPlusNeighborhood view(const double *positions, const std::int32_t *species, int n_threads,
                             bool are_species_kept) const {
    PannaPlusNeighborhood view{};
    view.n_atoms = n_rows();
    view.positions = positions;
    view.species = species;
    view.n_centers = centers_.shape(0);
    view.centers = centers_.data();
    view.n_neighbors = counts_.data();
    view.neighbors = lists_.data();
    view.neighbor_mask = -1;
    view.n_threads = n_threads;
    view.generation = are_species_kept ? generation_ : 0;
    return view;
  }

 private:
  Array<std::int32_t> centers_, neighbors_;
  std::vector<std::int32_t> counts_;
  std::vector<const std::int32_t *> lists_;
  std::int64_t generation_ = 0;
};

struct CloseModel {
  void operator()(PannaPlusModel *model) const { panna_plus_close(model); }
};

using SharedModel = std::shared_ptr<PannaPlusModel>;

/// Calls the engine without the interpreter lock. The reason of a failure belongs to this thread: taken at once.
void run(const SharedModel &model, const PannaPlusNeighborhood &atoms, PannaPlusResults &results) {
  std::string reason;
  {
    const py::gil_scoped_release unlocked;
    if (panna_plus_compute(model.get(), &atoms, &results) != 0) reason = panna_plus_last_error();
  }
  if (!reason.empty()) raise("NumericalError", reason);
}

Array<double> zeros(std::vector<py::ssize_t> shape) {
  Array<double> array(std::move(shape));
  std::fill_n(array.mutable_data(), array.size(), 0.0);
  return array;
}

py::dict summary(const PannaPlusResults &results, std::int64_t closest_center, std::int64_t closest_neighbor) {
  py::dict out;
  out["energy"] = results.energy;
  out["virial"] = Array<double>(6, results.virial);
  out["closest_ratio"] = results.closest_ratio;
  out["closest_distance"] = results.closest_distance;
  out["closest_pair"] = py::make_tuple(closest_center, closest_neighbor);
  return out;
}

/// What an evaluation is asked for beyond energies, forces and virials, and the memory for it.
class Extras {
 public:
  Extras(int n_members, std::vector<std::string> details, py::ssize_t n_rows)
      : n_rows_(n_rows), n_members_(n_members), names_(std::move(details)) {
    energies_.assign(std::size_t(n_members_), 0.0);
    forces_.assign(std::size_t(3 * n_members_ * n_rows), 0.0);
    values_.assign(names_.size(), std::vector<double>(std::size_t(n_rows), 0.0));
    for (std::size_t d = 0; d < names_.size(); ++d) details_.push_back({names_[d].c_str(), values_[d].data()});
  }
  Extras(const Extras &) = delete;
  Extras &operator=(const Extras &) = delete;

  void ask(PannaPlusResults &results) {
    results.details = details_.data();
    results.n_details = std::int32_t(details_.size());
    if (n_members_ == 0) return;
    results.member_energies = energies_.data();
    results.member_forces = forces_.data();
  }

  /// Adds what came of it; rows are those of `owners`, or atoms themselves where that is null.
  void report(py::dict &out, const std::int32_t *owners, py::ssize_t n_atoms) const {
    Array<double> forces = zeros({n_members_, n_atoms, 3});
    for (py::ssize_t m = 0; m < n_members_; ++m) {
      for (py::ssize_t row = 0; row < n_rows_; ++row) {
        const py::ssize_t atom = owners ? owners[row] : row;
        for (int a = 0; a < 3; ++a)
          forces.mutable_data()[3 * (m * n_atoms + atom) + a] += forces_[std::size_t(3 * (m * n_rows_ + row) + a)];
      }
    }
    py::dict details;
    // Atoms are the first rows, and only they are centers.
    for (std::size_t d = 0; d < names_.size(); ++d)
      details[names_[d].c_str()] = Array<double>(n_atoms, values_[d].data());
    out["details"] = details;
    out["member_energies"] =
        n_members_ > 0 ? py::object(Array<double>(n_members_, energies_.data())) : py::object(py::none());
    out["member_forces"] = n_members_ > 0 ? py::object(forces) : py::object(py::none());
  }

 private:
  py::ssize_t n_rows_, n_members_;
  std::vector<std::string> names_;
  std::vector<double> energies_, forces_;
  std::vector<std::vector<double>> values_;
  std::vector<PannaPlusDetail> details_;
};

class Model {
 public:
  Model(const std::vector<std::string> &paths, int precision, const std::string &kernels, const std::string &device,
        double long_range_cutoff, double dispersion_damping) {
    PannaPlusModel *opened = nullptr;
    std::string reason;
    std::vector<const char *> names;
    for (const std::string &path : paths) names.push_back(path.c_str());
    {
      const py::gil_scoped_release unlocked;
      PannaPlusOptions options{};
      options.precision = PannaPlusPrecision(precision);
      options.kernels = kernels.c_str();
      options.device = device.c_str();
      options.long_range_cutoff = long_range_cutoff;
      options.dispersion_damping = dispersion_damping;
      if (panna_plus_open(names.data(), std::int32_t(names.size()), &options, &opened) != 0)
        reason = panna_plus_last_error();
    }
    if (!reason.empty()) raise("ModelFileError", reason);
    model_ = SharedModel(opened, CloseModel());
    const PannaPlusDescription about = described(model_);
    has_messages_ = about.message_cutoff > 0.0;
    n_members_ = about.n_members;
  }

  py::dict describe() const {
    const SharedModel model = open();
    const PannaPlusDescription about = described(model);
    py::list elements, details, cards;
    for (int n = 0; n < about.n_files; ++n) {
      PannaPlusDescription file{};
      if (panna_plus_describe_file(model.get(), n, &file) != 0) raise("ModelFileError", panna_plus_last_error());
      cards.append(file.card);
    }
    for (int e = 0; e < about.n_elements; ++e) elements.append(about.elements[e]);
    for (int d = 0; d < about.n_details; ++d) details.append(about.details[d]);
    py::dict out;
    out["family"] = about.family;
    out["elements"] = elements;
    out["cutoff"] = about.cutoff;
    out["cards"] = cards;
    out["weights_sha256"] = about.weights_sha256;
    out["kernels"] = about.kernels;
    out["device"] = about.device;
    out["message_cutoff"] = about.message_cutoff;
    out["reach"] = about.reach;
    out["n_exchanges"] = about.n_exchanges;
    out["uses_charge"] = about.uses_charge != 0;
    out["uses_spin"] = about.uses_spin != 0;
    out["n_members"] = about.n_members;
    out["details"] = details;
    return out;
  }

  std::int64_t memory_usage() const { return panna_plus_memory_usage(model_.get()); }

  /// Other threads that compute keep the model until they are done.
  void close() { model_.reset(); }

  py::dict compute(const Lists &lists, const Array<double> &positions, const Array<std::int32_t> &species,
                   const Array<std::int32_t> &owners, int n_threads, bool atomic_virials, bool members,
                   const std::vector<std::string> &details, double total_charge, double unpaired_electrons) const {
    const SharedModel model = open();
    const py::ssize_t n = lists.n_rows();
    expect_shape(positions, "positions", n, 3);
    expect_shape(species, "species", n, 1);
    expect_shape(owners, "owners", n, 1);
    PannaPlusResults results{};
    Extras extras(members ? n_members_ : 0, details, n);
    extras.ask(results);
    Array<double> energies = zeros({n}), forces = zeros({n, 3});
    Array<double> virials = zeros({atomic_virials ? n : 0, 6}), centroid = zeros({atomic_virials ? n : 0, 9});
    results.atomic_energies = energies.mutable_data();
    results.forces = forces.mutable_data();
    results.atomic_virials = atomic_virials ? virials.mutable_data() : nullptr;
    results.centroid_virials = atomic_virials ? centroid.mutable_data() : nullptr;
    PannaPlusNeighborhood atoms = lists.view(positions.data(), species.data(), n_threads, false);
    complete(atoms, owners.data(), total_charge, unpaired_electrons);
    run(model, atoms, results);
    py::dict out = summary(results, results.closest_center, results.closest_neighbor);
    out["atomic_energies"] = energies;
    out["forces"] = forces;
    out["atomic_virials"] = atomic_virials ? py::object(virials) : py::object(py::none());
    out["centroid_virials"] = atomic_virials ? py::object(centroid) : py::object(py::none());
    extras.report(out, nullptr, n);
    return out;
  }

  /// Rows are images of atoms: row k lies at positions[owners[k]] + offsets[k]. The atoms themselves are the first
  /// rows. Forces on images are added to their owners. The species must be those of every other call with these lists.
  py::dict compute_images(const Lists &lists, const Array<double> &positions, const Array<std::int32_t> &species,
                          const Array<std::int32_t> &owners, const Array<double> &offsets, int n_threads, bool members,
                          const std::vector<std::string> &details, double total_charge,
                          double unpaired_electrons) const {
    const SharedModel model = open();
    const py::ssize_t n_rows = lists.n_rows(), n_atoms = positions.shape(0);
    expect_shape(positions, "positions", n_atoms, 3);
    expect_shape(species, "species", n_atoms, 1);
    expect_shape(owners, "owners", n_rows, 1);
    expect_shape(offsets, "offsets", n_rows, 3);
    expect(n_rows >= n_atoms, "every atom needs a row: " + std::to_string(n_atoms) + " atoms, " +
                                  std::to_string(n_rows) + " rows");
    const std::int32_t *owner = owners.data();
    std::vector<double> row_positions(std::size_t(3 * n_rows)), row_forces(std::size_t(3 * n_rows), 0.0);
    std::vector<double> row_energies(std::size_t(n_rows), 0.0);
    std::vector<std::int32_t> row_species(std::size_t(n_rows), 0);
    for (py::ssize_t row = 0; row < n_rows; ++row) {
      expect(owner[row] >= 0 && owner[row] < n_atoms, "row " + std::to_string(row) + " is an image of atom " +
                                                          std::to_string(owner[row]) + ", which does not exist");
      row_species[std::size_t(row)] = species.data()[owner[row]];
      for (int a = 0; a < 3; ++a)
        row_positions[std::size_t(3 * row + a)] = positions.data()[3 * owner[row] + a] + offsets.data()[3 * row + a];
    }
    PannaPlusResults results{};
    Extras extras(members ? n_members_ : 0, details, n_rows);
    extras.ask(results);
    results.atomic_energies = row_energies.data();
    results.forces = row_forces.data();
    PannaPlusNeighborhood atoms = lists.view(row_positions.data(), row_species.data(), n_threads, true);
    complete(atoms, owner, total_charge, unpaired_electrons);
    run(model, atoms, results);

    Array<double> energies = zeros({n_atoms}), forces = zeros({n_atoms, 3});
    for (py::ssize_t row = 0; row < n_rows; ++row) {
      energies.mutable_data()[owner[row]] += row_energies[std::size_t(row)];
      for (int a = 0; a < 3; ++a) forces.mutable_data()[3 * owner[row] + a] += row_forces[std::size_t(3 * row + a)];
    }
    const auto atom_of = [&](std::int64_t row) { return row < 0 ? row : std::int64_t(owner[row]); };
    py::dict out = summary(results, atom_of(results.closest_center), atom_of(results.closest_neighbor));
    out["atomic_energies"] = energies;
    out["forces"] = forces;
    out["atomic_virials"] = py::none();
    out["centroid_virials"] = py::none();
    extras.report(out, owner, n_atoms);
    return out;
  }

 private:
  SharedModel open() const {
    if (!model_) raise("ModelFileError", "the engine was closed: open the model file again");
    return model_;
  }

  static PannaPlusDescription described(const SharedModel &model) {
    PannaPlusDescription about{};
    if (panna_plus_describe(model.get(), &about) != 0) raise("ModelFileError", panna_plus_last_error());
    return about;
  }

  void complete(PannaPlusNeighborhood &atoms, const std::int32_t *owners, double total_charge,
                double unpaired_electrons) const {
    atoms.owners = has_messages_ ? owners : nullptr;
    atoms.total_charge = total_charge;
    atoms.unpaired_electrons = unpaired_electrons;
  }

  SharedModel model_;
  bool has_messages_ = false;
  int n_members_ = 1;
};

}  // namespace

PYBIND11_MODULE(_engine, module) {
  if (panna_plus_abi_version() != PANNA_PLUS_ABI_VERSION) {
    throw py::import_error("libpanna_plus.so has interface version " + std::to_string(panna_plus_abi_version()) +
                           ", this module was compiled for " + std::to_string(PANNA_PLUS_ABI_VERSION));
  }
  py::class_<Lists>(module, "Lists")
      .def(py::init<Array<std::int32_t>, const Array<std::int64_t> &, Array<std::int32_t>>(), py::arg("centers"),
           py::arg("starts"), py::arg("neighbors"))
      .def_property_readonly("n_rows", &Lists::n_rows);
  py::class_<Model>(module, "Model")
      .def(py::init<const std::vector<std::string> &, int, const std::string &, const std::string &, double, double>(),
           py::arg("paths"), py::arg("precision"), py::arg("kernels"), py::arg("device"), py::arg("long_range_cutoff"),
           py::arg("dispersion_damping"))
      .def("describe", &Model::describe)
      .def("close", &Model::close)
      .def_property_readonly("memory_usage", &Model::memory_usage)
      .def("compute", &Model::compute, py::arg("lists"), py::arg("positions"), py::arg("species"),
           py::arg("owners"), py::arg("n_threads"), py::arg("atomic_virials"), py::arg("members"), py::arg("details"),
           py::arg("total_charge"), py::arg("unpaired_electrons"))
      .def("compute_images", &Model::compute_images, py::arg("lists"), py::arg("positions"), py::arg("species"),
           py::arg("owners"), py::arg("offsets"), py::arg("n_threads"), py::arg("members"), py::arg("details"),
           py::arg("total_charge"), py::arg("unpaired_electrons"));
}
