/* panna_plus: the C interface of the native engine.
 *
 * Everything outside the engine (the LAMMPS pair style, Python) sees this header and nothing else.
 *
 * Units: length in angstrom, energy in eV, forces in eV/angstrom.
 * A displacement points from the centre to the neighbour: r_ij = x_j - x_i. Periodic images are
 * atoms of their own (ghosts) with their own row in `positions`.
 * Virials are W = -sum_ij r_ij (x) dE/dr_ij in the order xx, yy, zz, xy, xz, yz; the stress that
 * ASE reports is -W / volume.
 *
 * Every function that can fail returns 0 on success and 1 on failure; panna_plus_last_error() then
 * holds the reason. No C++ exception leaves this interface. A model is immutable once opened;
 * panna_plus_compute may run in several threads at once, each with its own workspace (the calling
 * thread's), so one model serves them all.
 */
#ifndef PANNA_PLUS_H
#define PANNA_PLUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define PANNA_PLUS_API __declspec(dllexport)
#else
#define PANNA_PLUS_API __attribute__((visibility("default")))
#endif

/* Changes whenever a struct or a function below changes; compare with panna_plus_abi_version(). */
#define PANNA_PLUS_ABI_VERSION 3

typedef struct PannaPlusModel PannaPlusModel;

typedef enum {
  PANNA_PLUS_MIXED = 0, /* positions, displacements and sums in double, arithmetic between in float */
  PANNA_PLUS_DOUBLE = 1 /* double throughout */
} PannaPlusPrecision;

/* What a model is. The pointers stay valid until the model is closed. */
typedef struct {
  const char *family;          /* "panna" */
  int32_t n_elements;
  const char *const *elements; /* chemical symbols; the position is the species number */
  double cutoff;               /* angstrom: neighbours beyond it do not contribute */
  const char *card;            /* the JSON card of the file, NUL terminated */
  const char *weights_sha256;  /* 64 hexadecimal digits */
  const char *kernels;         /* the implementation in use, see panna_plus_open_with */
} PannaPlusDescription;

/* Atoms and neighbours of one evaluation. Zero-initialise it: fields may be added. The full list of an
 * atom may hold neighbours beyond the cutoff (a skin): they are skipped. */
typedef struct {
  int64_t n_atoms;                  /* rows of positions and species, ghosts included */
  const double *positions;          /* (n_atoms, 3), angstrom */
  const int32_t *species;           /* (n_atoms); -1: an atom that the model neither counts nor sees */
  int64_t n_centers;
  const int32_t *centers;           /* (n_centers) atoms whose energies are computed, each once */
  const int32_t *n_neighbors;       /* indexed by atom: length of its neighbour list */
  const int32_t *const *neighbors;  /* indexed by atom: its neighbours */
  int32_t neighbor_mask;            /* and-ed to every neighbour before use; -1 keeps all bits */
  int32_t n_threads;                /* 0 or 1: the calling thread alone */
} PannaPlusNeighborhood;

/* Where results go. Arrays may be NULL (not wanted); values are ADDED to what they hold. After a
 * failure the contents are unspecified. */
typedef struct {
  double energy;             /* eV, added to */
  double virial[6];          /* eV, added to */
  double *atomic_energies;   /* (n_atoms), reference energies included */
  double *forces;            /* (n_atoms, 3); ghosts receive their share */
  double *atomic_virials;    /* (n_atoms, 6); each pair's symmetrised term, half to the centre, half to
                                the neighbour */
  double *centroid_virials;  /* (n_atoms, 9) in the order xx, yy, zz, xy, xz, yz, yx, zx, zy;
                                each pair's whole term to the neighbour */
  /* The closest pair of this evaluation, measured against the shortest distance of its two elements
   * in the training data: set, not added. closest_ratio is infinite when no pair was seen. */
  double closest_ratio;
  double closest_distance;   /* angstrom */
  int64_t closest_center;    /* atom rows; -1 when no pair was seen */
  int64_t closest_neighbor;
} PannaPlusResults;

PANNA_PLUS_API int32_t panna_plus_abi_version(void);

/* Read a model file. Nothing in the file is executed. */
PANNA_PLUS_API int panna_plus_open(const char *path, PannaPlusPrecision precision, PannaPlusModel **model);
/* The same with a choice of implementation: "reference" (plain loops, for tests) or an instruction set,
 * "x86-64-v4", "x86-64-v3", "x86-64-v2" or "portable"; NULL or "": the fastest that the processor runs. */
PANNA_PLUS_API int panna_plus_open_with(const char *path, PannaPlusPrecision precision, const char *kernels,
                                        PannaPlusModel **model);
PANNA_PLUS_API int panna_plus_describe(const PannaPlusModel *model, PannaPlusDescription *description);
PANNA_PLUS_API int panna_plus_compute(const PannaPlusModel *model, const PannaPlusNeighborhood *atoms,
                                      PannaPlusResults *results);
/* Bytes held by the model. */
PANNA_PLUS_API int64_t panna_plus_memory_usage(const PannaPlusModel *model);
PANNA_PLUS_API void panna_plus_close(PannaPlusModel *model);

/* Reason of the calling thread's last failure; never NULL. */
PANNA_PLUS_API const char *panna_plus_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
