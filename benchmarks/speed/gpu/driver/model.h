// A model opened through the C interface, and one evaluation of it.
#pragma once

#include <stdexcept>
#include <string>

#include "panna_plus.h"

namespace driver {

/// What the C interface says went wrong.
inline void require_done(int status) {
  if (status != 0) throw std::runtime_error(panna_plus_last_error());
}

class Model {
 public:
  Model(const std::string &path, const std::string &precision, const std::string &device, const std::string &kernels) {
    if (precision != "mixed" && precision != "double") {
      throw std::runtime_error("--precision must be mixed or double, found '" + precision + "'");
    }
    PannaPlusOptions options{};
    options.precision = precision == "mixed" ? PANNA_PLUS_MIXED : PANNA_PLUS_DOUBLE;
    options.device = device.c_str();
    options.kernels = kernels.c_str();
    const char *const paths[] = {path.c_str()};
    require_done(panna_plus_open(paths, 1, &options, &model_));
    try {
      require_done(panna_plus_describe(model_, &about));
    } catch (...) {
      panna_plus_close(model_);
      throw;
    }
  }
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;
  ~Model() { panna_plus_close(model_); }

  void compute(const PannaPlusNeighborhood &atoms, PannaPlusResults &results) const {
    require_done(panna_plus_compute(model_, &atoms, &results));
  }

  PannaPlusDescription about{};

 private:
  PannaPlusModel *model_ = nullptr;
};

}  // namespace driver
