// SPDX-License-Identifier: GPL-2.0-or-later
#include "traffic.h"

#include "lammps_compat.h"

#include "comm.h"
#include "force.h"
#include "mpi_symbols.h"
#include "pair.h"

#include <algorithm>

namespace panna_plus_lammps {
namespace {

using namespace LAMMPS_NS;

// Numbers per atom in one message; what is wider goes in several. Features and Euclidean variables of the usual
// models fit into one.
constexpr int widest = 160;

/// A function of the engine's exchange: nothing may be thrown through the engine.
template <class Body> int without_exception(Body body)
{
  try {
    body();
    return 0;
  } catch (...) {
    return 1;
  }
}

}    // namespace

Traffic::Traffic(LAMMPS *lammps, Pair *style) : Pointers(lammps), style_(style) {}

void Traffic::announce()
{
  // A hybrid style has asked its parts for their widths when they were made, long before there was a model.
  for (Pair *style : {style_, force->pair}) style->comm_forward = std::max(style->comm_forward, widest);
}

const PannaPlusExchange *Traffic::exchange(Halo halo)
{
  exchange_ = {};
  exchange_.context = this;
  exchange_.sum = [](void *context, double *values, int32_t n) {
    return without_exception([&] { static_cast<Traffic *>(context)->sum(values, n); });
  };
  if (halo == Halo::deep) return &exchange_;
  exchange_.to_images = [](void *context, double *values, int32_t width) {
    return without_exception([&] { static_cast<Traffic *>(context)->to_ghosts(values, width); });
  };
  return &exchange_;
}

void Traffic::to_ghosts(double *values, int width)
{
  for (int first = 0; first < width; first += widest) {
    const int count = std::min(widest, width - first);
    columns_ = {{values, width, first, count}};
    send_to_ghosts(*comm, style_, count, 0);
  }
}

void Traffic::from_ghosts(const std::vector<Columns> &columns)
{
  columns_ = columns;
  int width = 0;
  for (const Columns &part : columns_) width += part.count;
  send_from_ghosts(*comm, style_, width, 0);
}

void Traffic::sum(double *values, int n)
{
  MPI_Allreduce(MPI_IN_PLACE, values, n, MPI_DOUBLE, MPI_SUM, world);
}

double *Traffic::pack_row(int row, double *buffer) const
{
  for (const Columns &part : columns_)
    buffer = std::copy_n(part.values + std::size_t(row) * part.stride + part.first, part.count, buffer);
  return buffer;
}

int Traffic::pack(int n, const int *list, double *buffer) const
{
  double *end = buffer;
  for (int k = 0; k < n; ++k) end = pack_row(list[k], end);
  return static_cast<int>(end - buffer);
}

int Traffic::pack(int n, int first, double *buffer) const
{
  double *end = buffer;
  for (int row = first; row < first + n; ++row) end = pack_row(row, end);
  return static_cast<int>(end - buffer);
}

void Traffic::unpack_copied(int n, int first, const double *buffer)
{
  for (int row = first; row < first + n; ++row)
    for (const Columns &part : columns_) {
      std::copy_n(buffer, part.count, part.values + std::size_t(row) * part.stride + part.first);
      buffer += part.count;
    }
}

void Traffic::unpack_added(int n, const int *list, const double *buffer)
{
  for (int k = 0; k < n; ++k)
    for (const Columns &part : columns_) {
      double *to = part.values + std::size_t(list[k]) * part.stride + part.first;
      for (int column = 0; column < part.count; ++column) to[column] += buffer[column];
      buffer += part.count;
    }
}

}    // namespace panna_plus_lammps
