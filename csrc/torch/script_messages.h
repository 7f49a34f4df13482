// What the card of a model with messages says of them; the program itself cannot be asked.
#pragma once

#include "model_file/model_file.h"
#include "potential/potential.h"

namespace panna_plus {

/// Fills in what concerns messages, total charge, spin and details of a so3krates model.
void describe_messages(const ModelFile &file, Description &description);

}  // namespace panna_plus
