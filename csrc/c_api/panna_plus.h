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
 * thread's), so one model serves them all. The same holds for descriptors and their three functions.
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
#define PANNA_PLUS_ABI_VERSION 11

typedef struct PannaPlusModel PannaPlusModel;
typedef struct PannaPlusDescriptor PannaPlusDescriptor;
typedef struct PannaPlusDeviceDescriptor PannaPlusDeviceDescriptor;

typedef enum {
  PANNA_PLUS_MIXED = 0, /* positions, displacements and sums in double, arithmetic between in float */
  PANNA_PLUS_DOUBLE = 1 /* double throughout */
} PannaPlusPrecision;

/* How a model is opened. Zero-initialise it: fields may be added. */
typedef struct {
  PannaPlusPrecision precision;
  /* The implementation. On the CPU "reference" (plain loops, for tests) or an instruction set, "x86-64-v4",
   * "x86-64-v3", "x86-64-v2" or "portable"; NULL or "": the fastest that the processor runs. On CUDA it says how forces
   * are summed up: "gather", NULL or "" (in the same order in every run) or "atomics". */
  const char *kernels;
  /* "cpu", NULL or "", or "cuda" or "cuda:N". Opening fails where the engine was built without CUDA, and where there
   * is no such device. */
  const char *device;
  /* Of a model with long-range terms, angstrom: where they end, and over which distance before it dispersion does.
   * 0: as the file says. */
  double long_range_cutoff;
  double dispersion_damping;
} PannaPlusOptions;

/* What a model is. The pointers stay valid until the model is closed. */
typedef struct {
  const char *family;          /* "panna" or "so3krates"; of files of several families "panna, so3krates" */
  int32_t n_elements;
  const char *const *elements; /* chemical symbols; the position is the species number */
  double cutoff;               /* angstrom: neighbours beyond it do not contribute */
  const char *card;            /* the JSON card of the file, NUL terminated; of several files empty: each has its own */
  const char *weights_sha256;  /* 64 hexadecimal digits; of several files those of their digits, in their order */
  const char *kernels;         /* the implementation in use, see PannaPlusOptions */
  const char *device;          /* "cpu" or "cuda:N" */
  double message_cutoff;       /* angstrom: how far messages go; 0 for models without */
  double reach;                /* angstrom: how far an atom's energy depends on others; `cutoff` without messages */
  int32_t n_exchanges;         /* times that images must learn what became of atoms, 0 without messages */
  int32_t uses_charge;         /* whether the total charge of the system enters */
  int32_t uses_spin;           /* whether the number of unpaired electrons enters */
  int32_t n_details;
  const char *const *details;  /* names of what PannaPlusDetail can ask for */
  int32_t n_members;           /* of a committee, whose energy is the mean of theirs; 1: a model alone */
  int32_t n_files;             /* that the model was opened from, see panna_plus_describe_file() */
} PannaPlusDescription;

/* How several processes evaluate one system together, each with atoms of its own. Every process calls the same
 * functions in the same order, from the thread that called panna_plus_compute, also one without atoms and one that has
 * found a fault. A function returns 0, or something else if it failed. */
typedef struct {
  void *context;               /* handed to the functions */
  /* values (n_atoms, width): rows of images become those of their atoms, which other processes may have. NULL:
   * the rows within `reach` of centres have neighbour lists of their own. */
  int (*to_images)(void *context, double *values, int32_t width);
  /* values (n): their sums over all processes. */
  int (*sum)(void *context, double *values, int32_t n);
} PannaPlusExchange;

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
  /* A number other than 0 promises that n_atoms, species, centers and lists are those of every other call for this
   * model with the same number: a device keeps what it has, and only positions are copied. 0: always copied. */
  int64_t generation;
  /* Only for models with messages, n_exchanges > 0; one of the two, unless there are no images. */
  const int32_t *owners;             /* (n_atoms) the row of the atom that each row is an image of, or is */
  const PannaPlusExchange *exchange; /* where the atoms are distributed */
  double total_charge;               /* of the system, in e */
  double unpaired_electrons;         /* of the system */
} PannaPlusNeighborhood;

