#include "c_api/cuda_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include "cuda/interface.h"
#include "system/failure.h"

namespace panna_plus {
namespace {

const std::string rebuild =
    "install again on a machine with the CUDA toolkit (nvcc), or with PANNA_PLUS_CUDA=1 to be told what is missing";

template <class Function>
Function *function_of(void *library, const char *name, const std::string &path) {
  void *const found = dlsym(library, name);
  require(found != nullptr, "'" + path + "' has no function " + name + ": it belongs to another version; " + rebuild);
  return reinterpret_cast<Function *>(found);
}

/// The opened library; it stays open, since models made by it may outlive everything here.
void *open_library(const std::string &path) {
  require(access(path.c_str(), F_OK) == 0,
          "this installation of panna_plus was built without CUDA ('" + path + "' does not exist): " + rebuild +
              "; or choose the device cpu");
  void *const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    throw Failure("the CUDA part of panna_plus cannot be loaded: " + std::string(reason ? reason : path));
  }
  const auto fingerprint = function_of<cuda::FingerprintFunction>(library, cuda::fingerprint_name, path);
  require(fingerprint() == cuda::fingerprint(),
          "'" + path + "' was built from other sources than the engine that opens it: " + rebuild);
  return library;
}

}  // namespace

std::string cuda_library_path() {
  Dl_info info{};
  const bool found = dladdr(reinterpret_cast<void *>(&cuda_library_path), &info) != 0 && info.dli_fname;
  const std::string own = found ? info.dli_fname : "";
  return own.substr(0, own.rfind('/') + 1) + "libpanna_plus_cuda.so";
}

int cuda_device_count(const std::string &library) {
  return function_of<cuda::DeviceCountFunction>(open_library(library), cuda::device_count_name, library)();
}

std::string cuda_device_name(int device, const std::string &library) {
  std::string name;
  function_of<cuda::NameFunction>(open_library(library), cuda::name_name, library)(device, name);
  return name;
}

std::unique_ptr<Potential> build_on_cuda(const ModelFile &file, const Opening &opening,
                                         int device, const std::string &library) {
  const auto build = function_of<cuda::BuildFunction>(open_library(library), cuda::build_name, library);
  return std::unique_ptr<Potential>(build(file, opening, device));
}

std::unique_ptr<DeviceDescriptor> build_descriptor_on_cuda(const PannaParameters &parameters, Precision precision,
                                                           int device, const std::string &library) {
  const auto build = function_of<cuda::DescriptorFunction>(open_library(library), cuda::descriptor_name, library);
  return std::unique_ptr<DeviceDescriptor>(build(parameters, precision, device));
}

}  // namespace panna_plus
