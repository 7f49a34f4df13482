// The device that a model lives on.
#pragma once

#include <cstddef>
#include <string>

namespace panna_plus::cuda {

/// Devices that can be used, at least 1; a Failure says why there are none.
int device_count();

/// A Failure that says what is there unless `device` can be used.
void require_device(int device);

/// The product and the id of a device, which stays the same whatever number it has in a process. Numbers alone do
/// not tell devices apart where every process of a job is shown one of its own. A Failure where there is none.
std::string device_name(int device);

/// Bytes of shared memory that a block of the current device can have.
std::size_t shared_memory_limit();

/// Blocks that fill the current device a few times over.
int blocks_that_fill();

}  // namespace panna_plus::cuda