/* Numbers per atom beside energies and forces. */
typedef struct {
  const char *name;  /* one of PannaPlusDescription.details */
  double *values;    /* (n_atoms): set for centres */
} PannaPlusDetail;

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
  const PannaPlusDetail *details; /* (n_details) */
  int32_t n_details;
  /* Of the members of a committee, n_members > 1; an evaluation that asks for forces takes longer. */
  double *member_energies;   /* (n_members), eV */
  double *member_forces;     /* (n_members, n_atoms, 3), eV/angstrom */
} PannaPlusResults;

/* A named array of parameters. */
typedef struct {
  const char *name;     /* as in model files, for example "descriptor/radial/eta" */
  int64_t n;
  const double *values; /* (n) */
} PannaPlusArray;

/* Directed pairs sorted by their centre. Zero-initialise it: fields may be added. Pairs beyond the cutoff
 * are legal and contribute 0. */
typedef struct {
  int64_t n_centers;
  int64_t n_pairs;
  const double *displacements;    /* (n_pairs, 3), angstrom, from the centre to the neighbour */
  const int64_t *row_start;       /* (n_centers + 1): where the pairs of a centre begin; ends with n_pairs */
  const int32_t *species;         /* (n_pairs) of the neighbours, 0 to n_elements - 1; or NULL, and instead */
  const int64_t *long_species;    /* (n_pairs) the same as wider numbers */
} PannaPlusPairs;

PANNA_PLUS_API int32_t panna_plus_abi_version(void);

/* Read a model file. Nothing in the file is executed, except by libpanna_plus_torchscript.so, which has this
 * interface as well and evaluates a model by running the program in its file.
 *
 * Several files are one model, whose results are the means of theirs: a committee whose members need not have
 * descriptors or families in common, only elements. Each file counts as often as it has members, as if all were merged
 * into one; the members of the model are those of the files, in their order. The order of elements is that of the first
 * file. Of details there are those that all files have: their means, but the largest "extrapolation". */
PANNA_PLUS_API int panna_plus_open(const char *const *paths, int32_t n_paths, const PannaPlusOptions *options,
                                   PannaPlusModel **model);
/* CUDA devices that panna_plus_open can use; 0 if there are none, panna_plus_last_error() then says why. */
PANNA_PLUS_API int32_t panna_plus_cuda_devices(void);
/* What device N is called, with an id that no other device has, whatever its number is in this process: "NVIDIA H100
 * PCIe (GPU-5f3a...)". Valid until the calling thread's next call; NULL on failure. */
PANNA_PLUS_API const char *panna_plus_cuda_device_name(int32_t device);
PANNA_PLUS_API int panna_plus_describe(const PannaPlusModel *model, PannaPlusDescription *description);
/* The same for one of the files alone, 0 to n_files - 1 in the order in which they were given. */
PANNA_PLUS_API int panna_plus_describe_file(const PannaPlusModel *model, int32_t file,
                                            PannaPlusDescription *description);
PANNA_PLUS_API int panna_plus_compute(const PannaPlusModel *model, const PannaPlusNeighborhood *atoms,
                                      PannaPlusResults *results);
/* Bytes held by the model. */
PANNA_PLUS_API int64_t panna_plus_memory_usage(const PannaPlusModel *model);
PANNA_PLUS_API void panna_plus_close(PannaPlusModel *model);

/* The symmetry functions of a panna model alone, for training: `kind` is "mbp" or "bp", `arrays` are those of
 * the descriptor in a model file, `kernels` an instruction set as in PannaPlusOptions. */
PANNA_PLUS_API int panna_plus_descriptor_open(const char *kind, int32_t n_elements, const PannaPlusArray *arrays,
                                              int32_t n_arrays, PannaPlusPrecision precision, const char *kernels,
                                              PannaPlusDescriptor **descriptor);
