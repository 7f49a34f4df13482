#include "cpu/panna_repelled.h"

#include <string>
#include <utility>
#include <vector>

#include "cpu/energy_terms.h"

namespace panna_plus {
namespace {

/// The repulsion acts between nuclei so close that its few pairs are always computed in double.
class RepelledPanna final : public Potential {
 public:
  RepelledPanna(const ModelFile &file, std::unique_ptr<Potential> alone, const EnergyTermsParameters &terms)
      : Potential(file, alone->description().kernels),
        alone_(std::move(alone)),
        repulsion_(terms, {math::EnvelopeKind::quintic, file.cutoff()}, description().kernels) {
    std::vector<std::string> &details = own_description().details;
    details = alone_->description().details;
    details.insert(details.end(), repulsion_.details().begin(), repulsion_.details().end());
  }

  void compute(const Neighborhood &atoms, Results &results) const override {
    alone_->compute(atoms, results);
    FirstFailure failure;
    repulsion_.add(atoms, {}, failure, results);
    failure.rethrow();
  }

  std::size_t memory_usage() const override { return alone_->memory_usage() + repulsion_.memory_usage(); }

 private:
  std::unique_ptr<Potential> alone_;
  EnergyTerms<double> repulsion_;
};

}  // namespace

std::unique_ptr<Potential> with_repulsion(const ModelFile &file, std::unique_ptr<Potential> alone) {
  const EnergyTermsParameters terms = read_energy_terms_parameters(file, "terms/", 0, 0, {});
  if (!terms.repulsion || terms.electrostatics || terms.dispersion) {
    file.fail("card key 'family_parameters.terms'", "the repulsion alone in the family panna", "other terms");
  }
  if (alone->description().n_members > 1) {
    file.fail("card key 'family_parameters.terms'", "none, whose members would each have a repulsion", "a repulsion");
  }
  return std::make_unique<RepelledPanna>(file, std::move(alone), terms);
}

}  // namespace panna_plus
