// Functions that bring what a pair gives to 0 at the cutoff.
#pragma once

#include "math/cutoff.h"

namespace panna_plus::math {

enum class EnvelopeKind { cosine, quintic, exponential };

/// 1 - 10 x^3 + 15 x^4 - 6 x^5 with x = r / cutoff, and its derivative with respect to r; 0 from the cutoff on.
template <class V>
PANNA_HD ValueSlope<V> quintic_cutoff(V r, V cutoff) {
  const V zero(0), one(1), inverse = one / cutoff, x = r * inverse, rest = one - x;
  const V value = one + x * x * x * (x * (V(15) - V(6) * x) - V(10));
  const V slope = V(-30) * inverse * x * x * rest * rest;
  return {where_greater(cutoff, r, value, zero), where_greater(cutoff, r, slope, zero)};
}

/// exp(-r^2 / (cutoff^2 - r^2)) and its derivative; 0 from the cutoff on.
template <class V>
PANNA_HD ValueSlope<V> exponential_cutoff(V r, V cutoff) {
  const V zero(0), square = cutoff * cutoff;
  // From 0.9995 of the cutoff on the value, exp(-999), is 0 in every precision.
  const V rest = larger(square - r * r, V(1e-3) * square), inverse = V(1) / rest;
  const V value = exp(-r * r * inverse);
  const V slope = V(-2) * r * square * inverse * inverse * value;
  const V end = V(0.99949987493746) * cutoff;
  return {where_greater(end, r, value, zero), where_greater(end, r, slope, zero)};
}

struct Envelope {
  EnvelopeKind kind = EnvelopeKind::quintic;
  double cutoff = 0.0;  // angstrom
};

/// Value and derivative at the distance r.
template <class V>
PANNA_HD ValueSlope<V> envelope(const Envelope &shape, V r) {
  const V cutoff(shape.cutoff);
  if (shape.kind == EnvelopeKind::cosine) return cosine_cutoff(r, cutoff);
  if (shape.kind == EnvelopeKind::quintic) return quintic_cutoff(r, cutoff);
  return exponential_cutoff(r, cutoff);
}

}  // namespace panna_plus::math
