// SPDX-License-Identifier: GPL-2.0-or-later
#include "setup_checks.h"

#include "atom.h"
#include "comm.h"
#include "element_masses.h"
#include "error.h"
#include "force.h"
#include "group.h"
#include "lammps_compat.h"
#include "modify.h"
#include "mpi_symbols.h"
#include "neighbor.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <string>

namespace panna_plus_lammps {
namespace {

using LAMMPS_NS::Group;
using LAMMPS_NS::Neighbor;

constexpr double mass_tolerance = 0.1;

/// How many processes a launcher says that it started, and the variable in which it says so.
struct Launched {
  int processes = 1;
  std::string variable;
};

/// Open MPI, then MPICH, Intel MPI and Slurm.
Launched launched_processes()
{
  Launched largest;
  for (const char *name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"}) {
    const char *text = std::getenv(name);
    if (text && std::atoi(text) > largest.processes) largest = {std::atoi(text), name};
  }
  return largest;
}

/// How to start this LAMMPS: by the mpiexec of the MPI library of this process, if it has one.
std::string matching_launcher()
{
  if (compiled_mpi == no_mpi) return "This LAMMPS was compiled without MPI: start it without mpirun";
  const std::string use = "This mpirun belongs to another MPI: use ";
  Dl_info library{};
  if (!dladdr(reinterpret_cast<const void *>(&MPI_Comm_size), &library) || !library.dli_fname) return use + "mpiexec";
  std::error_code ignored;
  const auto file = std::filesystem::canonical(library.dli_fname, ignored);
  const auto launcher = file.parent_path().parent_path() / "bin/mpiexec";
  if (std::filesystem::exists(launcher, ignored)) return use + launcher.string();
  return use + "the mpiexec that belongs to " + library.dli_fname;
}

double mass_of(const std::string &element)
{
  for (const ElementMass &entry : element_masses)
    if (element == entry.symbol) return entry.mass;
  return 0.0;
}

/// True if some excluded pair of types holds two that the model sees.
bool excludes_types(const Neighbor &neighbor, const std::vector<int> &species)
{
  for (int m = 0; m < neighbor.nex_type; ++m)
    if (species[neighbor.ex1_type[m]] >= 0 && species[neighbor.ex2_type[m]] >= 0) return true;
  return false;
}

/// True if some excluded pair of groups has atoms in both; fixes keep empty groups for trial moves.
bool excludes_groups(const Neighbor &neighbor, Group &group)
{
  for (int m = 0; m < neighbor.nex_group; ++m)
    if (group.count(neighbor.ex1_group[m]) > 0 && group.count(neighbor.ex2_group[m]) > 0) return true;
  return false;
}

}    // namespace

void check_launcher(LAMMPS_NS::LAMMPS *lammps)
{
  int n_ranks = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);    // asked for its size only: nothing is sent over it
  const Launched launched = launched_processes();
  if (n_ranks > 1 || launched.processes == 1) return;
  lammps->error->all(FLERR,
                     "pair_style panna_plus: the launcher started " + std::to_string(launched.processes) +
                         " processes, but LAMMPS sees only itself: each would run the whole simulation. " +
                         matching_launcher() + " (where separate simulations are meant: env -u " +
                         launched.variable + " lmp ...)");
}

void check_special_bonds(LAMMPS_NS::LAMMPS *lammps)
{
  if (!lammps->atom->molecular) return;
  for (int k = 1; k <= 3; ++k)
    if (lammps->force->special_lj[k] == 0.0 && lammps->force->special_coul[k] == 0.0)
      lammps->error->all(FLERR,
                         "pair_style panna_plus: special_bonds is 0 for 1-" + std::to_string(k + 1) +
                             " neighbors, which removes bonded pairs from the neighbor list and changes the "
                             "energy: write 'special_bonds lj/coul 1.0 1.0 1.0' (where another style of a "
                             "hybrid needs zeros, 1e-50 in place of 1.0)");
}

void check_exclusions(LAMMPS_NS::LAMMPS *lammps, const std::vector<int> &species)
{
  const Neighbor &neighbor = *lammps->neighbor;
  if (neighbor.nex_mol == 0 && !excludes_types(neighbor, species) && !excludes_groups(neighbor, *lammps->group))
    return;
  lammps->error->all(FLERR,
                     "pair_style panna_plus: neigh_modify exclude removes pairs from the neighbor list and "
                     "changes the energy of a many-body potential: write 'neigh_modify exclude none', and hold "
                     "atoms fixed with fix setforce or by leaving them out of the integrated group");
}

void check_masses(LAMMPS_NS::LAMMPS *lammps, const std::vector<std::string> &element_of_type)
{
  const auto *atom = lammps->atom;
  if (!atom->mass || !atom->mass_setflag || lammps->comm->me != 0) return;
  for (int type = 1; type <= atom->ntypes; ++type) {
    const double expected = mass_of(element_of_type[type]);
    if (expected == 0.0 || !atom->mass_setflag[type]) continue;
    if (std::fabs(atom->mass[type] - expected) <= mass_tolerance * expected) continue;
    char text[256];
    std::snprintf(text, sizeof text,
                  "pair_style panna_plus: atom type %d is mapped to %s (mass %.6g), but its mass is %.6g: is the "
                  "order of the elements in pair_coeff right?",
                  type, element_of_type[type].c_str(), expected, atom->mass[type]);
    lammps->error->warning(FLERR, std::string(text));
  }
}

void check_computes(LAMMPS_NS::LAMMPS *lammps)
{
  // A warning, because the compute may be after the k-space part alone, which exists.
  if (lammps->comm->me != 0 || lammps->modify->get_compute_by_style("^group/group").empty()) return;
  lammps->error->warning(FLERR,
                         "pair_style panna_plus: compute group/group has no pair part here: the energy of an atom is "
                         "one function of all its neighbors, so no energy or force belongs to two atoms or to two "
                         "groups. Compare two runs instead, with and without one of the groups");
}

}    // namespace panna_plus_lammps
