// SPDX-License-Identifier: GPL-2.0-or-later
#include "details.h"

#include <algorithm>

namespace panna_plus_lammps {
namespace {

bool is_energy(const std::string &name)
{
  const std::string end = "_energies";
  return name.size() > end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}

}    // namespace

void Details::set_names(const std::vector<std::string> &names)
{
  for (auto &[name, entry] : entries_) entry.is_known = entry.is_there = false;
  for (const std::string &name : names) entries_[name].is_known = true;
}

Details::Entry *Details::find(const std::string &name)
{
  const auto found = entries_.find(name);
  return found == entries_.end() || !found->second.is_known ? nullptr : &found->second;
}

int *Details::trigger(const std::string &name)
{
  Entry *entry = find(name);
  if (!entry) return nullptr;
  entry->has_trigger = true;
  return &entry->trigger;
}

double *Details::values(const std::string &name)
{
  Entry *entry = find(name);
  return entry && entry->is_there ? entry->values.data() : nullptr;
}

double *Details::ask_for(const std::string &name)
{
  if (Entry *entry = find(name)) entry->is_asked_for = true;
  return values(name);
}

void Details::want(const std::string &name)
{
  if (Entry *entry = find(name)) entry->is_wanted = true;
}

const std::vector<PannaPlusDetail> &Details::request(int64_t n_atoms)
{
  request_.clear();
  for (auto &[name, entry] : entries_) {
    const bool is_triggered = entry.has_trigger ? entry.trigger != 0 : entry.is_asked_for;
    entry.is_there = entry.is_known && (entry.is_wanted || is_triggered);
    entry.is_wanted = false;
    if (!entry.is_there) continue;
    // Also without atoms there is an array: LAMMPS takes a null pointer for a failure.
    entry.values.assign(std::max<std::size_t>(static_cast<std::size_t>(n_atoms), 1), 0.0);
    request_.push_back({name.c_str(), entry.values.data()});
  }
  return request_;
}

void Details::finish(double energy)
{
  for (auto &[name, entry] : entries_)
    if (entry.is_there && is_energy(name))
      for (double &value : entry.values) value *= energy;
}

double Details::memory_usage() const
{
  double bytes = 0.0;
  for (const auto &[name, entry] : entries_) bytes += static_cast<double>(entry.values.capacity() * sizeof(double));
  return bytes;
}

}    // namespace panna_plus_lammps
