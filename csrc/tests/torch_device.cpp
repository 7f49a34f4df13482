// A device of torch, PrivateUse1, that stands in for CUDA where there is none: its memory is the host's, work is done
// when it is queued, but events and page-locked copies arrive only when somebody waits for the device. Operators that
// are not defined here run on the CPU. Loaded into Python by tests/gpu/emulated_device.py.
#include <ATen/ATen.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/resize_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace {

using c10::Device;
using c10::DeviceIndex;
using c10::Stream;

constexpr c10::DeviceType type = c10::DeviceType::PrivateUse1;
constexpr std::size_t alignment = 256;

std::atomic<std::int64_t> allocated{0};
std::atomic<std::uint64_t> recorded{0}, waited{0};  // events so far, and those that were waited for

// ---- memory

struct Block {
  void *data;
  std::size_t size;
};

void release(void *context) {
  auto *const block = static_cast<Block *>(context);
  allocated -= std::int64_t(block->size);
  std::free(block->data);
  delete block;
}

/// Memory that holds NaN, as in the emulation of CUDA.
struct HostMemory final : c10::Allocator {
  explicit HostMemory(Device where) : device(where) {}

  c10::DataPtr allocate(std::size_t n) override {
    if (n == 0) return {nullptr, nullptr, &release, device};
    auto *const block = new Block{std::aligned_alloc(alignment, (n + alignment - 1) / alignment * alignment), n};
    std::memset(block->data, 0xff, n);
    allocated += std::int64_t(n);
    return {block->data, block, &release, device};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void *to, const void *from, std::size_t n) const override { std::memcpy(to, from, n); }

  Device device;
};

HostMemory device_memory(Device(type, 0)), pinned_memory(c10::kCPU);
REGISTER_ALLOCATOR(type, &device_memory)

// ---- streams and events

thread_local c10::StreamId current_stream = 0;

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return ::type; }
  Device exchangeDevice(Device) const override { return getDevice(); }
  Device getDevice() const override { return {::type, 0}; }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  DeviceIndex deviceCount() const noexcept override { return 1; }

  Stream getStream(Device device) const override { return Stream(Stream::UNSAFE, device, current_stream); }
  Stream getDefaultStream(Device device) const override { return Stream(Stream::UNSAFE, device, 0); }
  Stream getNewStream(Device device, int) const override {
    static std::atomic<c10::StreamId> last{0};
    return Stream(Stream::UNSAFE, device, ++last);
  }
  Stream exchangeStream(Stream stream) const override {
    const c10::StreamId before = std::exchange(current_stream, stream.id());
    return Stream(Stream::UNSAFE, stream.device(), before);
  }
  /// Like CUDA's, the default stream has no handle; that of another one is its number.
  void *getStreamNativeHandle(const Stream stream) const override { return reinterpret_cast<void *>(stream.id()); }
  bool queryStream(const Stream &) const override { return recorded == waited; }
  void synchronizeStream(const Stream &) const override { waited = recorded.load(); }
  void synchronizeDevice(DeviceIndex) const override { waited = recorded.load(); }

  void record(void **event, const Stream &, DeviceIndex, c10::EventFlag) const override {
    if (!*event) *event = new std::uint64_t;
    *static_cast<std::uint64_t *>(*event) = ++recorded;
  }
  void block(void *, const Stream &) const override {}
  bool queryEvent(void *event) const override { return *static_cast<std::uint64_t *>(event) <= waited; }
  void synchronizeEvent(void *event) const override {
    if (!queryEvent(event)) waited = *static_cast<std::uint64_t *>(event);
  }
  void destroyEvent(void *event, DeviceIndex) const noexcept override { delete static_cast<std::uint64_t *>(event); }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return 1; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  c10::Allocator *getPinnedMemoryAllocator() const override { return &pinned_memory; }
};

const bool has_hooks = (at::RegisterPrivateUse1HooksInterface(new Hooks), true);

// ---- operators

/// The same memory as a tensor of the CPU.
at::Tensor on_host(const at::Tensor &tensor) {
  if (tensor.is_cpu()) return tensor;
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(), tensor.options().device(at::kCPU));
}

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<Device>, std::optional<bool>) {
  constexpr c10::DispatchKeySet keys(c10::DispatchKey::PrivateUse1);
  return at::detail::empty_strided_generic(sizes, strides, &device_memory, keys, c10::dtype_or_default(dtype));
}

at::Tensor empty(at::IntArrayRef sizes, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                 std::optional<Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  constexpr c10::DispatchKeySet keys(c10::DispatchKey::PrivateUse1);
  return at::detail::empty_generic(sizes, &device_memory, keys, c10::dtype_or_default(dtype), format);
}

at::Tensor copy_from(const at::Tensor &from, const at::Tensor &to, bool non_blocking) {
  if (!non_blocking && to.is_cpu()) waited = recorded.load();
  on_host(to).copy_(on_host(from));
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor &from, const at::Tensor &to) {
  if (to.sizes() != from.sizes()) to.resize_(from.sizes());
  return copy_from(from, to, false);
}

void on_cpu(const c10::OperatorHandle &op, torch::jit::Stack *stack) { at::native::cpu_fallback(op, stack); }

}  // namespace

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&on_cpu>()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("as_strided", at::native::as_strided_tensorimpl);
  m.impl("view", at::native::view);
  m.impl("_reshape_alias", at::native::_reshape_alias);
  m.impl("resize_", at::native::resize_);
  m.impl("set_.source_Storage", at::native::set_);
  m.impl("set_.source_Storage_storage_offset", at::native::set_storage_cpu_);
}

// What tests ask this device for.
TORCH_LIBRARY(panna_plus_tests, m) {
  m.def("allocated() -> int", [] { return allocated.load(); });
}
