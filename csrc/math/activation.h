#pragma once

#include "math/elementary.h"
#include "math/value_slope.h"

namespace panna_plus::math {

enum class Activation { gaussian, tanh, silu, relu, lorentz, linear };

/// An activation function and its derivative.
template <class V>
PANNA_HD ValueSlope<V> activate(Activation activation, V x) {
  const V zero(0), one(1), two(2);
  switch (activation) {
    case Activation::gaussian: {
      const V value = exp(-x * x);
      return {value, -two * x * value};
    }
    case Activation::tanh: {
      const V value = tanh(x);
      return {value, one - value * value};
    }
    case Activation::silu: {
      const V sigmoid = one / (one + exp(-x));
      return {x * sigmoid, sigmoid * (one + x * (one - sigmoid))};
    }
    case Activation::relu:
      return {larger(x, zero), where_greater(x, zero, one, zero)};
    case Activation::lorentz: {
      const V value = one / (one + x * x);
      return {value, -two * x * value * value};
    }
    case Activation::linear:
      break;
  }
  return {x, one};
}

}  // namespace panna_plus::math
