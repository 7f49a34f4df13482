// Fibers for CUDA threads and host memory for device memory; see cuda_runtime.h beside this file.
//
// For the thread sanitizer compile everything with -fsanitize=thread but this file, which gets -DPANNA_FIBER_THREADS:
// what fibers exchange here is the machinery, not the code under test.
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <vector>

#include "cuda_runtime.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(PANNA_FIBER_THREADS)
#include <sanitizer/tsan_interface.h>
#endif

namespace panna_plus::emulation {
namespace {

constexpr std::size_t stack_size = 256 * 1024;
constexpr int warp_size = 32;

[[noreturn]] void fail(const char *what, Site a, Site b) {
  std::fprintf(stderr, "CUDA emulation: %s: %s:%d and %s:%d\n", what, a.file, a.line, b.file, b.line);
  std::abort();
}

/// What sanitizers must be told when the stack changes.
struct Track {
  void *fake_stack = nullptr;  // address sanitizer
  void *thread = nullptr;      // thread sanitizer
  const void *bottom = nullptr;
  std::size_t size = 0;
};

void leave(Track &from, const Track &to, bool for_ever) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(for_ever ? nullptr : &from.fake_stack, to.bottom, to.size);
#endif
#if defined(PANNA_FIBER_THREADS)
  __tsan_switch_to_fiber(to.thread, __tsan_switch_to_fiber_no_sync);
#endif
  (void)from, (void)to, (void)for_ever;
}

void arrive(const Track &track, Track *left) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(track.fake_stack, left ? &left->bottom : nullptr, left ? &left->size : nullptr);
#endif
  (void)track, (void)left;
}

void release(void *what) {
#if defined(PANNA_FIBER_THREADS)
  __tsan_release(what);
#endif
  (void)what;
}

void acquire(void *what) {
#if defined(PANNA_FIBER_THREADS)
  __tsan_acquire(what);
#endif
  (void)what;
}

/// memcpy would be seen by the thread sanitizer.
void copy_bytes(void *to, const void *from, std::size_t size) {
  volatile unsigned char *out = static_cast<unsigned char *>(to);
  const volatile unsigned char *in = static_cast<const unsigned char *>(from);
  for (std::size_t k = 0; k < size; ++k) out[k] = in[k];
}

/// Threads that wait for each other: those of `mask`, or all of a block.
struct Meeting {
  int n_expected = 0, n_arrived = 0;
  unsigned mask = 0;
  Site site{"", 0};
  std::uint64_t number = 0;  // of meetings that took place
  // Two sets: who leaves a meeting late must still find what was brought to it when the next one fills up.
  unsigned char items[2][warp_size][largest_item];
};

struct Fiber {
  ucontext_t context;
  Track track;
  std::unique_ptr<unsigned char[]> stack;
  Place place;
  Meeting *warp = nullptr;
  Meeting *awaited = nullptr;  // waits until this meeting's number exceeds awaited_number
  std::uint64_t awaited_number = 0;
  bool is_done = false;
};

struct Scheduler {
  ucontext_t context;
  Track track;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<std::unique_ptr<Meeting>> warps;
  Meeting block;
  Fiber *current = nullptr;
  void (*body)(void *) = nullptr;
  void *argument = nullptr;
  char begin = 0, end = 0;  // their addresses stand for the begin and the end of a launch
};

thread_local Scheduler scheduler;

struct Calls {
  std::mutex mutex;
  std::map<const void *, std::uint64_t> of_stream;
};

Calls &calls() {
  static Calls all;
  return all;
}

void enter() {
  Fiber &me = *scheduler.current;
  arrive(me.track, &scheduler.track);
  // What the host did before is known, what other blocks do is not.
  acquire(&scheduler.begin);
  scheduler.body(scheduler.argument);
  me.is_done = true;
  release(&scheduler.end);
  leave(me.track, scheduler.track, true);
  setcontext(&scheduler.context);
}

void pause() {
  Fiber &me = *scheduler.current;
  leave(me.track, scheduler.track, false);
  swapcontext(&me.context, &scheduler.context);
  arrive(me.track, &scheduler.track);
}

