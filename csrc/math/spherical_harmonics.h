// Real spherical harmonics of degrees 0 to 4, orthonormal on the sphere, as polynomials of a unit vector (x, y, z);
// inside a degree l in the order m = -l ... l.
#pragma once

#include "math/platform.h"
#include "math/vector3.h"

namespace panna_plus::math {

constexpr int highest_degree = 4;

namespace harmonics {
// Square roots of 1/(4 pi), 3/(4 pi), 15/(4 pi), 5/(16 pi), and so on.
constexpr double c00 = 0.28209479177387814347;
constexpr double c10 = 0.48860251190291992159;
constexpr double c20 = 1.0925484305920790705, c21 = 0.31539156525252000603, c22 = 0.54627421529603953527;
constexpr double c30 = 0.59004358992664351035, c31 = 2.8906114426405540554, c32 = 0.45704579946446573616,
                 c33 = 0.37317633259011539141, c34 = 1.4453057213202770277;
constexpr double c40 = 2.5033429417967045383, c41 = 1.7701307697799305310, c42 = 0.94617469575756001809,
                 c43 = 0.66904654355728916795, c44 = 0.10578554691520430380, c45 = 0.47308734787878000905,
                 c46 = 0.62583573544917613459;
}  // namespace harmonics

/// Y_l,-l ... Y_l,l into y[0] ... y[2 l].
template <class V>
PANNA_HD void spherical_harmonics(int degree, Vector3<V> u, V *y) {
  using namespace harmonics;
  const V x = u.x, x2 = u.x * u.x, y1 = u.y, y2 = u.y * u.y, z = u.z, z2 = u.z * u.z;
  const V one(1), three(3), five(5), seven(7);
  if (degree == 0) {
    y[0] = V(c00);
  } else if (degree == 1) {
    y[0] = V(c10) * y1;
    y[1] = V(c10) * z;
    y[2] = V(c10) * x;
  } else if (degree == 2) {
    y[0] = V(c20) * x * y1;
    y[1] = V(c20) * y1 * z;
    y[2] = V(c21) * (three * z2 - one);
    y[3] = V(c20) * x * z;
    y[4] = V(c22) * (x2 - y2);
  } else if (degree == 3) {
    y[0] = V(c30) * y1 * (three * x2 - y2);
    y[1] = V(c31) * x * y1 * z;
    y[2] = V(c32) * y1 * (five * z2 - one);
    y[3] = V(c33) * z * (five * z2 - three);
    y[4] = V(c32) * x * (five * z2 - one);
    y[5] = V(c34) * (x2 - y2) * z;
    y[6] = V(c30) * x * (x2 - three * y2);
  } else {
    y[0] = V(c40) * x * y1 * (x2 - y2);
    y[1] = V(c41) * y1 * (three * x2 - y2) * z;
    y[2] = V(c42) * x * y1 * (seven * z2 - one);
    y[3] = V(c43) * y1 * z * (seven * z2 - three);
    y[4] = V(c44) * (V(35) * z2 * z2 - V(30) * z2 + three);
    y[5] = V(c43) * x * z * (seven * z2 - three);
    y[6] = V(c45) * (x2 - y2) * (seven * z2 - one);
    y[7] = V(c41) * x * (x2 - three * y2) * z;
    y[8] = V(c46) * (x2 * (x2 - three * y2) - y2 * (three * x2 - y2));
  }
}

/// sum_m g_m dY_lm/du. It has a part along u, which derivatives with respect to a direction leave out.
template <class V>
PANNA_HD Vector3<V> spherical_gradient(int degree, Vector3<V> u, const V *g) {
  using namespace harmonics;
  const V x = u.x, x2 = u.x * u.x, y = u.y, y2 = u.y * u.y, z = u.z, z2 = u.z * u.z;
  const V one(1), two(2), three(3), five(5), six(6), seven(7);
  if (degree == 0) return {V(0), V(0), V(0)};
  if (degree == 1) return {V(c10) * g[2], V(c10) * g[0], V(c10) * g[1]};
  if (degree == 2) {
    return {V(c20) * (y * g[0] + z * g[3]) + V(2 * c22) * x * g[4],
            V(c20) * (x * g[0] + z * g[1]) - V(2 * c22) * y * g[4],
            V(c20) * (y * g[1] + x * g[3]) + V(6 * c21) * z * g[2]};
  }
  if (degree == 3) {
    const V bend = V(c32) * (five * z2 - one);
    return {V(c30) * (six * x * y * g[0] + three * (x2 - y2) * g[6]) + V(c31) * y * z * g[1] + bend * g[4] +
                V(c34) * two * x * z * g[5],
            V(c30) * (three * (x2 - y2) * g[0] - six * x * y * g[6]) + V(c31) * x * z * g[1] + bend * g[2] -
                V(c34) * two * y * z * g[5],
            V(c31) * x * y * g[1] + V(10 * c32) * z * (y * g[2] + x * g[4]) + V(3 * c33) * (five * z2 - one) * g[3] +
                V(c34) * (x2 - y2) * g[5]};
  }
  const V a = V(c40) * y * (three * x2 - y2), b = V(c40) * x * (x2 - three * y2);
  const V flat = seven * z2 - one, bend = V(c43) * z * (seven * z2 - three);
  return {a * g[0] + V(c41) * z * (six * x * y * g[1] + three * (x2 - y2) * g[7]) + V(c42) * y * flat * g[2] +
              bend * g[5] + V(2 * c45) * x * flat * g[6] + V(4 * c46) * x * (x2 - three * y2) * g[8],
          b * g[0] + V(c41) * z * (three * (x2 - y2) * g[1] - six * x * y * g[7]) + V(c42) * x * flat * g[2] +
              bend * g[3] - V(2 * c45) * y * flat * g[6] - V(4 * c46) * y * (three * x2 - y2) * g[8],
          V(c41) * (y * (three * x2 - y2) * g[1] + x * (x2 - three * y2) * g[7]) +
              V(14) * z * (V(c42) * x * y * g[2] + V(c45) * (x2 - y2) * g[6]) +
              V(3 * c43) * flat * (y * g[3] + x * g[5]) + V(20 * c44) * z * (seven * z2 - three) * g[4]};
}

}  // namespace panna_plus::math
