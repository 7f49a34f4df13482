// Compiled once per instruction set, see sources.txt: -DPANNA_ISA names it.
#include "cpu/energy_terms_kernels.h"

#include "cpu/energy_terms_heads.h"
#include "cpu/energy_terms_pairs.h"

namespace panna_plus::PANNA_ISA {

template <class T>
constexpr EnergyTermsKernels<T> energy_terms() {
  return {Pack<T>::width, heads<T>, heads_back<T>, pairs<T>};
}

extern const EnergyTermsKernels<float> single_energy_terms;
extern const EnergyTermsKernels<double> double_energy_terms;
const EnergyTermsKernels<float> single_energy_terms = energy_terms<float>();
const EnergyTermsKernels<double> double_energy_terms = energy_terms<double>();

}  // namespace panna_plus::PANNA_ISA