void resume(Fiber &fiber) {
  scheduler.current = &fiber;
  leave(scheduler.track, fiber.track, false);
  swapcontext(&scheduler.context, &fiber.context);
  arrive(scheduler.track, nullptr);
}

void start(Fiber &fiber) {
  if (!fiber.stack) fiber.stack = std::make_unique<unsigned char[]>(stack_size);
  fiber.is_done = false;
  fiber.awaited = nullptr;
  fiber.track = {nullptr, fiber.track.thread, fiber.stack.get(), stack_size};
#if defined(PANNA_FIBER_THREADS)
  if (!fiber.track.thread) fiber.track.thread = __tsan_create_fiber(0);
#endif
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.get();
  fiber.context.uc_stack.ss_size = stack_size;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, enter, 0);
}

bool can_run(const Fiber &fiber) {
  return !fiber.is_done && !(fiber.awaited && fiber.awaited->number == fiber.awaited_number);
}

/// Lets every thread run until it ends or waits, in turns of alternating order.
void run_threads(int n) {
  int n_left = n;
  for (bool backward = false; n_left > 0; backward = !backward) {
    bool moved = false;
    for (int k = 0; k < n; ++k) {
      Fiber &fiber = *scheduler.fibers[std::size_t(backward ? n - 1 - k : k)];
      if (!can_run(fiber)) continue;
      resume(fiber);
      moved = true;
      n_left -= fiber.is_done;
    }
    if (moved) continue;
    for (int k = 0; k < n; ++k) {
      const Fiber &fiber = *scheduler.fibers[std::size_t(k)];
      if (!fiber.is_done) fail("a thread waits for others that ended or wait elsewhere", fiber.awaited->site, {"", k});
    }
  }
}

void attend(Meeting &meeting, Site site, unsigned mask, int n_expected, const void *mine, std::size_t size,
            int place_of_item, void *all) {
  if (meeting.n_arrived == 0) {
    meeting.site = site;
    meeting.mask = mask;
  } else if (meeting.site.line != site.line || std::strcmp(meeting.site.file, site.file) != 0 || meeting.mask != mask) {
    fail("threads meet at different places or with different masks", meeting.site, site);
  }
  const std::uint64_t number = meeting.number;
  unsigned char(&items)[warp_size][largest_item] = meeting.items[number % 2];
  copy_bytes(items[place_of_item], mine, size);
  // A shuffle or a ballot is no memory barrier.
  const bool is_barrier = size == 0;
  if (is_barrier) release(&items);
  if (++meeting.n_arrived == n_expected) {
    meeting.n_arrived = 0;
    ++meeting.number;
  } else {
    scheduler.current->awaited = &meeting;
    scheduler.current->awaited_number = number;
    pause();
    scheduler.current->awaited = nullptr;
  }
  if (is_barrier) acquire(&items);
  for (int lane = 0; size && lane < warp_size; ++lane) {
    copy_bytes(static_cast<unsigned char *>(all) + std::size_t(lane) * size, items[lane], size);
  }
}

void prepare_block(dim3 index, dim3 grid, dim3 block, unsigned char *shared) {
  scheduler.block.n_arrived = 0;
  for (unsigned t = 0; t < block.x; ++t) {
    if (scheduler.fibers.size() <= t) scheduler.fibers.push_back(std::make_unique<Fiber>());
    if (scheduler.warps.size() <= t / warp_size) scheduler.warps.push_back(std::make_unique<Meeting>());
    Fiber &fiber = *scheduler.fibers[t];
    fiber.place = {dim3(t), index, block, grid, shared};
    fiber.warp = scheduler.warps[t / warp_size].get();
    start(fiber);
  }
}

}  // namespace

void count_on(const void *stream) {
  const std::lock_guard<std::mutex> lock(calls().mutex);
  ++calls().of_stream[stream];
}

const Place &place() { return scheduler.current->place; }

int lane() { return int(scheduler.current->place.thread.x) % warp_size; }

void meet(unsigned mask, Site site, const void *mine, std::size_t size, void *all) {
  if (!(mask >> lane() & 1u)) fail("a thread calls a collective function whose mask leaves it out", site, site);
  attend(*scheduler.current->warp, site, mask, __builtin_popcount(mask), mine, size, lane(), all);
}

