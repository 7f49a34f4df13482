// What the driver is asked for on its command line.
#pragma once

#include <array>
#include <string>

namespace driver {

struct Options {
  std::string model;
  std::string device = "cpu", precision = "mixed", kernels;
  std::array<int, 3> cells{5, 5, 5};
  int steps = 100, warmup = 5, threads = 1;
  double skin = 1.0, spring = 0.0, temperature = 1000.0, timestep = 1e-3;
  bool check = false;
  std::string write;  // a file for the last structure
};

constexpr const char *usage =
    "usage: driver MODEL [options]\n"
    "  --cells NX NY NZ      cubic cells of 8 silicon atoms (5 5 5)\n"
    "  --device NAME         cpu, cuda or cuda:N (cpu)\n"
    "  --precision NAME      mixed or double (mixed)\n"
    "  --kernels NAME        as in PannaPlusOptions (the fastest)\n"
    "  --steps N             of velocity Verlet that are timed (100)\n"
    "  --warmup N            before them (5)\n"
    "  --threads N           of the host: lists, integration and, on the CPU, the model (1)\n"
    "  --skin R              angstrom (1)\n"
    "  --spring K            eV/angstrom^2, to the sites, for models that do not hold the crystal together (0)\n"
    "  --temperature T       K (1000)\n"
    "  --timestep T          ps (0.001)\n"
    "  --check               compare with the engine on the CPU and time one core of it\n"
    "  --write FILE          the last structure and the forces of the model, extended XYZ\n";

/// Throws std::runtime_error where an option is unknown, has no value or a wrong one.
Options parse_options(int n, const char *const *arguments);

}  // namespace driver
