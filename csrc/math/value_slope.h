#pragma once

namespace panna_plus::math {

/// A function of one variable at one point, with its derivative there.
template <class V>
struct ValueSlope {
  V value;
  V slope;
};

}  // namespace panna_plus::math
