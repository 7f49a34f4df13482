#include "cuda/interface.h"

#include "cuda/device.h"
#include "cuda/pair_descriptor.h"
#include "cuda/panna_cuda.h"

using namespace panna_plus;

#define PANNA_SHOWN extern "C" __attribute__((visibility("default")))

PANNA_SHOWN std::uint64_t panna_plus_cuda_fingerprint();
PANNA_SHOWN int panna_plus_cuda_device_count();
PANNA_SHOWN void panna_plus_cuda_name(int device, std::string &name);
PANNA_SHOWN Potential *panna_plus_cuda_build(const ModelFile &file, const Opening &opening, int device);
PANNA_SHOWN DeviceDescriptor *panna_plus_cuda_panna_descriptor(const PannaParameters &parameters, Precision precision,
                                                               int device);

std::uint64_t panna_plus_cuda_fingerprint() { return cuda::fingerprint(); }

int panna_plus_cuda_device_count() { return cuda::device_count(); }

void panna_plus_cuda_name(int device, std::string &name) { name = cuda::device_name(device); }

Potential *panna_plus_cuda_build(const ModelFile &file, const Opening &opening, int device) {
  const std::vector<Family> families = {{"panna", [device](const ModelFile &model, const Opening &how) {
                                           return build_panna_cuda(model, how.precision, how.kernels, device);
                                         }}};
  return build_potential(families, file, opening).release();
}

DeviceDescriptor *panna_plus_cuda_panna_descriptor(const PannaParameters &parameters, Precision precision, int device) {
  return build_panna_device_descriptor(parameters, precision, device).release();
}
