// SPDX-License-Identifier: GPL-2.0-or-later
#include "devices.h"

#include "comm.h"
#include "error.h"
#include "mpi_symbols.h"
#include "universe.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace panna_plus_lammps {
namespace {

/// Lines of a table that people still read.
constexpr std::size_t most_lines = 32;

/// Devices that this rank can use; 0 also where there is no engine, which opening a model reports.
int usable_devices(Backend backend)
{
  try {
    return Engine::of(backend).cuda_devices();
  } catch (const std::runtime_error &) {
    return 0;
  }
}

/// The number of this process on its node as launchers count, -1 where none says it: Open MPI; MPICH and Intel MPI;
/// Slurm.
int launched_place()
{
  for (const char *name : {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"})
    if (const char *text = std::getenv(name)) return std::atoi(text);
  return -1;
}

/// Collective over the ranks of `world`: the number of this one on its node, counted from the first process of
/// another simulation there: the partitions of one run, or the parts of a communicator that was split, begin with
/// different devices.
int place_on_node(LAMMPS_NS::LAMMPS *lammps)
{
  int place = 0, first = launched_place();
#if MPI_VERSION >= 3    // not in the MPI stubs of LAMMPS, which have one rank
  MPI_Comm node;
  MPI_Comm_split_type(lammps->world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  MPI_Comm_rank(node, &place);
  MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, node);
  MPI_Comm_free(&node);
#endif
  const auto *universe = lammps->universe;
  return place + (first >= 0 ? first : universe->root_proc[universe->iworld]);
}

/// What one rank tells the first one; plain characters, to be sent.
struct Seat {
  char node[MPI_MAX_PROCESSOR_NAME];
  char device[256];
};

Seat own_seat(const Model &model)
{
  Seat seat{};
  int length = 0;
  MPI_Get_processor_name(seat.node, &length);
  std::strncpy(seat.device, model.device_name().c_str(), sizeof seat.device - 1);
  return seat;
}

/// Ranks on one device.
struct Occupied {
  const Seat *seat;
  std::vector<int> ranks;
};

/// The same device may have another number in another process, but not another name.
bool is_same(const Seat &a, const Seat &b)
{
  const char *name_a = std::strchr(a.device, ' '), *name_b = std::strchr(b.device, ' ');
  return std::strcmp(a.node, b.node) == 0 &&
      std::strcmp(name_a ? name_a : a.device, name_b ? name_b : b.device) == 0;
}

std::vector<Occupied> devices_of(const std::vector<Seat> &seats)
{
  std::vector<Occupied> devices;
  for (const Seat &seat : seats) {
    auto found = std::find_if(devices.begin(), devices.end(),
                              [&](const Occupied &device) { return is_same(*device.seat, seat); });
    if (found == devices.end()) found = devices.insert(devices.end(), {&seat, {}});
    found->ranks.push_back(static_cast<int>(&seat - seats.data()));
  }
  return devices;
}

std::string table_of(const std::vector<Occupied> &devices)
{
  std::string text = "  devices:\n";
  for (std::size_t line = 0; line < std::min(devices.size(), most_lines); ++line) {
    const Occupied &device = devices[line];
    text += std::string("    node ") + device.seat->node + ", " + device.seat->device +
        (device.ranks.size() > 1 ? ": ranks" : ": rank");
    for (std::size_t k = 0; k < device.ranks.size(); ++k) text += (k ? ", " : " ") + std::to_string(device.ranks[k]);
    text += "\n";
  }
  if (devices.size() > most_lines) text += "    and " + std::to_string(devices.size() - most_lines) + " more\n";
  return text;
}

void warn_of_sharing(LAMMPS_NS::LAMMPS *lammps, const std::vector<Occupied> &devices)
{
  const auto crowded = std::max_element(devices.begin(), devices.end(), [](const Occupied &a, const Occupied &b) {
    return a.ranks.size() < b.ranks.size();
  });
  if (crowded->ranks.size() < 2) return;
  lammps->error->warning(FLERR,
                         "pair_style panna_plus: " + std::to_string(crowded->ranks.size()) +
                             " ranks share the device " + crowded->seat->device + " of node " + crowded->seat->node +
                             ": each of them takes its own memory there, and they wait for each other. Start as many "
                             "ranks as there are devices and let 'device cuda' spread them; for more ranks than "
                             "devices, start the multi-process service of CUDA first (nvidia-cuda-mps-control -d)");
}

}    // namespace

std::string device_of_rank(LAMMPS_NS::LAMMPS *lammps, const Options &options)
{
  const bool is_automatic = options.device == "auto";
  if (is_automatic && options.backend == Backend::torch) return "cpu";
  if (!is_automatic && options.device != "cuda") return options.device;
  const int place = place_on_node(lammps);
  int n_devices = usable_devices(options.backend), fewest = 0;
  MPI_Allreduce(&n_devices, &fewest, 1, MPI_INT, MPI_MIN, lammps->world);
  if (fewest == 0 && is_automatic) return "cpu";
  return n_devices > 0 ? "cuda:" + std::to_string(place % n_devices) : "cuda";
}

std::string device_table(LAMMPS_NS::LAMMPS *lammps, const Model &model)
{
  if (model.device() == "cpu") return {};
  Seat mine = own_seat(model);
  std::vector<Seat> seats(lammps->comm->me == 0 ? lammps->comm->nprocs : 0);
  MPI_Gather(&mine, sizeof(Seat), MPI_CHAR, seats.data(), sizeof(Seat), MPI_CHAR, 0, lammps->world);
  if (lammps->comm->me != 0) return {};
  const std::vector<Occupied> devices = devices_of(seats);
  warn_of_sharing(lammps, devices);
  return table_of(devices);
}

}    // namespace panna_plus_lammps
