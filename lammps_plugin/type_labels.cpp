// SPDX-License-Identifier: GPL-2.0-or-later
#include "type_labels.h"

#include "atom.h"
#include "element_masses.h"
#include "error.h"
#include "lammps_compat.h"

namespace panna_plus_lammps {
namespace {

using LAMMPS_NS::Atom;
using LAMMPS_NS::LAMMPS;

/// By atom type - 1; empty where the label is not an element. LAMMPS tells the type of a label, not the reverse.
std::vector<std::string> labeled_elements(const Atom &atom)
{
  std::vector<std::string> elements(atom.ntypes);
  if (!atom.labelmapflag) return elements;
  for (const ElementMass &entry : element_masses) {
    const int type = type_with_label(*atom.lmap, entry.symbol, Atom::ATOM);
    if (type > 0) elements[type - 1] = entry.symbol;
  }
  return elements;
}

}    // namespace

std::vector<std::string> elements_by_label(LAMMPS *lammps)
{
  const std::vector<std::string> elements = labeled_elements(*lammps->atom);
  for (std::size_t k = 0; k < elements.size(); ++k) {
    if (!elements[k].empty()) continue;
    const std::string type = std::to_string(k + 1);
    lammps->error->all(FLERR,
                       "pair_style panna_plus: 'labels' in pair_coeff, but atom type " + type +
                           " has no label that is the symbol of an element: write 'labelmap atom " + type +
                           " Si' (or what it is) before, or name the elements in pair_coeff");
  }
  return elements;
}

void check_labels(LAMMPS *lammps, const std::vector<std::string> &names)
{
  const std::vector<std::string> elements = labeled_elements(*lammps->atom);
  for (std::size_t k = 0; k < elements.size(); ++k)
    if (!elements[k].empty() && names[k] != "NULL" && names[k] != elements[k])
      lammps->error->all(FLERR,
                         "pair_style panna_plus: atom type " + std::to_string(k + 1) + " has the label " +
                             elements[k] + ", but pair_coeff maps it to " + names[k] + ": correct one of them, or "
                             "write 'labels' in place of the elements in pair_coeff");
}

}    // namespace panna_plus_lammps
