// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps_compat.h"
#include "mpi_symbols.h"
#include "pair_panna_plus.h"

#include <cstdio>

namespace {

using namespace panna_plus_lammps;

struct Style {
  const char *name;
  const char *info;
  void *(*creator)(void *lammps);
};

template <class PairStyle> void *create(void *lammps)
{
  return static_cast<LAMMPS_NS::Pair *>(new PairStyle(static_cast<LAMMPS_NS::LAMMPS *>(lammps)));
}

constexpr Style styles[] = {
    {"panna_plus", "neural interatomic potentials from panna_plus model files", &create<PairPannaPlus>},
};

void say(const std::string &text)
{
  std::fprintf(stderr, "ERROR: %s\n", text.c_str());
}

void say_on_first_rank(const LAMMPS_NS::LAMMPS &lammps, const std::string &text)
{
  int rank = 0;
  MPI_Comm_rank(lammps.world, &rank);
  if (rank == 0) say(text);
}

}    // namespace

/// The one symbol that LAMMPS looks for. Nothing may be thrown from here.
extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *lammps, void *handle,
                                                                         void *register_style)
{
  if (const std::string mismatch = mpi_mismatch(); !mismatch.empty()) return say(mismatch);
  const auto &host = *static_cast<LAMMPS_NS::LAMMPS *>(lammps);
  for (const std::string &mismatch : {build_mismatch(host), size_mismatch()})
    if (!mismatch.empty()) return say_on_first_rank(host, mismatch);
  for (const Style &style : styles) {
    PluginStyle entry = {host.version,      "pair",        style.name, style.info,
                         "panna_plus authors", style.creator, handle};
    reinterpret_cast<RegisterStyle>(register_style)(&entry, lammps);
  }
}
