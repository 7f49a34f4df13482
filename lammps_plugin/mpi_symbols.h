// SPDX-License-Identifier: GPL-2.0-or-later
//
// mpi.h, with every symbol that the plugin uses allowed to be absent.
//
// Kinds of MPI differ in their symbols. The system refuses a library that needs one which the process lacks, and its
// message names that symbol only. Thus this library opens anywhere; lammps_compat.h compares before anything is called.
#ifndef PANNA_PLUS_MPI_SYMBOLS_H
#define PANNA_PLUS_MPI_SYMBOLS_H

#include <mpi.h>

#define PANNA_PLUS_MAY_BE_ABSENT(symbol) extern __attribute__((weak)) decltype(symbol) symbol

PANNA_PLUS_MAY_BE_ABSENT(MPI_Allreduce);
PANNA_PLUS_MAY_BE_ABSENT(MPI_Bcast);
PANNA_PLUS_MAY_BE_ABSENT(MPI_Comm_rank);
PANNA_PLUS_MAY_BE_ABSENT(MPI_Comm_size);
PANNA_PLUS_MAY_BE_ABSENT(MPI_Gather);
PANNA_PLUS_MAY_BE_ABSENT(MPI_Get_processor_name);
#ifndef MPI_STUBS
PANNA_PLUS_MAY_BE_ABSENT(MPI_Comm_free);
PANNA_PLUS_MAY_BE_ABSENT(MPI_Comm_split_type);
#endif

// What is a number elsewhere has an address in Open MPI.
#ifdef OPEN_MPI
PANNA_PLUS_MAY_BE_ABSENT(ompi_mpi_char);
PANNA_PLUS_MAY_BE_ABSENT(ompi_mpi_comm_world);
PANNA_PLUS_MAY_BE_ABSENT(ompi_mpi_double);
PANNA_PLUS_MAY_BE_ABSENT(ompi_mpi_info_null);
PANNA_PLUS_MAY_BE_ABSENT(ompi_mpi_int);
PANNA_PLUS_MAY_BE_ABSENT(ompi_mpi_op_max);
PANNA_PLUS_MAY_BE_ABSENT(ompi_mpi_op_min);
PANNA_PLUS_MAY_BE_ABSENT(ompi_mpi_op_sum);
#endif

#undef PANNA_PLUS_MAY_BE_ABSENT

#endif
