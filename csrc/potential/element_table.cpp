#include "potential/element_table.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "system/failure.h"

namespace panna_plus {
namespace {

const char *const symbols[] = {
    "H",  "He", "Li", "Be", "B",  "C",  "N",  "O",  "F",  "Ne", "Na", "Mg", "Al", "Si", "P",  "S",  "Cl", "Ar",
    "K",  "Ca", "Sc", "Ti", "V",  "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr",
    "Rb", "Sr", "Y",  "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I",  "Xe",
    "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf",
    "Ta", "W",  "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th",
    "Pa", "U",  "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs",
    "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og"};

/// The row of each element of the file.
std::vector<int> rows_of_elements(const ModelFile &file) {
  const std::string order = file.card_string({"family_parameters", "element_rows"});
  if (order != "species" && order != "atomic_numbers") {
    file.fail("card key 'family_parameters.element_rows'", "\"species\" or \"atomic_numbers\"", "\"" + order + "\"");
  }
  std::vector<int> rows;
  for (const std::string &symbol : file.elements()) {
    rows.push_back(order == "species" ? static_cast<int>(rows.size()) : atomic_number(symbol));
  }
  return rows;
}

}  // namespace

int atomic_number(const std::string &symbol) {
  const auto found = std::find(std::begin(symbols), std::end(symbols), symbol);
  require(found != std::end(symbols), "'" + symbol + "' is no chemical symbol: expected H, He, ... Og");
  return static_cast<int>(found - std::begin(symbols)) + 1;
}

std::vector<double> read_element_table(const ModelFile &file, const std::string &name, int n) {
  const std::vector<double> table = file.array(name, {-1, n});
  const std::int64_t n_rows = file.array_shape(name)[0];
  std::vector<double> values;
  for (const int row : rows_of_elements(file)) {
    if (row >= n_rows) {
      file.fail("array '" + name + "'", "a row " + std::to_string(row), std::to_string(n_rows) + " rows");
    }
    const double *first = table.data() + std::ptrdiff_t(row) * n;
    values.insert(values.end(), first, first + n);
  }
  return values;
}

}  // namespace panna_plus
