// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine.h"

#include <algorithm>
#include <dlfcn.h>
#include <stdexcept>

namespace panna_plus_lammps {
namespace {

// From panna_plus/lammps/plugins/<build>/ to panna_plus/native/.
constexpr const char *engine_from_here = "/../../../native/libpanna_plus.so";

std::string engine_path()
{
  Dl_info here{};
  if (!dladdr(reinterpret_cast<const void *>(&engine_path), &here) || !here.dli_fname)
    throw std::runtime_error("the place of the panna_plus plugin cannot be found out");
  const std::string plugin = here.dli_fname;
  const auto slash = plugin.rfind('/');
  return (slash == std::string::npos ? std::string(".") : plugin.substr(0, slash)) + engine_from_here;
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

Engine open_engine()
{
  const std::string path = engine_path();
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    throw std::runtime_error("the panna_plus engine cannot be opened (" + dl_reason() +
                             "): leave the plugin in the folder where pip installed it, or reinstall panna_plus");
  Engine engine{};
  find(library, "panna_plus_abi_version", engine.abi_version);
  const int version = engine.abi_version();
  if (version != PANNA_PLUS_ABI_VERSION)
    throw std::runtime_error("the panna_plus engine " + path + " has interface version " +
                             std::to_string(version) + ", the pair style needs " +
                             std::to_string(PANNA_PLUS_ABI_VERSION) + ": reinstall panna_plus");
  find(library, "panna_plus_open", engine.open);
  find(library, "panna_plus_describe", engine.describe);
  find(library, "panna_plus_compute", engine.compute);
  find(library, "panna_plus_memory_usage", engine.memory_usage);
  find(library, "panna_plus_close", engine.close);
  find(library, "panna_plus_last_error", engine.last_error);
  return engine;
}

}    // namespace

const Engine &Engine::instance()
{
  static const Engine engine = open_engine();
  return engine;
}

Model::Model(const std::string &path, PannaPlusPrecision precision) :
    engine_(Engine::instance()), path_(path)
{
  if (engine_.open(path.c_str(), precision, &model_) != 0) throw std::runtime_error(engine_.last_error());
  if (engine_.describe(model_, &description_) != 0) {
    const std::string reason = engine_.last_error();
    engine_.close(model_);
    throw std::runtime_error(reason);
  }
  elements_.assign(description_.elements, description_.elements + description_.n_elements);
}

Model::~Model()
{
  engine_.close(model_);
}

void Model::compute(const PannaPlusNeighborhood &atoms, PannaPlusResults &results) const
{
  if (engine_.compute(model_, &atoms, &results) != 0) throw std::runtime_error(engine_.last_error());
}

int Model::species_of(const std::string &element) const
{
  const auto place = std::find(elements_.begin(), elements_.end(), element);
  return place == elements_.end() ? -1 : static_cast<int>(place - elements_.begin());
}

double Model::memory_usage() const
{
  return static_cast<double>(engine_.memory_usage(model_));
}

}    // namespace panna_plus_lammps