/* F, the number of features of an atom. */
PANNA_PLUS_API int64_t panna_plus_descriptor_n_features(const PannaPlusDescriptor *descriptor);
/* The three functions work on centres first_center ... last_center - 1 and set (not add) what belongs to them.
 * Arrays are those of all centres and pairs, so that several threads may share the work by centres.
 *   forward:  features (n_centers, F) = G
 *   backward: gradients (n_pairs, 3) = sum_f g_f dG_f/dr, with g (n_centers, F)
 *   tangent:  features (n_centers, F) = sum_pairs dG/dr . v, with v (n_pairs, 3) */
PANNA_PLUS_API int panna_plus_descriptor_forward(const PannaPlusDescriptor *descriptor, const PannaPlusPairs *pairs,
                                                 int64_t first_center, int64_t last_center, double *features);
PANNA_PLUS_API int panna_plus_descriptor_backward(const PannaPlusDescriptor *descriptor, const PannaPlusPairs *pairs,
                                                  int64_t first_center, int64_t last_center, const double *g,
                                                  double *gradients);
PANNA_PLUS_API int panna_plus_descriptor_tangent(const PannaPlusDescriptor *descriptor, const PannaPlusPairs *pairs,
                                                 int64_t first_center, int64_t last_center, const double *v,
                                                 double *features);
PANNA_PLUS_API void panna_plus_descriptor_close(PannaPlusDescriptor *descriptor);

/* What a call on a device needs besides its arguments. Nothing is allocated and nothing waits: everything is queued on
 * `stream`, on which memory and arrays may be used again afterwards. */
typedef struct {
  void *stream;    /* cudaStream_t */
  void *memory;    /* of the device, panna_plus_device_descriptor_memory() bytes, aligned to 256 bytes */
  uint64_t *error; /* of the device: set by the call, for panna_plus_device_descriptor_explain() */
} PannaPlusDeviceCall;

/* The symmetry functions on the CUDA device of that number, all of whose centers are computed in one call. Pointers of
 * pairs and arrays are those of the device. "Numbers" are float (PANNA_PLUS_MIXED) or double (PANNA_PLUS_DOUBLE). */
PANNA_PLUS_API int panna_plus_device_descriptor_open(const char *kind, int32_t n_elements, const PannaPlusArray *arrays,
                                                     int32_t n_arrays, PannaPlusPrecision precision, int32_t device,
                                                     PannaPlusDeviceDescriptor **descriptor);
PANNA_PLUS_API int64_t panna_plus_device_descriptor_memory(const PannaPlusDeviceDescriptor *descriptor,
                                                           int64_t n_centers, int64_t n_pairs);
/* As the functions of the same names above, with numbers in the place of double: features (n_centers, F); g
 * (n_centers, F) and gradients (n_pairs, 3); v (n_pairs, 3) and features (n_centers, F). */
PANNA_PLUS_API int panna_plus_device_descriptor_forward(const PannaPlusDeviceDescriptor *descriptor,
                                                        const PannaPlusPairs *pairs, const PannaPlusDeviceCall *call,
                                                        void *features);
PANNA_PLUS_API int panna_plus_device_descriptor_backward(const PannaPlusDeviceDescriptor *descriptor,
                                                         const PannaPlusPairs *pairs, const PannaPlusDeviceCall *call,
                                                         const void *g, void *gradients);
PANNA_PLUS_API int panna_plus_device_descriptor_tangent(const PannaPlusDeviceDescriptor *descriptor,
                                                        const PannaPlusPairs *pairs, const PannaPlusDeviceCall *call,
                                                        const void *v, void *features);
/* 0 if the error word of a call says that all was well; 1 if not, the reason is then panna_plus_last_error(). */
PANNA_PLUS_API int panna_plus_device_descriptor_explain(const PannaPlusDeviceDescriptor *descriptor, uint64_t error);
PANNA_PLUS_API void panna_plus_device_descriptor_close(PannaPlusDeviceDescriptor *descriptor);

/* Reason of the calling thread's last failure; never NULL. */
PANNA_PLUS_API const char *panna_plus_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