void meet_block(Site site) {
  attend(scheduler.block, site, 0, int(scheduler.current->place.block_size.x), nullptr, 0, 0, nullptr);
}

void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, void (*body)(void *), void *argument) {
  if (block.x == 0 || block.x > 1024 || block.x % warp_size != 0 || block.y * block.z * grid.y * grid.z != 1) {
    fail("blocks must be rows of whole warps, at most 1024 threads", {"blocks", int(block.x)}, {"", 0});
  }
  scheduler.body = body;
  scheduler.argument = argument;
#if defined(PANNA_FIBER_THREADS)
  scheduler.track.thread = __tsan_get_current_fiber();
#endif
  std::vector<std::unique_ptr<unsigned char[]>> shared;
  for (unsigned b = 0; b < grid.x; ++b) {
    // New memory for every block: nothing survives from the one before.
    shared.emplace_back(new unsigned char[shared_bytes]);
    std::memset(shared.back().get(), 0xff, shared_bytes);
    prepare_block(dim3(b), grid, block, shared.back().get());
    release(&scheduler.begin);
    run_threads(int(block.x));
  }
  acquire(&scheduler.end);
}

}  // namespace panna_plus::emulation

/// How many kernels, copies and fills were queued on a stream so far, for tests that load the emulated library.
extern "C" std::uint64_t panna_plus_cuda_emulated_calls(const void *stream) {
  const std::lock_guard<std::mutex> lock(panna_plus::emulation::calls().mutex);
  return panna_plus::emulation::calls().of_stream[stream];
}

namespace {

/// What the variable of the same name would show: any number of devices, one without it.
std::vector<int> visible_devices() {
  const char *text = std::getenv("CUDA_VISIBLE_DEVICES");
  std::vector<int> ids;
  for (std::istringstream words(text ? text : "0"); words;) {
    int id = 0;
    if (words >> id) ids.push_back(id);
    words.ignore();  // a comma
  }
  return ids;
}

int device_count() { return int(visible_devices().size()); }

thread_local int current_device = 0;

/// Bytes that one allocation may have: those of PANNA_EMULATED_MEMORY.
std::size_t memory() {
  const char *text = std::getenv("PANNA_EMULATED_MEMORY");
  return text ? std::strtoull(text, nullptr, 10) : std::size_t(1) << 30;
}

cudaError_t allocated(void **pointer, std::size_t size) {
  *pointer = size <= memory() ? std::malloc(size) : nullptr;
  if (!*pointer) return cudaErrorMemoryAllocation;
  std::memset(*pointer, 0xff, size);
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaGetDeviceCount(int *count) {
  *count = device_count();
  return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaGetDevice(int *device) {
  *device = current_device;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= device_count()) return cudaErrorInvalidDevice;
  current_device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
  if (device < 0 || device >= device_count()) return cudaErrorInvalidDevice;
  *properties = {"emulated device", {}};
  properties->uuid.bytes[15] = char(visible_devices()[std::size_t(device)]);
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int) {
  // Little shared memory: large models must find their other way in the tests.
  *value = attribute == cudaDevAttrMultiProcessorCount ? 2 : 16 * 1024;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t *free, std::size_t *total) {
  *free = *total = memory();
  return cudaSuccess;
}
cudaError_t cudaMalloc(void **pointer, std::size_t size) { return allocated(pointer, size); }
cudaError_t cudaFree(void *pointer) {
  std::free(pointer);
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void **pointer, std::size_t size) { return allocated(pointer, size); }
cudaError_t cudaFreeHost(void *pointer) { return cudaFree(pointer); }
cudaError_t cudaMemcpyAsync(void *to, const void *from, std::size_t size, cudaMemcpyKind, cudaStream_t stream) {
  panna_plus::emulation::count_on(stream);
  if (size) std::memcpy(to, from, size);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void *pointer, int value, std::size_t size, cudaStream_t stream) {
  panna_plus::emulation::count_on(stream);
  if (size) std::memset(pointer, value, size);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) {
  *stream = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
const char *cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    default:
      return "invalid argument";
  }
}
