// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine.h"

#include "coefficients.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <stdexcept>
#include <unistd.h>

namespace panna_plus_lammps {
namespace {

// From panna_plus/lammps/plugins/<build>/ to panna_plus/native/.
constexpr const char *native_from_here = "/../../../native";
constexpr const char *torch_advice =
    ": backend torch needs torch in the environment of panna_plus and a library built for it; run "
    "'panna-plus build' there, or leave 'backend torch' out";

std::string folder_of_plugin()
{
  Dl_info here{};
  if (!dladdr(reinterpret_cast<const void *>(&folder_of_plugin), &here) || !here.dli_fname)
    throw std::runtime_error("the place of the panna_plus plugin cannot be found out");
  const std::string plugin = here.dli_fname;
  const auto slash = plugin.rfind('/');
  return slash == std::string::npos ? std::string(".") : plugin.substr(0, slash);
}

/// Where people without write access to the package have what needs torch built.
std::string cache_folder()
{
  const char *cache = std::getenv("XDG_CACHE_HOME");
  if (cache && *cache) return std::string(cache) + "/panna_plus";
  const char *home = std::getenv("HOME");
  return std::string(home ? home : "") + "/.cache/panna_plus";
}

bool is_there(const std::string &path)
{
  return access(path.c_str(), R_OK) == 0;
}

std::string dl_reason()
{
  const char *reason = dlerror();
  return reason ? reason : "no reason given";
}

template <class Function> void find(void *library, const char *name, Function &function)
{
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function) throw std::runtime_error("the panna_plus engine lacks a function: " + dl_reason());
}

/// The functions of a library; `advice` ends every complaint about it.
Engine open_engine(const std::string &path, const std::string &advice)
{
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error("the panna_plus engine cannot be opened (" + dl_reason() + ")" + advice);
  Engine engine{};
  find(library, "panna_plus_abi_version", engine.abi_version);
  const int version = engine.abi_version();
  if (version != PANNA_PLUS_ABI_VERSION)
    throw std::runtime_error("the panna_plus engine " + path + " has interface version " +
                             std::to_string(version) + ", the pair style needs " +
                             std::to_string(PANNA_PLUS_ABI_VERSION) + advice);
  find(library, "panna_plus_open", engine.open);
  find(library, "panna_plus_cuda_devices", engine.cuda_devices);
  find(library, "panna_plus_cuda_device_name", engine.cuda_device_name);
  find(library, "panna_plus_describe", engine.describe);
  find(library, "panna_plus_describe_file", engine.describe_file);
  find(library, "panna_plus_compute", engine.compute);
  find(library, "panna_plus_memory_usage", engine.memory_usage);
  find(library, "panna_plus_close", engine.close);
  find(library, "panna_plus_last_error", engine.last_error);
  return engine;
}

/// Where the native engine is: the place that the build was told, else that of an installed package, else
/// beside the plugin.
std::string native_engine()
{
  const std::string name = "/libpanna_plus.so", folder = folder_of_plugin();
  const std::string installed = folder + native_from_here + name, beside = folder + name;
#ifdef PANNA_PLUS_ENGINE
  if (is_there(PANNA_PLUS_ENGINE)) return PANNA_PLUS_ENGINE;
#endif
  return is_there(beside) && !is_there(installed) ? beside : installed;
}

/// Beside the native engine, else in the user's cache.
Engine open_torch()
{
  const std::string name = "/libpanna_plus_torchscript.so", native = native_engine();
  const std::string beside = native.substr(0, native.rfind('/')) + name, cached = cache_folder() + name;
  if (!is_there(beside) && !is_there(cached))
    throw std::runtime_error("there is neither " + beside + " nor " + cached + torch_advice);
  try {
    if (is_there(beside)) return open_engine(beside, torch_advice);
  } catch (const std::runtime_error &) {
    // Built for a torch that has been replaced since.
    if (!is_there(cached)) throw;
  }
  return open_engine(cached, torch_advice);
}

}    // namespace

const Engine &Engine::of(Backend backend)
{
  if (backend == Backend::torch) {
    static const Engine torch = open_torch();
    return torch;
  }
  static const Engine native =
      open_engine(native_engine(),
                  ": leave the plugin in the folder where pip installed it, or put libpanna_plus.so beside it");
  return native;
}

ModelFile::ModelFile(const std::string &path, const PannaPlusDescription &found) :
    path(path), family(found.family), card(found.card), weights_hash(found.weights_sha256),
    uses_charge(found.uses_charge != 0), uses_spin(found.uses_spin != 0),
    details(found.details, found.details + found.n_details)
{
}

Model::Model(const std::vector<std::string> &paths, const Options &options) :
    engine_(Engine::of(options.backend)), options_(options)
{
  std::vector<const char *> names;
  for (const std::string &path : paths) {
    names.push_back(path.c_str());
    absolute_paths_.push_back(std::filesystem::absolute(path).string());
  }
  PannaPlusOptions opening{};
  opening.precision = options.precision;
  opening.device = options.device.c_str();
  opening.long_range_cutoff = options.long_range_cutoff;
  opening.dispersion_damping = options.damping;
  if (engine_.open(names.data(), static_cast<int32_t>(names.size()), &opening, &model_) != 0)
    throw std::runtime_error(engine_.last_error());
  try {
    describe(paths);
  } catch (...) {
    engine_.close(model_);
    throw;
  }
}

void Model::describe(const std::vector<std::string> &paths)
{
  const auto check = [this](int status) {
    if (status != 0) throw std::runtime_error(engine_.last_error());
  };
  check(engine_.describe(model_, &description_));
  elements_.assign(description_.elements, description_.elements + description_.n_elements);
  details_.assign(description_.details, description_.details + description_.n_details);
  for (std::size_t n = 0; n < paths.size(); ++n) {
    PannaPlusDescription file{};
    check(engine_.describe_file(model_, static_cast<int32_t>(n), &file));
    files_.emplace_back(paths[n], file);
  }
}

std::unique_ptr<Model> Model::in_double() const
{
  Options options = options_;
  options.precision = PANNA_PLUS_DOUBLE;
  auto model = std::make_unique<Model>(absolute_paths_, options);
  for (std::size_t n = 0; n < files_.size(); ++n)
    if (model->files_[n].weights_hash != files_[n].weights_hash)
      throw std::runtime_error("the file " + absolute_paths_[n] + " is not the one that pair_coeff read: " +
                               "give pair_coeff again");
  return model;
}

Model::~Model()
{
  engine_.close(model_);
}

void Model::compute(const PannaPlusNeighborhood &atoms, PannaPlusResults &results) const
{
  if (engine_.compute(model_, &atoms, &results) != 0) throw std::runtime_error(engine_.last_error());
}

std::vector<std::string> Model::paths() const
{
  std::vector<std::string> paths;
  for (const ModelFile &file : files_) paths.push_back(file.path);
  return paths;
}

std::string Model::name() const
{
  return joined(paths(), ", ");
}

std::string Model::device_name() const
{
  if (device() == "cpu") return device();
  const char *name = engine_.cuda_device_name(std::stoi(device().substr(device().find(':') + 1)));
  return name ? device() + " " + name : device();
}

int Model::species_of(const std::string &element) const
{
  const auto place = std::find(elements_.begin(), elements_.end(), element);
  return place == elements_.end() ? -1 : static_cast<int>(place - elements_.begin());
}

bool Model::has_detail(const std::string &name) const
{
  return std::find(details_.begin(), details_.end(), name) != details_.end();
}

double Model::memory_usage() const
{
  return static_cast<double>(engine_.memory_usage(model_));
}

}    // namespace panna_plus_lammps
