// SPDX-License-Identifier: GPL-2.0-or-later
//
// Numbers per atom that a model knows beside energies and forces, such as charges: who wants them, and where they are.
#ifndef PANNA_PLUS_DETAILS_H
#define PANNA_PLUS_DETAILS_H

#include "panna_plus.h"

#include <map>
#include <string>
#include <vector>

namespace panna_plus_lammps {

/// LAMMPS asks by name: for the numbers, and for a trigger, an integer that is 1 in steps in which they are wanted.
class Details {
 public:
  /// Of a model that was opened; numbers of the one before are forgotten.
  void set_names(const std::vector<std::string> &names);

  /// The trigger of `name`, null if the model knows nothing of that name. From now on it decides. It stays where it is.
  int *trigger(const std::string &name);
  /// Numbers (n_atoms), null if the model knows nothing of that name or the last step did not want it.
  double *values(const std::string &name);
  /// The same, and from now on every step wants it unless there is a trigger.
  double *ask_for(const std::string &name);
  /// Makes them wanted by the pair style itself in the step to come.
  void want(const std::string &name);

  /// What is wanted in this step, with room for n_atoms numbers each; valid until the next call.
  const std::vector<PannaPlusDetail> &request(int64_t n_atoms);
  /// After the step. Energies are multiplied by `energy`, the other numbers have no unit that LAMMPS has another for.
  void finish(double energy);

  double memory_usage() const;    ///< bytes

 private:
  struct Entry {
    bool is_known = false;         // to the model
    bool has_trigger = false;
    bool is_asked_for = false;     // by someone without a trigger
    bool is_wanted = false;        // by the pair style
    bool is_there = false;
    int trigger = 0;
    std::vector<double> values;
  };
  Entry *find(const std::string &name);

  std::map<std::string, Entry> entries_;    // none is ever taken out: others have pointers into them
  std::vector<PannaPlusDetail> request_;
};

}    // namespace panna_plus_lammps

#endif
