#include "options.h"

#include <cstdlib>
#include <stdexcept>
#include <vector>

namespace driver {
namespace {

double number_of(const std::string &name, const std::string &text, double least) {
  char *end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= least)) {
    throw std::runtime_error(name + " takes a number of at least " + std::to_string(least) + ", found '" + text + "'");
  }
  return value;
}

/// Takes words one by one.
class Words {
 public:
  Words(int n, const char *const *words) : words_(words, words + n) {}
  bool are_left() const { return next_ < words_.size(); }
  std::string take() { return words_[next_++]; }
  std::string value_of(const std::string &name) {
    if (!are_left()) throw std::runtime_error(name + " takes a value\n" + usage);
    return take();
  }
  double number(const std::string &name, double least) { return number_of(name, value_of(name), least); }
  int count(const std::string &name, int least) { return static_cast<int>(number(name, least)); }

 private:
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

bool take_text(const std::string &name, Words &words, Options &options) {
  if (name == "--device") options.device = words.value_of(name);
  else if (name == "--precision") options.precision = words.value_of(name);
  else if (name == "--kernels") options.kernels = words.value_of(name);
  else if (name == "--write") options.write = words.value_of(name);
  else if (name == "--check") options.check = true;
  else return false;
  return true;
}

bool take_number(const std::string &name, Words &words, Options &options) {
  if (name == "--steps") options.steps = words.count(name, 1);
  else if (name == "--warmup") options.warmup = words.count(name, 0);
  else if (name == "--threads") options.threads = words.count(name, 1);
  else if (name == "--skin") options.skin = words.number(name, 0.0);
  else if (name == "--spring") options.spring = words.number(name, 0.0);
  else if (name == "--temperature") options.temperature = words.number(name, 0.0);
  else if (name == "--timestep") options.timestep = words.number(name, 0.0);
  else if (name == "--cells") for (int &n : options.cells) n = words.count(name, 1);
  else return false;
  return true;
}

}  // namespace

Options parse_options(int n, const char *const *arguments) {
  Words words(n - 1, arguments + 1);
  Options options;
  while (words.are_left()) {
    const std::string word = words.take();
    if (take_text(word, words, options) || take_number(word, words, options)) continue;
    const bool is_model = options.model.empty() && word.compare(0, 1, "-") != 0;
    if (!is_model) throw std::runtime_error("unknown option '" + word + "'\n" + usage);
    options.model = word;
  }
  if (options.model.empty()) throw std::runtime_error(std::string("no model file named\n") + usage);
  return options;
}

}  // namespace driver
