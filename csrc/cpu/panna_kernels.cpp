// Compiled once per instruction set, see sources.txt: -DPANNA_ISA names it.
#include "cpu/panna_kernels.h"

#include "cpu/panna_contract.h"
#include "cpu/panna_describe.h"
#include "cpu/panna_network.h"
#include "cpu/panna_tangent.h"

#define PANNA_TEXT_OF(name) #name
#define PANNA_TEXT(name) PANNA_TEXT_OF(name)

namespace panna_plus::PANNA_ISA {

template <class T>
constexpr PannaKernels<T> kernels() {
  return {PANNA_TEXT(PANNA_ISA),
          Pack<T>::width,
          block_packs * Pack<T>::width,
          row_tile,
          scratch_size<T>,
          prepare<T>,
          describe<T>,
          fill_triplets<T>,
          contract<T>,
          tangent<T>,
          network<T>,
          quadratic_form<T>};
}

extern const PannaKernels<float> single_panna;
extern const PannaKernels<double> double_panna;
const PannaKernels<float> single_panna = kernels<float>();
const PannaKernels<double> double_panna = kernels<double>();

}  // namespace panna_plus::PANNA_ISA
