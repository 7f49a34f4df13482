#include "cpu/energy_terms_model.h"

#include <algorithm>
#include <cmath>

namespace panna_plus {
namespace {

int rounded_up(int n, int lanes) { return (n + lanes - 1) / lanes * lanes; }

}  // namespace

template <class T>
EnergyTermsModel<T>::EnergyTermsModel(const EnergyTermsParameters &parameters, int lanes)
    : n_elements_(parameters.n_elements), strengths_(index(n_elements_ * n_elements_)),
      offsets_(index(2 * n_elements_)), polarizabilities_(index(n_elements_)) {
  set_sizes(parameters, lanes);
  long_range_.squared_bohr = T(1.0 / (math::bohr * math::bohr));
  long_range_.margin = math::switch_margin(T(0));
  if (const auto &electrostatics = parameters.electrostatics) {
    long_range_.has_charges = true;
    long_range_.coulomb = math::converted<T>(math::smeared_coulomb(
        electrostatics->width, electrostatics->switch_start, parameters.long_range_cutoff));
    add_head(electrostatics->charges, 0, 0);
  }
  if (const auto &dispersion = parameters.dispersion) {
    long_range_.has_dispersion = true;
    set_dispersion(*dispersion, parameters.long_range_cutoff);
    add_head(dispersion->ratios, 1, heads_.n_charge_hidden);
  }
  if (parameters.repulsion) set_repulsion(*parameters.repulsion);
}

template <class T>
void EnergyTermsModel<T>::set_sizes(const EnergyTermsParameters &parameters, int lanes) {
  const auto &electrostatics = parameters.electrostatics;
  const auto &dispersion = parameters.dispersion;
  heads_.n_features = parameters.n_features;
  heads_.features_padded = rounded_up(parameters.n_features, lanes);
  heads_.n_charge_hidden = electrostatics ? rounded_up(electrostatics->charges.n_hidden, lanes) : 0;
  heads_.n_hidden = heads_.n_charge_hidden + (dispersion ? rounded_up(dispersion->ratios.n_hidden, lanes) : 0);
  forward_.assign(index(heads_.n_features * heads_.n_hidden), T(0));
  backward_.assign(index(heads_.n_hidden * heads_.features_padded), T(0));
  bias_.assign(index(heads_.n_hidden), T(0));
  outer_.assign(index(n_elements_ * heads_.n_hidden), T(0));
  heads_.forward = forward_.data();
  heads_.backward = backward_.data();
  heads_.bias = bias_.data();
  heads_.outer = outer_.data();
}

/// Writes a head to the hidden units from `first` on.
template <class T>
void EnergyTermsModel<T>::add_head(const AtomHead &head, int which, int first) {
  for (int h = 0; h < head.n_hidden; ++h) {
    bias_[index(first + h)] = T(head.bias[index(h)]);
    for (int f = 0; f < heads_.n_features; ++f) {
      const T weight = T(head.inner[index(h * heads_.n_features + f)]);
      forward_[index(f * heads_.n_hidden + first + h)] = weight;
      backward_[index((first + h) * heads_.features_padded + f)] = weight;
    }
    for (int s = 0; s < n_elements_; ++s) {
      outer_[index(s * heads_.n_hidden + first + h)] = T(head.outer[index(s * head.n_hidden + h)]);
    }
  }
  for (int s = 0; s < n_elements_; ++s) offsets_[index(2 * s + which)] = head.offset[index(s)];
}

/// C_6 of a pair is 2 C_i C_j a_i a_j / (a_i^2 C_j + a_j^2 C_i). With C_i proportional to h_i^2 and a_i to h_i that is
/// a_i a_j times the harmonic mean of C / a^2 of the free atoms, which depends on elements alone.
template <class T>
void EnergyTermsModel<T>::set_dispersion(const DispersionParameters &dispersion, double cutoff) {
  polarizabilities_ = dispersion.polarizabilities;
  std::vector<double> ratios(dispersion.coefficients);
  for (int s = 0; s < n_elements_; ++s) ratios[index(s)] /= std::pow(polarizabilities_[index(s)], 2);
  for (int a = 0; a < n_elements_; ++a) {
    for (int b = 0; b < n_elements_; ++b) {
      const double x = ratios[index(a)], y = ratios[index(b)];
      strengths_[index(a * n_elements_ + b)] = T(2.0 * x * y / (x + y));
    }
  }
  const math::OscillatorRadii<double> radii = math::oscillator_radii(dispersion.scale);
  const math::SwitchRange<double> range = math::switch_range(dispersion.switch_start, cutoff);
  long_range_.radii = {T(radii.van_der_waals), T(radii.damping)};
  long_range_.dispersion_range = {T(range.start), T(range.inverse_width)};
}

template <class T>
void EnergyTermsModel<T>::set_repulsion(const RepulsionParameters &repulsion) {
  std::copy(repulsion.exponents.begin(), repulsion.exponents.end(), screening_.exponents);
  std::copy(repulsion.coefficients.begin(), repulsion.coefficients.end(), screening_.coefficients);
  screening_.range = math::switch_range(0.0, repulsion.end);
  for (const double a : repulsion.numbers) {
    for (const double b : repulsion.numbers) {
      const double powers = std::pow(a, repulsion.power) + std::pow(b, repulsion.power);
      nuclei_.push_back({0.5 * math::coulomb_constant * a * b, powers * repulsion.screening});
    }
  }
}

template <class T>
std::size_t EnergyTermsModel<T>::memory_usage() const {
  const std::size_t in_kernels =
      forward_.size() + backward_.size() + bias_.size() + outer_.size() + strengths_.size();
  return sizeof(*this) + in_kernels * sizeof(T) + (offsets_.size() + polarizabilities_.size()) * sizeof(double) +
         nuclei_.size() * sizeof(math::NuclearPair);
}

template class EnergyTermsModel<float>;
template class EnergyTermsModel<double>;

}  // namespace panna_plus
