// The descriptor alone, from displacements that lie on the device, for training.
#pragma once

#include <memory>

#include "potential/device_descriptor.h"
#include "potential/panna_parameters.h"
#include "potential/potential.h"

namespace panna_plus {

/// The constants are copied to the device. A Failure where it cannot be used.
std::unique_ptr<DeviceDescriptor> build_panna_device_descriptor(const PannaParameters &parameters, Precision precision,
                                                                int device);

}  // namespace panna_plus
