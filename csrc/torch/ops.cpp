// Schemas of the operators, their shapes, and their derivatives.
#include <string>

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "torch/ops_engine.h"
#include "torch/ops_kernels.h"

namespace panna_plus::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

using OfPairs = at::Tensor(const at::Tensor &, const at::Tensor &, const at::Tensor &, at::TensorList, c10::string_view,
                           std::int64_t, c10::string_view);
using OfInputAndPairs = at::Tensor(const at::Tensor &, const at::Tensor &, const at::Tensor &, const at::Tensor &,
                                   at::TensorList, c10::string_view, std::int64_t, c10::string_view);

template <class Signature>
c10::TypedOperatorHandle<Signature> operator_named(const char *name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

/// Shapes without numbers.
class Shapes {
 public:
  Shapes(const Pairs &pairs, const Definition &definition) : pairs_(pairs), definition_(definition) {}

  at::Tensor forward() const { return empty(pairs_.n_centers(), definition_.n_features()); }
  at::Tensor backward(const at::Tensor &) const { return empty(pairs_.n_pairs(), 3); }
  at::Tensor tangent(const at::Tensor &) const { return forward(); }

 private:
  at::Tensor empty(const c10::SymInt &rows, const c10::SymInt &columns) const {
    return at::empty_symint({rows, columns}, pairs_.displacements.options());
  }

  const Pairs &pairs_;
  const Definition &definition_;
};

// ---- derivatives

/// What backward needs of the arguments. The tensors are saved in their order, from the displacements on.
void save(AutogradContext *ctx, const Pairs &pairs, const Definition &definition) {
  variable_list tensors{pairs.displacements, pairs.row_start, pairs.neighbor_species};
  tensors.insert(tensors.end(), definition.parameters.begin(), definition.parameters.end());
  ctx->save_for_backward(std::move(tensors));
  ctx->saved_data["kind"] = std::string(definition.kind);
  ctx->saved_data["n_elements"] = definition.n_elements;
  ctx->saved_data["precision"] = std::string(definition.precision);
}

/// Calls the operator `name` with `input` and the saved arguments.
at::Tensor call_saved(AutogradContext *ctx, const char *name, const at::Tensor &input) {
  const variable_list saved = ctx->get_saved_variables();
  return operator_named<OfInputAndPairs>(name).call(
      input, saved[0], saved[1], saved[2], at::TensorList(saved).slice(3), ctx->saved_data["kind"].toStringRef(),
      ctx->saved_data["n_elements"].toInt(), ctx->saved_data["precision"].toStringRef());
}

constexpr const char *reference_name =
    "the PyTorch reference (MbpDescriptor, BpDescriptor in panna_plus.families.panna.descriptors)";

/// `first` is the number of the first parameter among the operator's tensors.
void refuse_parameters(const AutogradContext *ctx, std::size_t first) {
  const std::size_t n = ctx->get_saved_variables().size() - 3;
  for (std::size_t k = 0; k < n; ++k) {
    TORCH_CHECK_NOT_IMPLEMENTED(!ctx->needs_input_grad(first + k),
                                "panna_plus: gradients with respect to the descriptor's parameters (here number ", k,
                                ") are not provided by the compiled operators: use ", reference_name);
  }
}

/// Gradients of an operator whose first argument is the only one that has any: one entry for each of its arguments,
/// three of which are no tensors.
variable_list gradient_of_first(std::size_t n_tensors, at::Tensor gradient) {
  variable_list gradients(n_tensors + 3);
  gradients[0] = std::move(gradient);
  return gradients;
}

struct DescriptorFunction : torch::autograd::Function<DescriptorFunction> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &displacements, const at::Tensor &row_start,
                            const at::Tensor &neighbor_species, at::TensorList parameters, c10::string_view kind,
                            std::int64_t n_elements, c10::string_view precision) {
    at::AutoDispatchBelowADInplaceOrView guard;
    save(ctx, {displacements, row_start, neighbor_species}, {parameters, kind, n_elements, precision});
    return operator_named<OfPairs>("panna_plus::descriptor")
        .call(displacements, row_start, neighbor_species, parameters, kind, n_elements, precision);
  }

  static variable_list backward(AutogradContext *ctx, const variable_list &gradients) {
    refuse_parameters(ctx, 3);
    at::Tensor gradient;
    if (ctx->needs_input_grad(0)) gradient = call_saved(ctx, "panna_plus::descriptor_backward", gradients[0]);
    return gradient_of_first(ctx->get_saved_variables().size(), std::move(gradient));
  }
};

