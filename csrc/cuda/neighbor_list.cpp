#include "cuda/neighbor_list.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "cuda/parts.h"
#include "system/failure.h"
#include "system/neighbors.h"

namespace panna_plus::cuda {
namespace {

constexpr std::int64_t most_pairs = 0xffffffff;
/// Centres whose lists are worth a thread.
constexpr std::size_t least_part = 2000;

void wait(cudaStream_t stream) { require_success(cudaStreamSynchronize(stream), "the upload of the neighbour list"); }

}  // namespace

void NeighborList::update(const Neighborhood &atoms, int n_elements, bool with_reverse, cudaStream_t stream) {
  if (atoms.generation != 0 && atoms.generation == generation_) return;
  generation_ = 0;
  mask_ = atoms.neighbor_mask;
  sort_centers(atoms, n_elements, stream);
  upload_entries(atoms, stream);
  check_entries(atoms, n_elements, stream);
  if (with_reverse) build_reverse(atoms.n_atoms, stream);
  generation_ = atoms.generation;
}

void NeighborList::sort_centers(const Neighborhood &atoms, int n_elements, cudaStream_t stream) {
  std::vector<std::int64_t> count(static_cast<std::size_t>(n_elements), 0);
  for (std::int64_t n = 0; n < atoms.n_centers; ++n) {
    const int species = panna_plus::center_species(atoms, atoms.centers[n], n_elements);
    if (species >= 0) ++count[static_cast<std::size_t>(species)];
  }
  groups_.set(count, stream);
  std::int64_t total = 0;
  for (std::int64_t &each : count) total += std::exchange(each, total);
  centers_.resize(static_cast<std::size_t>(total));
  sorted_species_.resize(centers_.size());
  index_of_atom_.assign(static_cast<std::size_t>(atoms.n_atoms), -1);
  for (std::int64_t n = 0; n < atoms.n_centers; ++n) {
    const std::int32_t center = atoms.centers[n], species = atoms.species[center];
    if (species < 0) continue;
    const std::int64_t index = count[static_cast<std::size_t>(species)]++;
    centers_[static_cast<std::size_t>(index)] = center;
    sorted_species_[static_cast<std::size_t>(index)] = species;
    index_of_atom_[static_cast<std::size_t>(center)] = static_cast<std::int32_t>(index);
  }
  const std::size_t n = centers_.size(), n_atoms = index_of_atom_.size();
  upload(device_centers_.reserve(n), centers_.data(), n, stream);
  upload(center_species_.reserve(n), sorted_species_.data(), n, stream);
  upload(center_of_atom_.reserve(n_atoms), index_of_atom_.data(), n_atoms, stream);
  upload(species_.reserve(n_atoms), atoms.species, n_atoms, stream);
}

void NeighborList::upload_entries(const Neighborhood &atoms, cudaStream_t stream) {
  start_.assign(1, 0);
  for (const std::int32_t center : centers_) {
    start_.push_back(start_.back() + std::max(atoms.n_neighbors[center], 0));
  }
  require(n_entries() < most_pairs, "CUDA: " + std::to_string(n_entries()) +
                                        " neighbours are more than one device takes: use more ranks or devices");
  const std::size_t n = static_cast<std::size_t>(n_entries());
  std::int32_t *const out = entries_.reserve(n);
  in_parts(centers_.size(), least_part, atoms.n_threads, [&](std::size_t first, std::size_t end) {
    for (std::size_t c = first; c < end; ++c) {
      const std::size_t length = static_cast<std::size_t>(start_[c + 1] - start_[c]);
      if (length > 0) std::memcpy(out + start_[c], atoms.neighbors[centers_[c]], length * sizeof(std::int32_t));
    }
  });
  upload(device_start_.reserve(start_.size()), start_.data(), start_.size(), stream);
  upload(neighbors_.reserve(n), entries_.data(), n, stream);
}

/// Applies the mask on the device; the careful loop of the host says what is wrong with a neighbour that is no row.
void NeighborList::check_entries(const Neighborhood &atoms, int n_elements, cudaStream_t stream) {
  fill_bytes(error_.reserve(1), 0xff, 1, stream);
  mask_neighbors(start(), n_centers(), mask_, atoms.n_atoms, neighbors_.data(), error_.data(), stream);
  ErrorWord error = 0;
  download(&error, error_.data(), 1, stream);
  wait(stream);
  if (~error == 0) return;
  const std::vector<double> no_shortest(static_cast<std::size_t>(n_elements) * static_cast<std::size_t>(n_elements));
  std::vector<NeighborRow> rows;
  ClosestPair ignored;
  // With no cutoff at all nothing but such neighbours is refused.
  gather_neighbors(atoms, centers_[static_cast<std::size_t>(error >> 8)], {0.0, n_elements, no_shortest.data()}, rows,
                   ignored);
  throw Failure("a neighbour list names atoms that do not exist: check n_atoms and neighbor_mask");
}

void NeighborList::build_reverse(std::int64_t n_atoms, cudaStream_t stream) {
  const std::size_t n = static_cast<std::size_t>(n_atoms), n_pairs = static_cast<std::size_t>(n_entries());
  fill_bytes(named_.reserve(n), 0, n, stream);
  count_named(neighbors_.data(), n_entries(), named_.data(), stream);
  counts_.resize(n);
  download(counts_.data(), named_.data(), n, stream);
  wait(stream);
  reverse_first_.assign(n + 1, 0);
  for (std::size_t k = 0; k < n; ++k) reverse_first_[k + 1] = reverse_first_[k] + counts_[k];
  upload(reverse_start_.reserve(n + 1), reverse_first_.data(), n + 1, stream);
  fill_bytes(named_.data(), 0, n, stream);
  const ReverseArrays arrays{reverse_start_.data(), named_.data(), reverse_unsorted_.reserve(n_pairs),
                             reverse_entries_.reserve(n_pairs), reverse_centers_.reserve(n_pairs)};
  fill_reverse(neighbors_.data(), n_entries(), start(), center_atoms(), n_centers(), n_atoms, arrays, stream);
}

std::int32_t NeighborList::neighbor(std::int64_t center, std::int32_t entry) const {
  return entries_.data()[start_[static_cast<std::size_t>(center)] + entry] & mask_;
}

}  // namespace panna_plus::cuda
