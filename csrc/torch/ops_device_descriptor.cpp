#include "torch/ops_device_descriptor.h"

#include <algorithm>
#include <list>
#include <mutex>

#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/util/Exception.h>

namespace panna_plus::ops {
namespace {

struct Opened {
  at::Device device;
  EngineDefinition definition;
  DeviceDescriptor descriptor;
};

/// An error word on its way to the host.
struct Expected {
  at::Tensor word;
  c10::Event arrival;
  DeviceDescriptor descriptor;
};

/// Of the process. Never destroyed: at its end nothing may be left of the device that memory is given back to.
struct Shared {
  std::mutex mutex;
  std::list<Opened> opened;  // the last used first
  std::list<Expected> expected;
};

Shared &shared() {
  static Shared &only = *new Shared;
  return only;
}

constexpr std::size_t most_opened = 16;

DeviceDescriptor open(const at::Device &device, const EngineDefinition &definition) {
  const std::vector<PannaPlusArray> arrays = definition.arrays();
  PannaPlusDeviceDescriptor *descriptor = nullptr;
  require_success(panna_plus_device_descriptor_open(definition.kind(), definition.n_elements(), arrays.data(),
                                                    static_cast<std::int32_t>(arrays.size()), definition.precision(),
                                                    device.index(), &descriptor));
  return {descriptor, panna_plus_device_descriptor_close};
}

std::uint64_t value_of(const at::Tensor &word) {
  return static_cast<std::uint64_t>(*word.const_data_ptr<std::int64_t>());
}

/// Takes out what has arrived for a device.
std::list<Expected> arrived(const at::Device &device) {
  std::list<Expected> found;
  const std::lock_guard<std::mutex> lock(shared().mutex);
  auto &expected = shared().expected;
  for (auto here = expected.begin(); here != expected.end();) {
    const auto next = std::next(here);
    if (here->arrival.device() == device && here->arrival.query()) found.splice(found.end(), expected, here);
    here = next;
  }
  return found;
}

}  // namespace

DeviceDescriptor descriptor_on(const at::Device &device, const EngineDefinition &definition) {
  const std::lock_guard<std::mutex> lock(shared().mutex);
  auto &opened = shared().opened;
  const auto found = std::find_if(opened.begin(), opened.end(), [&](const Opened &other) {
    return other.device == device && other.definition == definition;
  });
  if (found != opened.end()) {
    opened.splice(opened.begin(), opened, found);
  } else {
    opened.push_front({device, definition, open(device, definition)});
    if (opened.size() > most_opened) opened.pop_back();
  }
  return opened.front().descriptor;
}

void raise_now(const DeviceDescriptor &descriptor, const at::Tensor &word) {
  require_success(panna_plus_device_descriptor_explain(descriptor.get(), value_of(word.cpu())));
}

void raise_later(const DeviceDescriptor &descriptor, const at::Tensor &word, const c10::Stream &stream) {
  // Only a copy into page-locked memory does not wait.
  const at::Tensor host = at::empty({1}, at::TensorOptions(at::kLong).pinned_memory(true));
  host.copy_(word, true);
  c10::Event arrival(stream.device_type());
  arrival.record(stream);
  const std::lock_guard<std::mutex> lock(shared().mutex);
  shared().expected.push_back({host, std::move(arrival), descriptor});
}

void raise_earlier(const at::Device &device) {
  for (const Expected &call : arrived(device)) {
    const int status = panna_plus_device_descriptor_explain(call.descriptor.get(), value_of(call.word));
    TORCH_CHECK_VALUE(status == 0, "panna_plus: an earlier call of descriptor_backward or descriptor_tangent on ",
                      device, " failed: ", panna_plus_last_error());
  }
}

}  // namespace panna_plus::ops
