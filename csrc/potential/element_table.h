// Numbers of elements in model files: one row per element of the model, or one per atomic number.
#pragma once

#include <string>
#include <vector>

#include "model_file/model_file.h"

namespace panna_plus {

/// Atomic number of a chemical symbol; a Failure if there is no such element.
int atomic_number(const std::string &symbol);

/// Rows of an array (rows, n) that belong to the elements of the file, in their order: (S, n). The card key
/// `family_parameters.element_rows` says whether row s is that of species s ("species") or of atomic number s
/// ("atomic_numbers").
std::vector<double> read_element_table(const ModelFile &file, const std::string &name, int n);

}  // namespace panna_plus