/// The two operators that are linear in their first argument: the derivative of each is the other one.
template <class Names>
struct LinearFunction : torch::autograd::Function<LinearFunction<Names>> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &input, const at::Tensor &displacements,
                            const at::Tensor &row_start, const at::Tensor &neighbor_species, at::TensorList parameters,
                            c10::string_view kind, std::int64_t n_elements, c10::string_view precision) {
    at::AutoDispatchBelowADInplaceOrView guard;
    save(ctx, {displacements, row_start, neighbor_species}, {parameters, kind, n_elements, precision});
    return operator_named<OfInputAndPairs>(Names::own)
        .call(input, displacements, row_start, neighbor_species, parameters, kind, n_elements, precision);
  }

  static variable_list backward(AutogradContext *ctx, const variable_list &gradients) {
    TORCH_CHECK_NOT_IMPLEMENTED(
        !ctx->needs_input_grad(1),
        "panna_plus: second derivatives of the descriptor with respect to displacements are not provided by the "
        "compiled operators. To train on forces ask for the gradients of the network alone: "
        "loss.backward(inputs=list(model.parameters())) or torch.autograd.grad(loss, parameters). For a Hessian use ",
        reference_name);
    refuse_parameters(ctx, 4);
    at::Tensor gradient;
    if (ctx->needs_input_grad(0)) gradient = call_saved(ctx, Names::adjoint, gradients[0]);
    return gradient_of_first(1 + ctx->get_saved_variables().size(), std::move(gradient));
  }
};

struct BackwardNames {
  static constexpr const char *own = "panna_plus::descriptor_backward", *adjoint = "panna_plus::descriptor_tangent";
};
struct TangentNames {
  static constexpr const char *own = "panna_plus::descriptor_tangent", *adjoint = "panna_plus::descriptor_backward";
};

/// An operator as the dispatcher takes it.
template <class Function, class Signature>
struct Differentiable;
template <class Function, class... Arguments>
struct Differentiable<Function, at::Tensor(Arguments...)> {
  static at::Tensor call(Arguments... arguments) { return Function::apply(arguments...); }
};

}  // namespace

/// displacements (E, 3) float64, angstrom: from the center of a pair to its neighbor, sorted by center; pairs beyond
/// the cutoffs contribute 0. row_start (N + 1) int64: the pairs of center i are row_start[i] to row_start[i + 1].
/// neighbor_species (E) int32 or int64, 0 to n_elements - 1. kind 'mbp' or 'bp'. precision 'double' or 'mixed'
/// (arithmetic in float32). parameters, float64, one dimension each (cutoffs and epsilon have one number), on the CPU,
/// or on the device of the displacements, from where every call fetches them:
///   mbp: radial cutoff, eta, centers; angular cutoff, eta, centers, theta, zeta, epsilon
///   bp:  radial cutoff, eta, centers; angular cutoff, eta, zeta, lambda
/// descriptor gives the features G (N, F); descriptor_backward the gradient (E, 3) of sum(g * G), g (N, F);
/// descriptor_tangent the change (N, F) of G when displacements change by v (E, 3). All are differentiable with respect
/// to displacements, g and v, but descriptor_backward and descriptor_tangent not with respect to displacements.
TORCH_LIBRARY(panna_plus, m) {
  m.def(
      "descriptor(Tensor displacements, Tensor row_start, Tensor neighbor_species, Tensor[] parameters, str kind, "
      "int n_elements, str precision) -> Tensor");
  m.def(
      "descriptor_backward(Tensor g, Tensor displacements, Tensor row_start, Tensor neighbor_species, "
      "Tensor[] parameters, str kind, int n_elements, str precision) -> Tensor");
  m.def(
      "descriptor_tangent(Tensor v, Tensor displacements, Tensor row_start, Tensor neighbor_species, "
      "Tensor[] parameters, str kind, int n_elements, str precision) -> Tensor");
  // How many CUDA devices the operators run on; if there are none, why.
  m.def("cuda_devices() -> (int, str)", cuda_devices);
}

TORCH_LIBRARY_IMPL(panna_plus, Meta, m) {
  m.impl("descriptor", Operators<Shapes>::descriptor);
  m.impl("descriptor_backward", Operators<Shapes>::descriptor_backward);
  m.impl("descriptor_tangent", Operators<Shapes>::descriptor_tangent);
}

TORCH_LIBRARY_IMPL(panna_plus, Autograd, m) {
  m.impl("descriptor", Differentiable<DescriptorFunction, OfPairs>::call);
  m.impl("descriptor_backward", Differentiable<LinearFunction<BackwardNames>, OfInputAndPairs>::call);
  m.impl("descriptor_tangent", Differentiable<LinearFunction<TangentNames>, OfInputAndPairs>::call);
}

}  // namespace panna_plus::ops
