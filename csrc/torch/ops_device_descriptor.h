// Descriptors that are open on devices, and what calls of theirs report.
#pragma once

#include <memory>

#include <ATen/core/Tensor.h>
#include <c10/core/Stream.h>

#include "torch/ops_engine.h"

namespace panna_plus::ops {

using DeviceDescriptor = std::shared_ptr<PannaPlusDeviceDescriptor>;

/// The descriptor of a definition on a device, opened at its first use; the last used ones stay open.
DeviceDescriptor descriptor_on(const at::Device &device, const EngineDefinition &definition);

/// A ValueError unless the error word (1) int64 of a call on the current stream says that all was well. Waits for it.
void raise_now(const DeviceDescriptor &descriptor, const at::Tensor &word);

/// The same later, when raise_earlier finds that the call has come to its end. Does not wait.
void raise_later(const DeviceDescriptor &descriptor, const at::Tensor &word, const c10::Stream &stream);

/// A ValueError for a call on a device that ended with an error and was not reported yet. Does not wait.
void raise_earlier(const at::Device &device);

}  // namespace panna_plus::ops
