// What a plugin may expect of the mpi.h of a LAMMPS that was compiled without MPI: functions of C++, an old standard
// (no split by nodes), buffers that are not const, plain numbers for everything.
#ifndef MPI_STUBS
#define MPI_STUBS

#define MPI_Comm int
#define MPI_Datatype int
#define MPI_Info int
#define MPI_Op int
#define MPI_COMM_WORLD 0
#define MPI_IN_PLACE nullptr
#define MPI_MAX_PROCESSOR_NAME 128

enum { MPI_CHAR = 1, MPI_INT, MPI_DOUBLE };
enum { MPI_SUM = 1, MPI_MAX, MPI_MIN };

int MPI_Comm_rank(MPI_Comm comm, int *rank);
int MPI_Comm_size(MPI_Comm comm, int *size);
int MPI_Get_processor_name(char *name, int *length);
int MPI_Bcast(void *values, int n, MPI_Datatype type, int root, MPI_Comm comm);
int MPI_Allreduce(void *from, void *to, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm);
int MPI_Gather(void *from, int n, MPI_Datatype type, void *to, int n_each, MPI_Datatype type_to, int root, MPI_Comm comm);

#endif
